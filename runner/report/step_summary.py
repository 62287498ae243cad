"""The Markdown that GitHub shows on a workflow run's page. Pure.

Foreign text in it mentions nobody, links nowhere, and closes no table, code block or tag.
"""

from __future__ import annotations

import re

from runner.model import Verdict
from runner.report.text import duration, failure_line, is_red, last_lines, needs_explaining, one_line, remark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.events import BoxFinished

LIMIT = 1024 * 1024
"""Bytes that GitHub takes for one step; a longer summary is refused as a whole."""

_PUNCTUATION = re.compile(r"([!#$*\[\\\]_`|~])")  # what means something inside a line; `&` and `<` become entities.
_BACKTICKS = re.compile(r"`+")
_ENOUGH = 4000
"""Characters of output that one red box may show."""


def step_summary(boxes: Sequence[BoxFinished], sentence: str, *, finished: bool = True) -> str:
    """What happened: red boxes with their reasons, then everything else folded away.

    Args:
        boxes: in the order in which they finished.
        sentence: the run's last line.
        finished: false when boxes of the plan have no verdict; such a run is never shown as green.
    """
    red = [event for event in boxes if is_red(event)]
    state = "❌" if red or not finished else "✅"
    pieces = [f"### {state} Interlock: {escape(sentence)}\n"]
    shown = [event for event in red if event.verdict not in {Verdict.BLOCKED, Verdict.CANCELLED}]
    if shown:
        pieces.append(_table(shown))
        pieces += [_output(event) for event in shown]
    known = {event.box for event in shown}
    rest = sorted((event for event in boxes if event.box not in known), key=lambda event: (event.tier, event.box))
    if rest:
        pieces.append(f"<details><summary>{len(rest)} more</summary>\n\n{_table(rest)}\n</details>\n")
    return fit(pieces)


def escape(text: str) -> str:
    """Foreign text as one line of Markdown that renders as itself."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _PUNCTUATION.sub(r"\\\1", line)
    # A backslash does not stop a mention, a reference or a bare link: those are looked for in the rendered text.
    for trigger in ("@", r"\#", "://", "www"):
        line = line.replace(trigger, f"{trigger}\u2060")
    return line


def fenced(text: str) -> str:
    """Foreign text as a code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}\n"


def _table(events: Iterable[BoxFinished]) -> str:
    rows = ["| box | tier | verdict | time | |", "|--|--|--|--|--|"]
    for event in events:
        verdict = remark(event) or event.verdict.value
        why = failure_line(event.failures[0]) if event.failures else "" if event.green else event.reason
        took = "" if event.verdict is Verdict.BLOCKED else duration(event.seconds)
        cells = [f"{event.box} {event.title}", str(event.tier), verdict, took, why]
        rows.append("| " + " | ".join(escape(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _output(event: BoxFinished) -> str:
    _, lines = last_lines(event.output, 40)
    if not lines or not needs_explaining(event):
        return ""
    text = "\n".join(lines)[-_ENOUGH:]
    return f"<details><summary>Output of {event.box.number}</summary>\n\n{fenced(text)}\n</details>\n"


def fit(pieces: Iterable[str]) -> str:
    """As many whole pieces as GitHub takes: half a table or an open fence would swallow what follows."""
    text = ""
    left_out = 0
    size = 0
    for piece in filter(None, pieces):
        size += len(piece.encode()) + 1
        if size > LIMIT - 200:
            left_out += 1
            continue
        text += piece + "\n"
    return text + (f"{left_out} parts left out: the summary would be over 1 MiB.\n" if left_out else "")
