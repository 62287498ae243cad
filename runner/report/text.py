"""How verdicts, durations and a box's own output become lines of text. Pure; standard library only.

A box's output, title and messages are foreign text: everything here that returns a line returns exactly one, without
control characters, so that no box can draw over another's result.
"""

from __future__ import annotations

from runner.later import later
from runner.model import Value, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.events import BoxFinished, TierFinished
    from runner.model import BoxId, Failure

OUTPUT_LINES = 20
"""Lines of a red box's output that a report repeats."""

# CSI, OSC (ended by BEL or ST), other two-character escapes, and the 8-bit forms of the first two.
_ESCAPES = later(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?"
)
_TABLE: dict[int, str | None] = {}  # Made when a text needs it: two thousand entries.
_WORDS = {Verdict.TIMED_OUT: "timed out"}
_ORDER = tuple(Verdict)


def clean(text: str) -> str:
    """Foreign text without escape sequences, control and text-direction characters; each line end becomes a newline."""
    if text.isprintable():
        return text
    return _ESCAPES.sub("", text).replace("\r\n", "\n").translate(_table())


def _table() -> dict[int, str | None]:
    """What becomes of single characters."""
    if not _TABLE:
        _TABLE.update(dict.fromkeys(range(0xD800, 0xE000), "\ufffd"))
        _TABLE.update(
            dict.fromkeys([*range(9), *range(0x0E, 0x1C), 0x1F, *range(0x7F, 0x85), *range(0x86, 0xA0), 0xFEFF])
        )
        # Text direction marks and overrides: they make a line read otherwise than it is.
        _TABLE.update(dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]))
        _TABLE.update(dict.fromkeys(map(ord, "\r\v\f\x1c\x1d\x1e\x85\u2028\u2029"), "\n"))
    return _TABLE


def one_line(text: str, limit: int = 300) -> str:
    """Foreign text as a single line of at most `limit` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def inert(line: str) -> str:
    """A line that may quote foreign text, so that GitHub Actions takes no order from it, in either of its grammars.

    Its `::error ...::` counts at the beginning of a line, its older `##[error]` anywhere.
    """
    line = line.replace("##[", "#\u200b#[")
    return f"\u200b{line}" if line.lstrip().startswith("::") else line


def duration(seconds: float) -> str:
    """Three significant places are enough for a person: `0.31s`, `12.3s`, `2m05s`, `1h02m`."""
    if seconds < 9.995:
        return f"{seconds:.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"


def word(verdict: Verdict) -> str:
    """A verdict as people write it."""
    return _WORDS.get(verdict, verdict.value)


class Symbols(Value):
    """The marks before a box, and the ornaments around it, in what the stream can encode."""

    __slots__ = ("bar", "dot", "flaky", "idle", "passed", "red")

    def __init__(self, *, passed: str, red: str, flaky: str, idle: str, dot: str, bar: str) -> None:
        self.passed = passed
        self.red = red
        self.flaky = flaky
        self.idle = idle
        self.dot = dot
        self.bar = bar


UNICODE = Symbols(passed="✓", red="✗", flaky="≈", idle="○", dot="·", bar="│")
ASCII = Symbols(passed="+", red="x", flaky="~", idle="-", dot="-", bar="|")


def symbols_for(encoding: str | None) -> Symbols:
    """The marks that a stream of this encoding can show."""
    try:
        "".join(getattr(UNICODE, name) for name in UNICODE.__slots__).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def encodable(text: str, encoding: str | None) -> str:
    """The text with what the encoding lacks written as escapes, so that a title never breaks a report."""
    try:
        text.encode(encoding or "ascii")
    except UnicodeEncodeError:
        return text.encode(encoding or "ascii", "backslashreplace").decode(encoding or "ascii")
    return text


def is_red(event: BoxFinished) -> bool:
    """The box closes the gate: not green, and not quarantined."""
    return not event.green and event.gating


def needs_explaining(event: BoxFinished) -> bool:
    """The box ran and is not green (a blocked or cancelled box has nothing to show)."""
    return not event.green and event.verdict not in {Verdict.BLOCKED, Verdict.CANCELLED}


def mark(event: BoxFinished, symbols: Symbols) -> str:
    """One character for what the verdict means here: a skip that was not allowed is as red as a failure."""
    if event.verdict in {Verdict.BLOCKED, Verdict.CANCELLED}:
        return symbols.idle
    if not event.green:
        return symbols.red
    if event.verdict is Verdict.FLAKY:
        return symbols.flaky
    return symbols.idle if event.verdict is Verdict.SKIPPED else symbols.passed


def remark(event: BoxFinished) -> str:
    """What follows the title: nothing for a plain pass."""
    parts = [] if event.verdict is Verdict.PASSED else [word(event.verdict)]
    if event.verdict is Verdict.BLOCKED and event.blocked_by:
        parts = [f"blocked by {event.blocked_by}"]
    if event.verdict is Verdict.FLAKY:
        parts = [f"flaky, passed on attempt {event.attempts}"]
    elif event.attempts > 1:
        parts.append(f"{event.attempts} attempts")
    if event.verdict is Verdict.SKIPPED and event.green and event.reason:
        parts = [f"skipped: {one_line(event.reason, 100)}"]
    if not event.gating:
        parts.append("quarantined")
    return ", ".join(parts)


def box_line(event: BoxFinished, symbols: Symbols) -> str:
    """`✗ 21 Locks after five failures  failed  0.31s`."""
    parts = [f"{mark(event, symbols)} {event.box} {one_line(event.title)}"]
    if note := remark(event):
        parts.append(note)
    if event.verdict not in {Verdict.BLOCKED, Verdict.CACHED}:
        parts.append(duration(event.seconds))
    return "  ".join(parts)


def failure_line(failure: Failure) -> str:
    """`tests/test_login.py:12  locked-after-5: expected 423, got 200`."""
    place = one_line(failure.file) + (f":{failure.line}" if failure.line else "") if failure.file else ""
    said = ": ".join(filter(None, (one_line(failure.id), one_line(failure.message))))
    return "  ".join(filter(None, (place, said)))


def not_let_to(refused: Sequence[str]) -> str:
    """The hosts that somebody asked for and did not get."""
    return f"was not let to {one_line(', '.join(refused))}"


def last_lines(output: str, limit: int = OUTPUT_LINES) -> tuple[int, list[str]]:
    """How many lines are left out, and the last `limit` lines of a box's output, cleaned, none over 500 characters."""
    lines = clean(output).rstrip("\n").split("\n")
    lines = [line.rstrip()[:500] for line in lines]
    if lines == [""]:
        return 0, []
    return max(0, len(lines) - limit), lines[-limit:]


