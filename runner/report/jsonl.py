"""The event stream as a file: the record that other programs follow, and that outlives a kill.

Each event is one write to a file that is open for appending, so that a process that is killed leaves whole lines and at
most one that is cut.
"""

from __future__ import annotations

import json
import os

from runner.errors import NoRoom
from runner.events import SCHEMA, to_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.events import Event


class Jsonl:
    """Writes the stream to a path, or to standard output for `-`.

    Args:
        path: where to; its directory exists.
        keep: continue a file instead of emptying it; a line that was cut is ended first.

    Raises:
        OSError: it cannot be opened; here only.
        NoRoom: it cannot be written, here or on an event. The record is not whole then, and what is not in it has not
            happened for those who follow it: the run must not go on as if it had.
    """

    def __init__(self, path: str, *, keep: bool = False) -> None:
        self._own = path != "-"
        self._name = path if self._own else "standard output"
        if self._own:
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | (0 if keep else os.O_TRUNC)
            self._fd = os.open(path, flags, 0o644)
        else:
            self._fd = 1
        cut = self._own and keep and _ends_within_a_line(self._fd)
        self._write(("\n" if cut else "") + json.dumps({"schema": SCHEMA}, separators=(",", ":")))

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self._write(to_line(event))

    def close(self) -> None:
        """Let go of the file."""
        if self._own and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, line: str) -> None:
        data = f"{line}\n".encode("utf-8", "replace")
        try:
            while data:  # a pipe may take a part of it, and so may a disk that is nearly full.
                data = data[os.write(self._fd, data) :]
        except OSError as error:
            message = (
                f"the record of the run cannot be written to {self._name}: {error.strerror}"
                " (without it no verdict counts: the run was ended)"
            )
            raise NoRoom(message) from error


def _ends_within_a_line(fd: int) -> bool:
    size = os.fstat(fd).st_size
    return size > 0 and os.pread(fd, 1, size - 1) != b"\n"
