"""What a process that stays has printed: a file that never grows beyond its size for long."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

MOST = 8 * 1024 * 1024
"""Bytes of a log. As many are kept of what was before."""

_TAIL = 64 * 1024


class Printed:
    """One log. Whoever prints appends, so that it can be emptied under their hands."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> BinaryIO:
        """To append to."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.trim()
        return self._path.open("ab", buffering=0)

    def trim(self) -> None:
        """Put what is there beside it and begin anew, if it is too long. What is printed meanwhile may be lost."""
        self._put_beside(longer_than=MOST)

    def renew(self) -> None:
        """Put what is there beside it: what is printed from now on is of another release."""
        self._put_beside(longer_than=0)

    def _put_beside(self, *, longer_than: int) -> None:
        try:
            with self._path.open("r+b") as stream:
                size = os.fstat(stream.fileno()).st_size
                if size <= longer_than:
                    return
                stream.seek(max(0, size - MOST))
                before = self._path.with_name(f"{self._path.name}.1")
                before.write_bytes(stream.read())
                stream.truncate(0)
        except FileNotFoundError:
            return

    def tail(self, lines: int) -> str:
        """The last lines, of 64 KiB at most; "" when nothing was printed."""
        try:
            with self._path.open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - _TAIL))
                text = stream.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])
