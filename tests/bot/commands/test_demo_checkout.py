"""The demo user's working copy, and the sample that it begins with."""

from pathlib import Path

import pytest

from bot.commands.demo_checkout import SAMPLE, Checkout, copy_sample
from bot.commands.demo_outcome import DidNotHappen


def checkout(directory: Path) -> Checkout:
    (directory / "work").mkdir()
    return Checkout(directory / "work", url="http://127.0.0.1:1/octo/shorty.git", login="mona", token="mona-s-token")


def test_a_copied_script_is_executable_whatever_the_installer_did(tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    (installed / "__pycache__").mkdir(parents=True)
    (installed / "__pycache__" / "box.pyc").write_bytes(b"")
    (installed / "box.sh").write_text("#!/bin/sh\n")
    (installed / "box.sh").chmod(0o644)
    (installed / "notes.md").write_text("# Notes\n")
    copy_sample(installed, tmp_path / "copy")
    assert {path.name: path.stat().st_mode & 0o111 != 0 for path in (tmp_path / "copy").iterdir()} == {
        "box.sh": True,
        "notes.md": False,
    }


def test_every_box_of_the_sample_has_a_control_that_says_what_must_turn_red() -> None:
    boxes = [path.read_text() for path in sorted(SAMPLE.glob("boxes/tier-*/*"))]
    assert len(boxes) == 13
    assert all("# [control]" in text and "\n# expect = " in text for text in boxes)


def test_an_edit_tells_its_line(tmp_path: Path) -> None:
    here = checkout(tmp_path)
    (here.directory / "app.py").write_text("one\ntwo\nthree\n")
    assert here.edit("app.py", "two", "2") == 2
    assert (here.directory / "app.py").read_text() == "one\n2\nthree\n"


@pytest.mark.parametrize("text", ["", "two two"], ids=["never", "twice"])
def test_an_edit_that_does_not_fit_once_did_not_happen(tmp_path: Path, text: str) -> None:
    here = checkout(tmp_path)
    (here.directory / "app.py").write_text(text)
    with pytest.raises(DidNotHappen, match="not once"):
        here.edit("app.py", "two", "2")
    assert (here.directory / "app.py").read_text() == text


async def test_a_failing_git_command_says_what_git_said_and_not_the_token(tmp_path: Path) -> None:
    here = checkout(tmp_path)
    with pytest.raises(DidNotHappen, match="git rev-parse failed with exit code 128: fatal: not a git repo") as problem:
        await here.git("rev-parse", "HEAD")
    assert "token" not in str(problem.value)
