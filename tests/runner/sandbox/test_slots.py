from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.sandbox import slots
from runner.sandbox.slots import NoSlot, Slots

SOURCE = Path(__file__).parents[3]


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own, so that runs on this machine are not in the way."""
    monkeypatch.setattr(slots, "_DIRECTORIES", (str(tmp_path / "users"),))
    return tmp_path / "users"


@pytest.fixture
def some(locks: Path) -> Iterator[Slots]:
    found = Slots()
    yield found
    found.close()


def test_users_that_are_out_at_the_same_time_differ(some: Slots) -> None:
    assert len({some.take() for _ in range(5)}) == 5


def test_a_user_that_was_given_back_is_taken_again(some: Slots) -> None:
    user = some.take()
    some.give(user)
    assert some.take() == user


def test_the_group_is_no_users_own(some: Slots) -> None:
    assert some.group not in {some.take() for _ in range(3)}


def test_two_runs_never_have_the_same_user(some: Slots, locks: Path) -> None:
    program = f"from runner.sandbox import slots; slots._DIRECTORIES = ({str(locks)!r},); print(slots.Slots().take())"
    mine = some.take()
    ask = [sys.executable, "-c", program]
    theirs = subprocess.run(ask, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True)
    assert int(theirs.stdout) != mine
    some.close()
    again = subprocess.run(ask, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True)
    assert int(again.stdout) == mine, "the lock ends with the run that held it"


def test_when_all_are_taken_that_is_said(some: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "SLOTS", 3)
    some.take()
    some.take()
    with pytest.raises(NoSlot, match="all 2 users"):
        some.take()


def test_a_directory_that_others_may_write_to_is_not_trusted(locks: Path) -> None:
    locks.mkdir()
    locks.chmod(0o777)
    with pytest.raises(NoSlot, match="no place for the locks"):
        Slots()


def test_a_link_is_not_trusted(locks: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(0o700)
    locks.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NoSlot):
        Slots()


def test_ids_that_are_not_mapped_here_are_not_given_out(locks: Path) -> None:
    first, _, count = map(int, Path("/proc/self/uid_map").read_text().split()[:3])
    found = Slots()
    assert first <= found.group < first + count
    assert first <= found.take() < first + count
    assert locks.is_dir()
    found.close()
