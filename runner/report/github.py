"""The report inside a GitHub Actions step: groups, annotations, and the step summary.

Two grammars of workflow commands are live in every line of a step's log: `::name …::data` at a line's start (white
space before it is skipped) and the older `##[name …]data` anywhere. So foreign text never starts a line, `##[` is
broken up, and a box's output stands inside `::stop-commands::` with a token that it cannot guess.
Source: actions/runner, src/Runner.Common/ActionCommand.cs.
"""

from __future__ import annotations

import os

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
from runner.report.step_summary import step_summary
from runner.report.text import (
    UNICODE,
    Tally,
    box_line,
    clean,
    count_boxes,
    duration,
    encodable,
    failure_line,
    inert,
    is_red,
    last_lines,
    needs_explaining,
    not_let_to,
    one_line,
    repro_lines,
    summary,
    word,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

    from runner.events import Event

GROUP_LINES = 400
"""Lines of a red box's output in its group: the end of it; the whole is in the run's log directory."""


def place_of(root: str, environ: Mapping[str, str]) -> str:
    """What annotations put before a path of the tree at `root`: GitHub reads them from the workspace on."""
    workspace = environ.get("GITHUB_WORKSPACE", "")
    within = os.path.relpath(os.path.realpath(root), os.path.realpath(workspace)) if workspace else "."
    return "" if within == "." or within.startswith("..") else f"{within}/"


class Console:
    """A step's standard output: lines of ours, commands, and groups around foreign output."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def command(self, name: str, properties: dict[str, str], data: str) -> None:
        """A workflow command."""
        pairs = ",".join(f"{key}={escape_property(value)}" for key, value in properties.items() if value)
        self.write(f"::{name}{' ' + pairs if pairs else ''}::{escape_data(data)}")

    def say(self, text: str) -> None:
        """A line of ours that quotes foreign text: one line, and no command in either grammar."""
        self.write(inert(" ".join(clean(text).split("\n"))[:1000]))

    def group(self, title: str, output: Sequence[str], said: Iterable[str], *, left_out: int = 0) -> None:
        """What a box printed, folded away under a title, after what we say about it."""
        self.command("group", {}, title)
        for sentence in filter(None, said):
            self.say(f"  {sentence}")
        if left_out:
            self.say(f"({left_out} earlier lines left out)")
        if output:
            token = os.urandom(16).hex()
            self.write(f"::stop-commands::{token}")
            for line in output:
                self.write(line)
            self.write(f"::{token}::")
        self.write("::endgroup::")

    def write(self, line: str) -> None:
        """A line as it is."""
        self._out.write(encodable(line, self._out.encoding) + "\n")

    def flush(self) -> None:
        """Let it be seen."""
        self._out.flush()


class Github:
    """Writes the step's log to `out`, and at the end the summary to `summary_path`.

    Args:
        out: the step's standard output.
        summary_path: the file that $GITHUB_STEP_SUMMARY names; "" writes no summary.
        place: what annotations put before each path, see `place_of`.
    """

    def __init__(self, out: TextIO, *, summary_path: str = "", place: str = "") -> None:
        self._console = Console(out)
        self._place = place
        self._summary_path = summary_path
        self._tally = Tally()
        self._boxes: list[BoxFinished] = []
        self._planned = 0
        self._sandbox = ""
        self._done = 0
        self._began = 0.0
        self._last = 0.0
        self._open = False

    def __call__(self, event: Event) -> None:
        """Take the next event."""
        self._last = getattr(event, "at", self._last)
        if isinstance(event, RunStarted):
            self._open = True
            self._began = event.at
            self._planned = len(event.boxes)
            self._sandbox = event.sandbox
            self._done = sum(planned.done for planned in event.boxes)
            self._console.say(f"sandbox: {event.sandbox} · {count_boxes(self._planned)} · {event.jobs} at a time")
        elif isinstance(event, BoxFinished):
            self._box_finished(event)
        elif isinstance(event, BoxSlow):
            self._console.say(f"· {event.box}  still running after {duration(event.seconds)}")
        elif isinstance(event, TierFinished):
            self._console.say(self._tally.tier_line(event))
        elif isinstance(event, SetupStarted):
            self._console.say(f"setup: {event.run}")
        elif isinstance(event, SetupFinished):
            self._setup_finished(event)
        elif isinstance(event, Warned):
            self._console.command("warning", {"title": "Interlock"}, event.message)
        elif isinstance(event, RunFinished):
            self._end(event.seconds)
        self._console.flush()

    def close(self) -> None:
        """A run that broke off gets its sum and its summary all the same."""
        if self._open:
            self._console.command("error", {"title": "Interlock"}, "the run did not finish")
            self._end(max(0.0, self._last - self._began))
            self._console.flush()

    def _box_finished(self, event: BoxFinished) -> None:
        self._tally.add(event)
        # Without its output: the summary shows the end of it, and a run's outputs together may be large.
        self._boxes.append(event if event.output and needs_explaining(event) else _without_output(event))
        line = box_line(event, UNICODE)
        if not event.output and not event.refused and not needs_explaining(event):
            self._console.say(line)
            return
        told = [failure_line(failure) for failure in event.failures]
        told += [not_let_to(event.refused)] if event.refused else []
        self._group(line, event.output, told, event.reason)
        if needs_explaining(event):
            for place, message in _annotations(event, self._place):
                name = "error" if is_red(event) else "warning"
                self._console.command(name, {**place, "title": f"{event.box} {event.title}"}, message)

    def _setup_finished(self, event: SetupFinished) -> None:
        if event.cached:
            self._console.say("setup reused")
            return
        told = [not_let_to(event.refused)] if event.refused else []
        self._group(
            f"setup {'done' if event.ok else 'failed'}  {duration(event.seconds)}", event.output, told, event.reason
        )
        if not event.ok:
            self._console.command("error", {"title": "setup"}, event.reason or "it did not succeed")

    def _group(self, title: str, output: str, failures: list[str], reason: str) -> None:
        left_out, lines = last_lines(output, GROUP_LINES)
        self._console.group(title, lines, (reason, *failures), left_out=left_out)

    def _end(self, seconds: float) -> None:
        self._open = False
        self._console.say(
            summary(self._tally, planned=self._planned, done=self._done, seconds=seconds, symbols=UNICODE)
        )
        for command in repro_lines([event for event in self._boxes if is_red(event) and needs_explaining(event)]):
            self._console.say(command)
        if self._summary_path:
            sentence = summary(self._tally, planned=self._planned, done=self._done, seconds=seconds, symbols=UNICODE)
            missing = self._planned - self._done - len(self._tally.finished)
            where = f"{sentence} · sandbox: {self._sandbox}" if self._sandbox else sentence
            text = step_summary(self._boxes, where, finished=not missing)
            try:
                with open(self._summary_path, "a", encoding="utf-8") as file:
                    file.write(text)
            except OSError as error:
                error.filename = self._summary_path  # a write that fails names no file.
                raise


def escape_data(text: str) -> str:
    """A command's data. `##[` is broken up as well: the older grammar looks for it anywhere in a line."""
    text = text.replace("##[", "#\u200b#[")
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def escape_property(text: str) -> str:
    """A command's property: data in which `:` and `,` end nothing."""
    return escape_data(one_line(text)).replace(":", "%3A").replace(",", "%2C")


def _annotations(event: BoxFinished, before: str) -> Iterator[tuple[dict[str, str], str]]:
    """Each failing assertion at its line; one at the box itself when none has a place."""
    placed = [failure for failure in event.failures if failure.file]
    for failure in placed:
        line = {"line": str(failure.line)} if failure.line else {}
        said = ": ".join(filter(None, (one_line(failure.id), one_line(failure.message, 2000))))
        yield {"file": before + failure.file, **line}, said or event.reason or word(event.verdict)
    if not placed:
        said = one_line(event.reason, 2000) or word(event.verdict)
        said += "".join("\n" + failure_line(failure) for failure in event.failures)
        line = {"line": str(event.line)} if event.source and event.line else {}
        yield {"file": before + event.source if event.source else "", **line}, said


def _without_output(event: BoxFinished) -> BoxFinished:
    kept = {name: getattr(event, name) for name in event.__slots__ if name != "output"}
    return BoxFinished(**kept)
