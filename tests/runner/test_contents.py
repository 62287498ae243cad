from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.contents import Contents

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for file in ("src/app.py", "src/data/a.txt", "docs/index.md", "run.sh"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file)
    return root


def whole(tree: Path) -> str:
    return Contents(str(tree)).of_tree()


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda tree: (tree / "run.sh").write_text("other"), id="content"),
        pytest.param(lambda tree: (tree / "run.sh").chmod(0o755), id="mode"),
        pytest.param(lambda tree: (tree / "run.sh").rename(tree / "walk.sh"), id="name"),
        pytest.param(lambda tree: (tree / "run.sh").unlink(), id="removed"),
        pytest.param(lambda tree: (tree / "new").write_text(""), id="added"),
        pytest.param(lambda tree: (tree / "link").symlink_to("run.sh"), id="link"),
        pytest.param(lambda tree: os.mkfifo(tree / "pipe"), id="pipe"),
    ],
)
def test_whatever_a_box_could_see_changes_the_digest(tree: Path, change: Callable[[Path], object]) -> None:
    before = whole(tree)
    change(tree)
    assert whole(tree) != before


@pytest.mark.parametrize("file", [".git/index", "src/__pycache__/app.cpython-311.pyc", "src/app.pyc"])
def test_history_and_bytecode_are_not_content(tree: Path, file: str) -> None:
    before = whole(tree)
    (tree / file).parent.mkdir(parents=True, exist_ok=True)
    (tree / file).write_text("x")
    assert whole(tree) == before


def test_of_an_environment_what_is_installed_counts(tree: Path) -> None:
    site = tree / "env/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    (tree / "env/pyvenv.cfg").write_text("")
    before = whole(tree)
    (tree / "env/share").mkdir()
    assert whole(tree) == before
    (site / "rich-14.0.dist-info").mkdir()
    assert whole(tree) != before


def test_a_file_counts_also_where_a_directory_says_that_it_is_an_environment(tree: Path) -> None:
    """Or a change could hide a box from those who ask whether it is still the one that was proven."""
    (tree / "src/pyvenv.cfg").write_text("")
    before = Contents(str(tree)).of_file("src/app.py")
    (tree / "src/app.py").write_text("another program")
    assert Contents(str(tree)).of_file("src/app.py") != before
    assert not Contents(str(tree)).of_file("../elsewhere")


def test_inputs_are_those_that_match(tree: Path) -> None:
    def digest(*globs: str, directory: str = ".") -> str:
        return Contents(str(tree)).of_inputs(directory, globs)

    before = digest("src/**"), digest("*.py", directory="src"), digest("docs/")
    (tree / "src/app.py").write_text("changed")
    after = digest("src/**"), digest("*.py", directory="src"), digest("docs/")
    assert [a == b for a, b in zip(before, after, strict=True)] == [False, False, True]
    (tree / "src/new.txt").write_text("")
    assert digest("*.py", directory="src") == after[1]


def test_a_file_is_also_what_it_leads_to(tree: Path) -> None:
    (tree / "boxes").mkdir()
    (tree / "boxes/1.sh").symlink_to("../run.sh")
    before = Contents(str(tree)).of_file("boxes/1.sh")
    (tree / "run.sh").write_text("other")
    assert Contents(str(tree)).of_file("boxes/1.sh") != before
    assert Contents(str(tree)).of_file("nowhere") == ""


def settled(tree: Path) -> None:
    """Wait until what was written is older than the clock's tick: the index does not believe anything younger."""
    newest = max(path.lstat().st_ctime_ns for path in tree.rglob("*"))
    while time.time_ns() < newest + 2 * 20_000_000:
        os.sched_yield()


def test_an_index_is_believed_as_long_as_a_file_is_untouched(tree: Path, tmp_path: Path) -> None:
    settled(tree)
    index = tmp_path / "index.json"
    first = Contents(str(tree), index=str(index))
    before = first.of_tree()
    first.save()
    stored = json.loads(index.read_text())
    stored["files"]["run.sh"][-1] = "0" * 32  # only who does not read the file can take this for its digest.
    index.write_text(json.dumps(stored))
    assert Contents(str(tree), index=str(index)).of_tree() != before
    os.utime(tree / "run.sh")
    assert Contents(str(tree), index=str(index)).of_tree() == before


def test_a_file_that_changed_while_it_was_read_is_not_remembered(tree: Path, tmp_path: Path) -> None:
    future = time.time_ns() + 10**12
    index = tmp_path / "index.json"
    os.utime(tree / "run.sh", ns=(future, future))
    contents = Contents(str(tree), index=str(index))
    contents.of_tree()
    contents.save()
    # Its change time is now, within the tick in which it was read.
    assert "run.sh" not in json.loads(index.read_text())["files"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "interlock.contents/1", "root": 1, "files": {"a": 3}}'])
def test_a_broken_index_is_no_index(tree: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "index.json").write_text(text)
    assert Contents(str(tree), index=str(tmp_path / "index.json")).of_tree() == whole(tree)


def test_an_index_of_another_tree_is_not_believed(tree: Path, tmp_path: Path) -> None:
    settled(tree)
    index = tmp_path / "index.json"
    contents = Contents(str(tree), index=str(index))
    contents.of_tree()
    contents.save()
    tree.rename(tmp_path / "moved")
    stored = json.loads(index.read_text())
    stored["files"]["run.sh"][-1] = "0" * 32
    index.write_text(json.dumps(stored))
    assert Contents(str(tmp_path / "moved"), index=str(index)).of_tree() == whole(tmp_path / "moved")


def test_a_place_that_cannot_be_written_only_forgets(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    contents = Contents(str(tree), index=str(tmp_path / "file/index.json"))
    digest = contents.of_tree()
    contents.save()
    assert digest == whole(tree)


TREES = st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=3), max_size=4)


@given(TREES, TREES)
def test_two_trees_have_one_digest_exactly_when_they_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, one: dict[str, bytes], other: dict[str, bytes]
) -> None:
    digests = []
    for files in (one, other):
        root = tmp_path_factory.mktemp("tree")
        for name, data in files.items():
            (root / name).write_bytes(data)
        digests.append(whole(root))
    assert (digests[0] == digests[1]) == (one == other)
