"""`--base` as a commit: what is written out of it, and what is kept."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from runner.base_tree import KEPT, base_directory
from runner.options import UsageMistake


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    root = tmp_path / "clone"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    for n in range(KEPT + 2):
        (root / "n").write_text(f"{n}\n")
        git(root, "add", "n")
        git(root, "-c", "user.name=m", "-c", "user.email=m@example.org", "commit", "-q", "-m", str(n))
    return root


def git(root: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def test_a_commit_s_tree_is_written_out_and_the_oldest_others_go(clone: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for age in range(KEPT + 2):
        found = Path(base_directory(str(clone), f"HEAD~{age}", str(state)))
        assert found.name == git(clone, "rev-parse", f"HEAD~{age}")
        assert (found / "n").read_text() == f"{KEPT + 1 - age}\n"
        os.utime(found, (age, age))
    kept = {path.name for path in (state / "bases").iterdir()}
    assert kept == {git(clone, "rev-parse", f"HEAD~{age}") for age in range(2, KEPT + 2)}
    assert git(clone, "status", "--porcelain") == ""


@pytest.mark.parametrize("name", ["nothing", "--all", "--git-dir", "HEAD:n", ""])
def test_what_is_no_commit_is_refused_and_no_option_of_git(clone: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageMistake, match="there is no directory and no commit"):
        base_directory(str(clone), name, str(tmp_path / "state"))


def test_a_commit_needs_a_place(clone: Path) -> None:
    with pytest.raises(UsageMistake, match="needs a place to be written to"):
        base_directory(str(clone), "HEAD", "")
