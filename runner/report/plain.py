"""The report for pipes and CI logs: a line per finished box, then why, then the sum. Standard library only."""

from __future__ import annotations

from runner.events import (
    BoxFinished,
    BoxSlow,
    RunFinished,
    RunStarted,
    SetupFinished,
    SetupStarted,
    TierFinished,
    Warned,
)
from runner.report.text import (
    Tally,
    box_line,
    count_boxes,
    duration,
    encodable,
    explanation,
    inert,
    is_red,
    last_lines,
    needs_explaining,
    not_let_to,
    one_line,
    repro_lines,
    summary,
    symbols_for,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

    from runner.events import Event
    from runner.model import BoxId

INDENT = "    "


class Plain:
    """Writes what CI logs and pipes get.

    Args:
        out: a text stream; what its encoding lacks is escaped, and each event is flushed at once.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._encoding = out.encoding
        self._symbols = symbols_for(out.encoding)
        self._tally = Tally()
        self._red: list[BoxFinished] = []
        self._titles: dict[BoxId, str] = {}
        self._planned = 0
        self._done = 0
        self._began = 0.0
        self._last = 0.0
        self._open = False

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        self._last = getattr(event, "at", self._last)
        if isinstance(event, BoxFinished):
            self._box_finished(event)
        elif isinstance(event, RunStarted):
            self._run_started(event)
        elif isinstance(event, TierFinished):
            self._write(self._tally.tier_line(event))
        elif isinstance(event, BoxSlow):
            title = one_line(self._titles.get(event.box, ""))
            self._write(f"{self._symbols.dot} {event.box} {title}  still running after {duration(event.seconds)}")
        elif isinstance(event, SetupStarted):
            self._write(f"setup{_of(event.suite)}: {one_line(event.run)}")
        elif isinstance(event, SetupFinished):
            self._setup_finished(event)
        elif isinstance(event, Warned):
            self._write(f"! {one_line(event.message)}")
        elif isinstance(event, RunFinished):
            self._end(event.seconds)
        self._out.flush()

    def close(self) -> None:
        """A run that broke off gets its sum all the same, with the boxes that have no verdict."""
        if self._open:
            self._write("the run did not finish")
            self._end(max(0.0, self._last - self._began))
            self._out.flush()

    def _run_started(self, event: RunStarted) -> None:
        self._open = True
        self._began = event.at
        self._planned = len(event.boxes)
        self._done = sum(planned.done for planned in event.boxes)
        self._titles = {planned.box: planned.title for planned in event.boxes}
        tiers = len({planned.tier for planned in event.boxes})
        parts = [f"sandbox: {event.sandbox}"]
        if event.trust:
            parts.append(f"trust {event.trust}")
        parts.append(f"{count_boxes(self._planned)} in {tiers} {'tier' if tiers == 1 else 'tiers'}")
        parts.append(f"{event.jobs} at a time")
        self._write(f" {self._symbols.dot} ".join(parts))

    def _box_finished(self, event: BoxFinished) -> None:
        self._tally.add(event)
        if is_red(event) and needs_explaining(event):
            self._red.append(event)
        self._write(box_line(event, self._symbols))
        for line in explanation(event, self._symbols):
            self._write(INDENT + line)

    def _setup_finished(self, event: SetupFinished) -> None:
        mark = self._symbols.passed if event.ok else self._symbols.red
        took = "reused" if event.cached else duration(event.seconds)
        self._write(f"{mark} setup{_of(event.suite)}  {took}")
        if event.refused:
            self._write(INDENT + not_let_to(event.refused))
        if not event.ok:
            self._write(INDENT + one_line(event.reason or "it did not succeed"))
            for line in last_lines(event.output)[1]:
                self._write(f"{INDENT}{self._symbols.bar} {line}".rstrip())

    def _end(self, seconds: float) -> None:
        self._open = False
        self._write("")
        self._write(
            summary(self._tally, planned=self._planned, done=self._done, seconds=seconds, symbols=self._symbols)
        )
        for command in repro_lines(self._red):
            self._write(command)

    def _write(self, line: str) -> None:
        self._out.write(encodable(inert(line), self._encoding) + "\n")


def _of(suite: str) -> str:
    return f" of {suite}" if suite else ""