def explanation(event: BoxFinished, symbols: Symbols) -> list[str]:
    """Why a box is not green, and what it said last; also what any box left running."""
    lines: list[str] = []
    if needs_explaining(event):
        if event.reason:
            lines.append(one_line(event.reason))
        lines += [failure_line(failure) for failure in event.failures]
        if event.source and not any(failure.file for failure in event.failures):
            lines.append(f"{event.source}:{event.line}" if event.line else event.source)
        left_out, tail = last_lines(event.output)
        if left_out:
            whole = f", all in {event.log}" if event.log else ""
            lines.append(f"{symbols.bar} ({left_out} earlier lines{whole})")
        lines += [f"{symbols.bar} {line}".rstrip() for line in tail]
    if event.leaked:
        lines.append(f"left running, now ended: {one_line(', '.join(event.leaked))}")
    if event.refused:
        lines.append(not_let_to(event.refused))
    return lines


class Tally:
    """Counts verdicts as they come, for the last line of a report."""

    def __init__(self) -> None:
        self.counts: dict[Verdict, int] = {}
        self.blockers: dict[str, int] = {}
        self.finished: set[BoxId] = set()
        self.tiers: set[int] = set()  # of which a box ran

    def add(self, event: BoxFinished) -> None:
        """Count one finished box."""
        self.finished.add(event.box)
        self.counts[event.verdict] = self.counts.get(event.verdict, 0) + 1
        if event.verdict is Verdict.BLOCKED:
            self.blockers[event.blocked_by] = self.blockers.get(event.blocked_by, 0) + 1
        else:
            self.tiers.add(event.tier)

    def tier_line(self, event: TierFinished) -> str:
        """`tier 2 is red  1.20s`, or that it was not reached."""
        if event.tier not in self.tiers and not event.green:
            return f"tier {event.tier} did not run"
        return f"tier {event.tier} is {'green' if event.green else 'red'}  {duration(event.seconds)}"

    def parts(self, done: int = 0) -> list[str]:
        """`["9 passed", "1 failed", "2 blocked by 7"]`; `done` boxes have their verdict from an earlier run."""
        parts = [f"{self.counts[v]} {word(v)}" for v in _ORDER if v in self.counts and v is not Verdict.BLOCKED]
        for blocker, count in self.blockers.items():
            parts.append(f"{count} blocked by {blocker}" if blocker else f"{count} blocked")
        if done:
            parts.append(f"{done} done earlier")
        return parts


def summary(tally: Tally, *, planned: int, done: int, seconds: float, symbols: Symbols) -> str:
    """`12 boxes: 9 passed, 1 failed, 2 blocked by 7 · 3.2 s`; says so when boxes have no verdict."""
    parts = tally.parts(done)
    if missing := planned - done - len(tally.finished):
        parts.append(f"{missing} without a verdict")
    took = f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
    return f"{count_boxes(planned)}: {', '.join(parts) or 'none ran'} {symbols.dot} {took}"


def count_boxes(count: int) -> str:
    """`1 box`, `12 boxes`."""
    return "1 box" if count == 1 else f"{count} boxes"


def repro_lines(red: Sequence[BoxFinished], limit: int = 10) -> list[str]:
    """The commands that run the red boxes again, each once."""
    commands = list(dict.fromkeys(one_line(event.repro) for event in red if event.repro))
    return commands[:limit]
