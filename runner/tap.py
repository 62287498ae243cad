"""Reads TAP (the Test Anything Protocol, versions 13 and 14) from a box's standard output as it comes. No I/O.

What counts is said in docs/reference/box-protocol.md, clauses P-20 to P-29.
"""

from __future__ import annotations

import re

from runner.later import later
from runner.model import Failure, Value
from runner.text import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_LINE = 8 * 1024  # bytes; a longer line is output, not TAP.
MOST_FAILURES = 200  # kept with their text; all are counted.
LONGEST_DIAGNOSTIC = 1024  # characters of `#` and indented lines kept after a `not ok`.

_NEEDLES = (b"ok", b"1..", b"TAP version", b"Bail out!")
_POINT = later(r"(not )?ok(?=\s|$)\s*(?:\d+(?=\s|$))?\s*(?:-\s+)?(.*)", re.DOTALL)
_DIRECTIVE = later(r"(?:^|\s)#\s*(skip|todo)(?=[\s:]|$)[\s:]*(.*)", re.IGNORECASE | re.DOTALL)
_PLAN = later(r"1\.\.(\d{1,9})\s*(?:#\s*(.*))?")
_SKIP = later(r"skip(?:ped)?(?=[\s:]|$)[\s:]*(.*)", re.IGNORECASE | re.DOTALL)
_VERSION = later(r"TAP version \d+\s*")


class TapSummary(Value):
    """What a whole stream said.

    `declared`: it called itself TAP, by a plan or a version line. `plan`: the N of `1..N`, None without one; `plans`:
    how many there were. `points`: test lines; `asserts`: those that could have turned red, and, unless declared, only
    those that did; `red`: those that did. `skipped` and `todo` count points. `skip_all`: the reason of `1..0 # SKIP`,
    None without it. `bail_out`: the text after `Bail out!`, None without it. `failures` holds the first red points.
    """

    __slots__ = (
        "asserts",
        "bail_out",
        "declared",
        "failures",
        "plan",
        "plans",
        "points",
        "red",
        "skip_all",
        "skipped",
        "todo",
    )

    def __init__(
        self,
        *,
        declared: bool = False,
        plan: int | None = None,
        plans: int = 0,
        points: int = 0,
        asserts: int = 0,
        red: int = 0,
        skipped: int = 0,
        todo: int = 0,
        skip_all: str | None = None,
        bail_out: str | None = None,
        failures: Sequence[Failure] = (),
    ) -> None:
        self.declared = declared
        self.plan = plan
        self.plans = plans
        self.points = points
        self.asserts = asserts
        self.red = red
        self.skipped = skipped
        self.todo = todo
        self.skip_all = skip_all
        self.bail_out = bail_out
        self.failures = tuple(failures)


class TapReader:
    """Feed it the stream in pieces of any size; its memory does not grow with the stream.

    Args:
        redact: takes secrets out of a text that is kept, before it is cut. What the stream means is read as it came.
    """

    def __init__(self, redact: Callable[[str], str] = str) -> None:
        self._redact = redact
        self._carry = b""
        self._overlong = False
        self._declared = False
        self._plan: int | None = None
        self._plans = 0
        self._green = self._red = self._skipped = self._todo = 0
        self._skip_all: str | None = None
        self._bail_out: str | None = None
        self._failures: list[Failure] = []
        self._diagnostic: list[str] | None = None

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._overlong:
            _, newline, chunk = chunk.partition(b"\n")
            if not newline:
                return
            self._overlong = False
        whole, newline, self._carry = (self._carry + chunk).rpartition(b"\n")
        if len(self._carry) > LONGEST_LINE:
            self._overlong = True
            self._carry = b""
        # Most output has no TAP in it; four searches cost far less than a look at every line.
        if newline and (self._diagnostic is not None or any(needle in whole for needle in _NEEDLES)):
            for line in whole.split(b"\n"):
                self._take(line)

    def close(self) -> TapSummary:
        """The stream has ended; what did it say?"""
        if self._carry:
            self._take(self._carry)
        self._end_diagnostic()
        return TapSummary(
            declared=self._declared,
            plan=self._plan,
            plans=self._plans,
            points=self._green + self._red + self._skipped + self._todo,
            asserts=self._red + (self._green if self._declared else 0),
            red=self._red,
            skipped=self._skipped,
            todo=self._todo,
            skip_all=self._skip_all,
            bail_out=self._bail_out,
            failures=self._failures,
        )

    def _take(self, raw: bytes) -> None:
        if len(raw) > LONGEST_LINE:
            self._end_diagnostic()
            return
        if self._diagnostic is not None:
            if raw[:1] in {b"#", b" ", b"\t"}:
                self._diagnostic.append(raw.decode("utf-8", "replace").lstrip("#").strip())
                return
            self._end_diagnostic()
        if raw[:1] not in {b"n", b"o", b"1", b"T", b"B"}:
            return
        line = raw.decode("utf-8", "replace").rstrip()
        if match := _POINT.fullmatch(line):
            self._point(match[2], ok=not match[1])
        elif match := _PLAN.fullmatch(line):
            self._planned(int(match[1]), match[2] or "")
        elif _VERSION.fullmatch(line):
            self._declared = True
        elif line.startswith("Bail out!"):
            self._bail_out = clean(self._redact(line.removeprefix("Bail out!").strip()), 200)

    def _planned(self, count: int, comment: str) -> None:
        self._declared = True
        self._plans += 1
        self._plan = count
        if count == 0 and (match := _SKIP.match(comment)):
            self._skip_all = clean(self._redact(match[1]), 200)

    def _point(self, said: str, *, ok: bool) -> None:
        if "#" in said and (directive := _DIRECTIVE.search(said)):
            if directive[1].lower() == "skip":
                self._skipped += 1
            else:
                self._todo += 1
        elif ok:
            self._green += 1
        else:
            self._red += 1
            if len(self._failures) < MOST_FAILURES:
                self._failures.append(Failure(id=clean(self._redact(said), 300)))
                self._diagnostic = []

    def _end_diagnostic(self) -> None:
        if self._diagnostic is not None:
            message = clean(self._redact("\n".join(self._diagnostic)), LONGEST_DIAGNOSTIC)
            self._failures[-1] = Failure(id=self._failures[-1].id, message=message)
            self._diagnostic = None
