"""What a box may leave on disk, and what it may write into a stream: nothing of it raises or stays."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.events import NAMES, TYPES, from_line, to_line
from runner.execute.files import remove_content, remove_surely, remove_tree

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FIELDS = sorted({name for cls in TYPES.values() for name in cls.__slots__} | {"suite"})


def nest(directory: Path, depth: int) -> None:
    """Directories nested so deep that no path reaches the last."""
    home = os.open(".", os.O_RDONLY)
    try:
        os.chdir(directory)
        for _ in range(depth):
            Path("deep").mkdir()
            os.chdir("deep")
            Path("file").touch()
    finally:
        os.fchdir(home)
        os.close(home)


@pytest.mark.parametrize("depth", [5, 1200], ids=["shallow", "beyond-every-path"])
def test_a_tree_is_removed_however_deep(tmp_path: Path, depth: int) -> None:
    tree = tmp_path / "tree"
    (tree / "kept").mkdir(parents=True)
    nest(tree, depth)
    remove_content(str(tree), keep=("kept",))
    assert [entry.name for entry in tree.iterdir()] == ["kept"]
    nest(tree, depth)
    remove_tree(str(tree))
    assert not tree.exists()


def test_what_is_made_while_a_directory_is_removed_is_removed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was told to end a moment ago makes a last file."""
    place = tmp_path / "place"
    place.mkdir()
    seen = []

    def remove(path: str) -> None:
        remove_tree(path)
        seen.append(path)
        if len(seen) == 1:
            (place / "data").mkdir(parents=True)

    monkeypatch.setattr("runner.execute.files.remove_tree", remove)
    remove_surely([str(place), str(tmp_path / "never")])
    assert not place.exists()
    assert seen == [str(place), str(tmp_path / "never"), str(place)]


def test_removing_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "precious").touch()
    nest(tmp_path / "tree", 1200)
    (tmp_path / "tree" / "deep" / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "tree" / "link").symlink_to(tmp_path / "mine")
    remove_tree(str(tmp_path / "tree"))
    assert not (tmp_path / "tree").exists()
    assert (tmp_path / "mine" / "precious").exists()
    (tmp_path / "root").symlink_to(tmp_path / "mine")
    remove_tree(str(tmp_path / "root"))
    assert (tmp_path / "root").is_symlink()
    assert (tmp_path / "mine").is_dir()


@given(st.sampled_from(sorted(TYPES)), st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_whatever_a_line_says_it_is_an_event_of_the_right_kinds_or_none(kind: str, fields: dict[str, object]) -> None:
    event = from_line(json.dumps({**fields, "type": kind}))
    if event is not None:
        assert NAMES[type(event)] == kind
        assert from_line(to_line(event)) == event


@pytest.mark.parametrize("line", ["", "null", "[" * 200_000, '{"type":{}}', '{"a":' * 100_000, "9" * 10_000, "\x00"])
def test_what_is_no_event_is_passed_over(line: str) -> None:
    assert from_line(line) is None
