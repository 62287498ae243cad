from __future__ import annotations

from pathlib import Path

import pytest

from bot.ops.links import KeyUnusable, RunLinks, load_key


def test_the_key_stays_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    key = load_key(path)
    assert len(key) == 32
    assert load_key(path) == key
    assert path.stat().st_mode & 0o077 == 0


def test_two_directories_have_two_keys(tmp_path: Path) -> None:
    assert load_key(tmp_path / "a") != load_key(tmp_path / "b")


def test_what_a_crash_left_half_written_is_not_taken_for_a_key(tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    path.with_suffix(".new").write_text("")
    assert len(load_key(path)) == 32


def test_an_empty_key_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    path.write_text("")
    with pytest.raises(KeyUnusable, match=r"links\.key is not a key of 32 bytes; remove it"):
        load_key(path)


def test_a_link_is_good_for_its_own_run_and_key_alone() -> None:
    links = RunLinks(b"k" * 32, "https://bot.example")
    token = links.token(7)
    assert links.url(7) == f"https://bot.example/runs/7?t={token}"
    assert links.allows(7, token)
    assert not links.allows(8, token)
    assert not RunLinks(b"l" * 32, "").allows(7, token)
    assert not links.allows(7, "")
    assert not links.allows(7, "ü")
