"""Which lines a change has, read from git's own diff, so that what a person looks at is told about first."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

_HUNK = re.compile(rb"@@ -[0-9]+(?:,([0-9]+))? \+([0-9]+)(?:,([0-9]+))? @@")
_FILE = b"+++ b/"


@dataclass(frozen=True, slots=True)
class ChangedLines:
    """The lines that a change added or altered: for each path pairs of first line and number of lines, ascending."""

    by_path: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def has(self, path: str, line: int) -> bool:
        """Whether the change has this line (1-based) of a file."""
        ranges = self.by_path.get(path, ())
        place = bisect_right(ranges, (line, 1 << 62)) - 1
        return place >= 0 and ranges[place][0] <= line < sum(ranges[place])


NO_LINES = ChangedLines()


def changed_lines(diff: bytes) -> ChangedLines:
    """The new lines of a unified diff without context (`-U0`).

    Lines of a file never pass for lines of the diff: each hunk says how many it has. What cannot be read is left out,
    and so are files whose names git has to quote.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    path, lines = "", iter(diff.split(b"\n"))
    for line in lines:
        if line.startswith(b"+++ "):
            path = line[len(_FILE) :].rstrip(b"\t").decode("utf-8", "replace") if line.startswith(_FILE) else ""
        elif hunk := _HUNK.match(line):
            old, start, new = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)
            if path and new:
                found.setdefault(path, []).append((start, new))
            for _ in range(old + new):
                next(lines, b"")
    return ChangedLines({path: tuple(ranges) for path, ranges in found.items()})
