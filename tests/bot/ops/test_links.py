from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.ops.links import KeyUnusable, RunLinks, load_keys


def test_the_key_stays_and_is_nobody_elses_to_read(tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    key = load_keys(path)[0]
    assert len(key) == 32
    assert load_keys(path)[0] == key
    assert path.stat().st_mode & 0o077 == 0


def test_two_directories_have_two_keys(tmp_path: Path) -> None:
    assert load_keys(tmp_path / "a") != load_keys(tmp_path / "b")


def test_what_a_crash_left_half_written_is_not_taken_for_a_key(tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    path.with_suffix(".new").write_text("")
    assert len(load_keys(path)[0]) == 32


def test_an_empty_key_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    path.write_text("")
    with pytest.raises(KeyUnusable, match=r"links\.key is not a key of 32 bytes; remove it"):
        load_keys(path)[0]


def test_a_link_is_good_for_its_own_run_and_key_alone() -> None:
    links = RunLinks(b"k" * 32, "https://bot.example")
    token = links.token(7)
    assert links.url(7) == f"https://bot.example/runs/7?t={token}"
    assert links.allows(7, token)
    assert not links.allows(8, token)
    assert not RunLinks(b"l" * 32, "").allows(7, token)
    assert not links.allows(7, "")
    assert not links.allows(7, "ü")


def test_a_key_of_before_opens_its_links_until_its_line_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "links.key"
    [old] = load_keys(path)
    path.write_text(f"{'ab' * 32}\n{old.hex()}\n")
    new, *older = load_keys(path)
    links = RunLinks(new, "https://bot.example", older=older)
    assert links.token(7) != RunLinks(old, "").token(7)
    assert links.allows(7, RunLinks(old, "").token(7))
    assert not RunLinks(new, "").allows(7, RunLinks(old, "").token(7))


def test_a_link_ends_some_days_after_its_run_began() -> None:
    began = datetime(2026, 3, 4, tzinfo=UTC)
    links = RunLinks(b"k" * 32, "", days=90)
    assert not links.lapsed(began, began + timedelta(days=90))
    assert links.lapsed(began, began + timedelta(days=90, seconds=1))


def test_a_mark_is_no_link() -> None:
    links = RunLinks(b"k" * 32, "")
    assert links.sign("run:7") != links.token(7)


def test_the_link_of_a_deployment_opens_no_run_and_no_other_deployment() -> None:
    links = RunLinks(b"k" * 32, "https://bot.example")
    token = links.deployment_token(7)
    assert links.deployment_url(7) == f"https://bot.example/deployments/7?t={token}"
    assert links.picture_url(7) == f"https://bot.example/deployments/7.svg?t={token}"
    assert links.allows_deployment(7, token)
    assert not links.allows_deployment(8, token)
    assert not links.allows(7, token)
    assert not links.allows_deployment(7, links.token(7))


def test_without_an_address_a_deployment_has_no_link() -> None:
    links = RunLinks(b"k" * 32, "")
    assert (links.deployment_url(7), links.picture_url(7)) == ("", "")
