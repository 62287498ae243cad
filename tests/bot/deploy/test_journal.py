"""The journal: what is in it is on the disk, whole, and as it was written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.deploy.files import DeployFiles
from bot.deploy.journal import Journal, JournalDamaged, JournalUnwritable, because_of, read, state_of, verify
from bot.domain.deploy.states import State


class Stopped:
    def now(self) -> datetime:
        return datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def files(tmp_path: Path) -> DeployFiles:
    return DeployFiles(tmp_path)


def written(files: DeployFiles) -> Journal:
    """A journal with a few entries."""
    journal = Journal(files, Stopped())
    journal.append("note", what="started", pid=7)
    journal.append("state", state="preparing", because="b0b is placed in grün")
    journal.append("intent", call="start", slot="green", weights={"blue": 100})
    journal.append("watch", judges={"probes": {"r": (0.25, 1e-9, 3.0)}})
    return journal


def test_what_was_appended_is_what_is_read(files: DeployFiles) -> None:
    journal = written(files)
    assert read(files) == tuple(journal.entries)
    assert read(files)[3].data == {"judges": {"probes": {"r": [0.25, 1e-9, 3.0]}}}
    assert verify(read(files)) == ""


def test_the_last_edge_says_where_it_is(files: DeployFiles) -> None:
    assert state_of(read(files)) is State.LOCKED
    written(files)
    assert (state_of(read(files)), because_of(read(files))) == (State.PREPARING, "b0b is placed in grün")


def test_a_line_cut_off_at_any_byte_is_cut_away_and_all_before_it_stands(files: DeployFiles) -> None:
    whole = written(files)
    whole.close()
    content = files.journal.read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == ord("\n")]
    for size in range(len(content)):
        files.journal.write_bytes(content[:size])
        assert len(read(files)) == sum(end <= size for end in ends)
        again = Journal(files, Stopped())
        again.append("note", what="started")
        again.close()
        assert len(read(files)) == sum(end <= size for end in ends) + 1
        assert verify(read(files)) == ""


@given(data=st.data())
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    files = DeployFiles(tmp_path_factory.mktemp("journal"))
    written(files).close()
    content = bytearray(files.journal.read_bytes())
    place = data.draw(st.integers(0, len(content) - 2))
    content[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != content[place]))
    files.journal.write_bytes(content)
    before = files.journal.read_bytes()
    try:
        found = read(files)
    except JournalDamaged:
        return
    # The last line may have become one that was cut off; else the chain is broken.
    assert verify(found) != "" or len(found) == 3 or _says_the_same(before, files)


def _says_the_same(content: bytes, files: DeployFiles) -> bool:
    """A byte of the text may change without any fact changing: a space, or the same number written otherwise."""
    return [json.loads(line)["hash"] for line in content.splitlines()] == [entry.hash for entry in read(files)]


def test_nobody_goes_on_from_a_journal_that_was_changed(files: DeployFiles) -> None:
    written(files).close()
    files.journal.write_text(files.journal.read_text("utf-8").replace("preparing", "succeeded"), "utf-8")
    with pytest.raises(JournalDamaged, match="entry 2 is not what was written"):
        Journal(files, Stopped())


def test_a_line_that_is_none_in_the_middle_is_damage(files: DeployFiles) -> None:
    written(files).close()
    lines = files.journal.read_text("utf-8").splitlines(keepends=True)
    files.journal.write_text("".join([lines[0], "{\n", *lines[2:]]), "utf-8")
    with pytest.raises(JournalDamaged, match="line 2 is no entry"):
        read(files)


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (0, 2, 3), (0, 1, 1, 2, 3)], ids=["swapped", "left-out", "twice"])
def test_entries_that_do_not_follow_one_another_are_found(files: DeployFiles, order: tuple[int, ...]) -> None:
    entries = written(files).entries
    assert verify([entries[place] for place in order]) != ""


def test_an_entry_that_finds_no_room_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    files = DeployFiles(tmp_path)
    journal = written(files)
    before = files.journal.read_bytes()
    journal.close()
    descriptor = journal._descriptor
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - it takes the place of the journal's.
    assert full.fileno() == descriptor
    with pytest.raises(JournalUnwritable, match="No space left"):
        journal.append("note", what="lost")
    full.close()
    assert files.journal.read_bytes() == before
    assert len(journal.entries) == 4
