from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.execute.files import remembered, remove_tree
from runner.sandbox.reach import is_open, reachable_room


def test_one_closed_directory_on_the_way_is_enough(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "within").mkdir(parents=True)
    closed.chmod(0o700)
    assert not is_open(str(closed / "within"))


def test_what_is_not_there_nobody_gets_to(tmp_path: Path) -> None:
    assert not is_open(str(tmp_path / "missing"))


def test_a_link_in_an_open_place_is_as_closed_as_what_it_leads_to(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "within").mkdir(parents=True)
    (closed / "within").chmod(0o755)
    closed.chmod(0o700)
    link = Path("/tmp") / f"interlock-link-{tmp_path.name}"
    link.symlink_to(closed / "within")
    try:
        assert is_open("/tmp")
        assert not is_open(str(link))
    finally:
        link.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has boxes that are other users")
def test_a_room_outside_of_the_runs_directory_goes_with_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    scratch = tmp_path / "interlock-run"
    scratch.mkdir()
    room = reachable_room(str(scratch))
    Path(room).mkdir()
    try:
        assert Path(room).parent in {Path("/var/tmp"), Path("/tmp")}, "/run is too small for copies of a tree"
        assert remembered(str(scratch)) == [room], "the guard of a killed run removes what is remembered"
    finally:
        remove_tree(room)
