"""The report for a terminal: what runs now, redrawn in place, and above it what is settled."""

from __future__ import annotations

import time

from rich.console import Console, Group
from rich.live import Live as Screen
from rich.text import Text

from runner.events import (
    BoxFinished,
    BoxSlow,
    BoxStarted,
    RunFinished,
    RunStarted,
    SetupFinished,
    SetupStarted,
    TierFinished,
    TierStarted,
    Warned,
)
from runner.model import Verdict
from runner.report.text import (
    Tally,
    count_boxes,
    duration,
    explanation,
    failure_line,
    is_red,
    last_lines,
    mark,
    needs_explaining,
    not_let_to,
    one_line,
    remark,
    repro_lines,
    summary,
    symbols_for,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import RenderableType

    from runner.events import Event
    from runner.model import BoxId


class Live:
    """Draws on a terminal.

    Args:
        console: where to draw; the default is standard output. NO_COLOR and the width are rich's to honour; the width
            is asked for at each redraw, so a resize needs nothing.
        clock: Unix seconds, for the elapsed times of running boxes.
        refresh: redraws itself ten times a second from a thread; without it only events redraw.
    """

    def __init__(
        self, console: Console | None = None, *, clock: Callable[[], float] = time.time, refresh: bool = True
    ) -> None:
        self._console = console or Console(highlight=False, soft_wrap=False)
        self._symbols = symbols_for(self._console.encoding)
        self._clock = clock
        self._refresh = refresh  # Drawing at each event as well would cost more than a quick box.
        self._tally = Tally()
        self._boxes: list[BoxFinished] = []
        self._running: dict[BoxId, BoxStarted] = {}
        self._slow: set[BoxId] = set()
        self._titles: dict[BoxId, str] = {}
        self._setup: SetupStarted | None = None
        self._planned = 0
        self._done = 0
        self._began = 0.0
        self._open = False
        self._screen = Screen(
            get_renderable=self._now,
            console=self._console,
            transient=True,
            auto_refresh=refresh,
            refresh_per_second=10,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        if isinstance(event, BoxStarted):
            self._running[event.box] = event
        elif isinstance(event, BoxFinished):
            self._box_finished(event)
        elif isinstance(event, BoxSlow):
            self._slow.add(event.box)
        elif isinstance(event, RunStarted):
            self._run_started(event)
        elif isinstance(event, TierStarted):
            self._print(Text(f"tier {event.tier}", style="bold"))
        elif isinstance(event, TierFinished) and not event.green and event.tier in self._tally.tiers:
            self._print(Text(f"tier {event.tier} is red", style="bold red"))
        elif isinstance(event, SetupStarted):
            self._setup = event
        elif isinstance(event, SetupFinished):
            self._setup_finished(event)
        elif isinstance(event, Warned):
            self._print(Text(f"! {one_line(event.message)}", style="yellow"))
        elif isinstance(event, RunFinished):
            self._end(event.seconds)
            return
        if self._open and not self._refresh:
            self._screen.refresh()

    def close(self) -> None:
        """Give the terminal back, also after a run that broke off."""
        if self._open:
            self._print(Text("the run did not finish", style="bold red"))
            self._end(max(0.0, self._clock() - self._began))

    def _run_started(self, event: RunStarted) -> None:
        self._planned = len(event.boxes)
        self._done = sum(planned.done for planned in event.boxes)
        self._titles = {planned.box: one_line(planned.title) for planned in event.boxes}
        self._began = event.at
        self._open = True
        dot = f" {self._symbols.dot} "
        self._print(
            Text(
                dot.join([f"sandbox: {event.sandbox}", count_boxes(self._planned), f"{event.jobs} at a time"]),
                style="dim",
            )
        )
        self._screen.start()

    def _box_finished(self, event: BoxFinished) -> None:
        self._running.pop(event.box, None)
        self._tally.add(event)
        self._boxes.append(event)
        if event.verdict is Verdict.BLOCKED:
            return  # the table at the end names them; a screenful of them would hide the box that is red.
        self._print(self._line(event))
        for line in explanation(event, self._symbols):
            self._print(Text(f"    {line}", style="" if line.startswith(self._symbols.bar) else "red"))

    def _setup_finished(self, event: SetupFinished) -> None:
        self._setup = None
        if event.cached:
            self._print(Text("  setup reused", style="dim"))
        if event.refused:
            self._print(Text(f"  setup {not_let_to(event.refused)}"))
        if not event.ok:
            self._print(Text(f"{self._symbols.red} setup: {one_line(event.reason)}", style="bold red"))
            for line in last_lines(event.output)[1]:
                self._print(Text(f"    {self._symbols.bar} {line}"))

    def _end(self, seconds: float) -> None:
        self._open = False
        self._screen.stop()
        rows = [self._row(event) for event in self._worth_a_row()]
        if rows:
            self._console.print()
        for row in rows:
            self._console.print(row, no_wrap=True, overflow="ellipsis")
        self._console.print()
        red = [event for event in self._boxes if is_red(event)]
        sentence = summary(self._tally, planned=self._planned, done=self._done, seconds=seconds, symbols=self._symbols)
        unfinished = len(self._tally.finished) + self._done < self._planned
        self._print(Text(sentence, style="bold red" if red or unfinished else "bold green"))
        for command in repro_lines([event for event in red if needs_explaining(event)]):
            self._print(Text(command, style="cyan"))

    def _now(self) -> RenderableType:
        """The part that is redrawn: a line for each running box, then how far the run is."""
        now = self._clock()
        lines: list[RenderableType] = []
        if self._setup is not None:
            lines.append(_cut(Text(f"  setup: {one_line(self._setup.run)}  {duration(now - self._setup.at)}")))
        room = max(1, self._console.height - 3)
        running = list(self._running.values())
        lines += [self._running_line(started, now) for started in running[:room]]
        if len(running) > room:
            lines.append(Text(f"  and {len(running) - room} more"))
        finished = len(self._tally.finished) + self._done
        dot = f" {self._symbols.dot} "
        parts = [f"{finished}/{self._planned}", *self._tally.parts(), duration(max(0.0, now - self._began))]
        lines.append(_cut(Text(dot.join(parts), style="dim")))
        return Group(*lines)

    def _running_line(self, started: BoxStarted, now: float) -> Text:
        took = duration(max(0.0, now - started.at))
        attempt = f"  attempt {started.attempt}" if started.attempt > 1 else ""
        slow = started.box in self._slow
        end = f"{attempt}  {took}{'  slow' if slow else ''}"
        title = f"  {started.box} {self._titles.get(started.box, '')}"
        room = max(8, self._console.width - len(end) - 1)
        if len(title) > room:
            title = title[: room - 1] + "…"
        return _cut(Text(title + end, style="yellow" if slow else ""))

    def _line(self, event: BoxFinished) -> Text:
        line = Text(mark(event, self._symbols), style=_style(event))
        line.append(f" {event.box} {one_line(event.title)}", style="" if event.green else "bold")
        if note := remark(event):
            line.append(f"  {note}", style=_style(event))
        if event.verdict is not Verdict.BLOCKED:
            slow = event.box in self._slow
            took = f"  {duration(event.seconds)}{' slow' if slow else ''}"
            line.append(took, style="yellow" if slow else "dim")
        return line

    def _row(self, event: BoxFinished) -> Text:
        """A box in the list at the end, on one line of whatever width there is."""
        line = self._line(event)
        if event.failures and not event.green:
            line.append(f"  {failure_line(event.failures[0])}", style="dim")
        return _cut(line)

    def _worth_a_row(self) -> Iterator[BoxFinished]:
        """Red boxes first, then what they blocked, then the slow ones; plain passes were seen already."""

        def rank(event: BoxFinished) -> tuple[bool, bool, BoxId]:
            return (event.green, not needs_explaining(event), event.box)

        worth = [event for event in self._boxes if not event.green or event.box in self._slow]
        yield from sorted(worth, key=rank)

    def _print(self, line: Text) -> None:
        self._console.print(line, overflow="fold")


def _cut(line: Text) -> Text:
    line.no_wrap = True
    line.overflow = "ellipsis"
    return line


def _style(event: BoxFinished) -> str:
    if event.verdict in {Verdict.BLOCKED, Verdict.CANCELLED}:
        return "dim"
    if not event.green:
        return "bold red" if event.gating else "yellow"
    return "yellow" if event.verdict in {Verdict.FLAKY, Verdict.SKIPPED} else "green"
