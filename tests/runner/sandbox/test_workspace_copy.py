"""The copy of the tree below the views of boxes that have users of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sandbox import workspace
from runner.sandbox.workspace import Workspace


def test_a_copy_that_failed_is_not_in_the_way_of_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full for a moment; later boxes must not be told that a file exists."""
    (tmp_path / "tree").mkdir()
    room = Workspace.__new__(Workspace)
    room._scratch, room._group, room._lowers = str(tmp_path), 0, {}

    def full(_: str, copy: str, **__: object) -> tuple[str, ...]:
        (Path(copy) / "half").mkdir(parents=True)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(workspace, "copy_tree", full)
        with pytest.raises(OSError, match="No space left"):
            room._copied(str(tmp_path / "tree"))
    copy, nested = room._copied(str(tmp_path / "tree"))
    assert (sorted(Path(copy).iterdir()), nested) == ([], ())
