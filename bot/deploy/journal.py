"""The journal of one deployment: what is meant to be done, what was seen to be done, and what the watch has seen.

One line of JSON for each entry, written whole and synced to the disk before whatever it announces begins. Each carries
the hash of the line before it, so a changed line is found. A line that was cut off by a crash was never acted upon; it
is cut away. Whatever else is wrong is damage, and nobody goes on from a damaged journal.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from bot.deploy.files import DeployFiles
from bot.domain.deploy.release import digest
from bot.domain.deploy.states import State
from bot.ops.clock import Clock

Kind = Literal["state", "intent", "done", "seen", "watch", "wish", "note"]
"""state: an edge was taken · intent: a call begins · done: it ended · seen: what the target said · watch: samples and
what they mean · wish: what somebody asked for, and what came of it · note: anything else that people want to know."""

START = "0" * 64
"""What the first entry names as the hash before it."""

_FIRST_STATE = State.LOCKED
_FIELDS = ("seq", "at", "kind", "data", "prev", "hash")


class JournalDamaged(Exception):
    """A line that is not the last is not what was written. Nobody can say what was done, so nothing was changed."""

    def __init__(self, path: Path, because: str) -> None:
        self.path = path
        self.because = because
        super().__init__(path, because)

    def __str__(self) -> str:
        return f"{self.path}: {self.because}"


class JournalUnwritable(Exception):
    """An entry could not be written: the disk is full or gone. The journal is as it was before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line. `data` are its facts by name; `at` is aware, in UTC."""

    seq: int
    at: datetime
    kind: Kind
    data: Mapping[str, Any] = field(default_factory=dict)
    prev: str
    hash: str


def read(files: DeployFiles) -> tuple[Entry, ...]:
    """Everything that was written so far; none before the deployment began. A line that is cut off is left out.

    Raises:
        JournalDamaged: it is no journal.
    """
    try:
        content = files.journal.read_bytes()
    except FileNotFoundError:
        return ()
    return _parse(files.journal, content)[0]


def state_of(entries: Sequence[Entry]) -> State:
    """Where the deployment is: what the last edge says, and `locked` before the first."""
    return next((State(entry.data["state"]) for entry in reversed(entries) if entry.kind == "state"), _FIRST_STATE)


def because_of(entries: Sequence[Entry]) -> str:
    """Why it is there, a sentence; "" before the first edge."""
    return next((str(entry.data["because"]) for entry in reversed(entries) if entry.kind == "state"), "")


def verify(entries: Sequence[Entry]) -> str:
    """What is wrong with a journal, a sentence that names the first entry that is; "" when nothing is."""
    before = START
    for place, entry in enumerate(entries, start=1):
        if entry.seq != place:
            return f"entry {place} says that it is entry {entry.seq}"
        if entry.prev != before:
            return f"entry {place} does not follow the one before it"
        if entry.hash != _hash(entry):
            return f"entry {place} is not what was written"
        before = entry.hash
    return ""


class Journal:
    """The journal as its one writer holds it: who has the deployment's lock. Not for two at a time."""

    def __init__(self, files: DeployFiles, clock: Clock) -> None:
        """Open it, and cut away what a crash has left of a last line.

        Raises:
            JournalDamaged: nobody can go on from it.
        """
        self._path = files.journal
        self._clock = clock
        is_new = not self._path.exists()
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if is_new:
            _sync_directory(self._path.parent)
        content = self._path.read_bytes()
        found, self._size = _parse(self._path, content)
        if wrong := verify(found):
            os.close(self._descriptor)
            raise JournalDamaged(self._path, wrong)
        if self._size < len(content):
            os.ftruncate(self._descriptor, self._size)
            os.fsync(self._descriptor)
        self._entries = list(found)

    @property
    def entries(self) -> Sequence[Entry]:
        """All of it, oldest first."""
        return self._entries

    @property
    def state(self) -> State:
        """Where the deployment is."""
        return state_of(self._entries)

    def append(self, kind: Kind, **data: Any) -> Entry:
        """Write an entry, and come back when it is on the disk.

        Raises:
            JournalUnwritable: it is not, and the journal is as it was.
        """
        before = self._entries[-1].hash if self._entries else START
        entry = _sealed(len(self._entries) + 1, self._clock.now(), kind, data, before)
        line = _line(entry)
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):
                os.ftruncate(self._descriptor, self._size)
                message = f"{self._path}: only {written} of {len(line)} bytes found room"
                raise JournalUnwritable(message)
            os.fsync(self._descriptor)
        except OSError as refused:
            message = f"{self._path}: {refused.strerror}"
            raise JournalUnwritable(message) from refused
        self._size += len(line)
        self._entries.append(entry)
        return entry

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)


def _sealed(seq: int, at: datetime, kind: Kind, data: Mapping[str, Any], prev: str) -> Entry:
    # What is remembered is what a later reader finds: tuples become lists here, not only on the disk.
    plain = json.loads(json.dumps(data))
    bare = Entry(seq=seq, at=at, kind=kind, data=plain, prev=prev, hash="")
    return Entry(seq=seq, at=at, kind=kind, data=plain, prev=prev, hash=_hash(bare))


def _hash(entry: Entry) -> str:
    return digest([entry.seq, entry.at.isoformat(), entry.kind, entry.data, entry.prev])


def _line(entry: Entry) -> bytes:
    fields = (entry.seq, entry.at.isoformat(), entry.kind, entry.data, entry.prev, entry.hash)
    return (
        json.dumps(dict(zip(_FIELDS, fields, strict=True)), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    )


def _parse(path: Path, content: bytes) -> tuple[tuple[Entry, ...], int]:
    """The entries, and how many bytes they take. Only a last line may be less than one."""
    entries: list[Entry] = []
    size = 0
    for line in content.splitlines(keepends=True):
        entry = _entry(line)
        if entry is None:
            if size + len(line) < len(content):
                raise JournalDamaged(path, f"line {len(entries) + 1} is no entry")
            break
        entries.append(entry)
        size += len(line)
    return tuple(entries), size


def _entry(line: bytes) -> Entry | None:
    if not line.endswith(b"\n"):
        return None
    try:
        raw = json.loads(line)
        return Entry(**{**{name: raw[name] for name in _FIELDS}, "at": datetime.fromisoformat(raw["at"])})
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
