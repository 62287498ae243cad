"""Secrets for boxes: each repository its own, and none from a file that others can read or change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.ops.secrets import ALL, SecretsUnusable, read_secrets


def lay_down(root: Path, directory: str, **values: str) -> Path:
    place = root / directory
    place.mkdir(parents=True)
    for name, value in values.items():
        path = place / name
        path.write_text(value)
        path.chmod(0o600)
    return place


def test_a_repository_gets_its_own_and_no_other(tmp_path: Path) -> None:
    lay_down(tmp_path, "17-octo-app", TOKEN="seventeen\n", KEY="two\nlines\n")
    lay_down(tmp_path, "170", TOKEN="one hundred and seventy")
    assert read_secrets(tmp_path, 17) == {"KEY": "two\nlines", "TOKEN": "seventeen"}
    assert read_secrets(tmp_path, 170) == {"TOKEN": "one hundred and seventy"}
    assert read_secrets(tmp_path, 1) == {}
    assert read_secrets(None, 17) == {}


def test_a_name_that_was_taken_over_opens_nothing(tmp_path: Path) -> None:
    lay_down(tmp_path, "octo-app", TOKEN="not by name")
    lay_down(tmp_path, "17", TOKEN="by number")
    assert read_secrets(tmp_path, 17) == {"TOKEN": "by number"}


def _link(place: Path) -> None:
    (place / "LINK").symlink_to("/etc/hostname")


def _pipe(place: Path) -> None:
    os.mkfifo(place / "PIPE", 0o600)


def _large(place: Path) -> None:
    for number in range(4):
        (place / f"LARGE_{number}").write_text("x" * (ALL // 4))
        (place / f"LARGE_{number}").chmod(0o600)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(lambda place: (place / "TOKEN").chmod(0o640), "can be read by others", id="open-to-others"),
        pytest.param(_link, "cannot be read", id="a-link"),
        pytest.param(_pipe, "not a file of ours", id="a-pipe"),
        pytest.param(lambda place: (place / "TOKEN").write_text("abc"), "fewer than", id="too-short-to-be-hidden"),
        pytest.param(lambda place: (place / "TOKEN").write_bytes(b"\xff\xfe\xfd\xfc"), "not text", id="no-text"),
        pytest.param(lambda place: (place / "a-b").write_text("long enough"), "not named like", id="no-variable"),
        pytest.param(_large, "KiB", id="too-large"),
        pytest.param(lambda place: (place.parent / "17-again").mkdir(), "keep one", id="two-directories"),
    ],
)
def test_what_cannot_be_kept_secret_is_given_to_nobody(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(lay_down(tmp_path, "17-octo-app", TOKEN="canary-value"))
    with pytest.raises(SecretsUnusable, match=said) as refused:
        read_secrets(tmp_path, 17)
    assert "canary" not in str(refused.value)
