"""The event stream: everything that a report, the bot or another run may know about a run.

One JSON object a line; the first line is the schema. The stream only grows: a reader ignores types and fields that it
does not know. Times are Unix seconds, durations are seconds. Reference: docs/reference/events.md.
"""

from __future__ import annotations

import json

from runner.model import BoxId, Failure, Metric, Value, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

SCHEMA = "runner.events/1"


class RunStarted(Value):
    """The plan is made; nothing has been started. `boxes` is the whole plan in order (see `PlannedBox`)."""

    __slots__ = ("at", "boxes", "jobs", "run_id", "sandbox", "trust")

    def __init__(
        self, *, run_id: str, at: float, jobs: int, boxes: Sequence[PlannedBox], sandbox: str = "off", trust: str = ""
    ) -> None:
        self.run_id = run_id
        self.at = at
        self.jobs = jobs
        self.boxes = tuple(boxes)
        self.sandbox = sandbox
        self.trust = trust


class PlannedBox(Value):
    """A box as the plan names it. `done` is true when an earlier run's verdict counts and it will not run again."""

    __slots__ = ("box", "done", "source", "tier", "title")

    def __init__(self, *, box: BoxId, tier: int, title: str, source: str, done: bool = False) -> None:
        self.box = box
        self.tier = tier
        self.title = title
        self.source = source
        self.done = done


class SetupStarted(Value):
    """The `setup:` command of a suite was started."""

    __slots__ = ("at", "run", "suite")

    def __init__(self, *, suite: str, run: str, at: float) -> None:
        self.suite = suite
        self.run = run
        self.at = at


class SetupFinished(Value):
    """The `setup:` command ended. When `ok` is false no box of the run is started.

    `cached`: it was not run, because an earlier run had made the same. `refused` hosts that it asked for and was not
    let to.
    """

    __slots__ = ("at", "cached", "ok", "output", "reason", "refused", "seconds", "suite")

    def __init__(
        self,
        *,
        suite: str,
        ok: bool,
        seconds: float,
        reason: str,
        output: str,
        at: float,
        cached: bool = False,
        refused: Sequence[str] = (),
    ) -> None:
        self.suite = suite
        self.cached = cached
        self.refused = tuple(refused)
        self.ok = ok
        self.seconds = seconds
        self.reason = reason
        self.output = output
        self.at = at


class TierStarted(Value):
    """The first box of a tier is about to start."""

    __slots__ = ("at", "tier")

    def __init__(self, *, tier: int, at: float) -> None:
        self.tier = tier
        self.at = at


class BoxStarted(Value):
    """An attempt of a box was started. `log` is the path of its live log."""

    __slots__ = ("at", "attempt", "box", "log", "tier")

    def __init__(self, *, box: BoxId, tier: int, attempt: int, at: float, log: str = "") -> None:
        self.box = box
        self.tier = tier
        self.attempt = attempt
        self.at = at
        self.log = log


class BoxSlow(Value):
    """A box passed its `slow` time and still runs."""

    __slots__ = ("at", "box", "seconds")

    def __init__(self, *, box: BoxId, seconds: float, at: float) -> None:
        self.box = box
        self.seconds = seconds
        self.at = at


class BoxFinished(Value):
    """A box has its verdict. It comes exactly once for each box of the plan that is not `done`.

    `green`: it does not stand in the way of its tier being green by the verdict table. `gating`: false for a
    quarantined box. `blocked_by`: the id of the red box, for a blocked one. `repro`: the command that runs it here.
    """

    __slots__ = (
        "artifacts",
        "asserts",
        "at",
        "attempts",
        "blocked_by",
        "box",
        "cpu",
        "exit_code",
        "failures",
        "gating",
        "green",
        "leaked",
        "line",
        "log",
        "metrics",
        "output",
        "output_bytes",
        "reason",
        "refused",
        "repro",
        "rss_kb",
        "seconds",
        "source",
        "started",
        "tags",
        "tier",
        "title",
        "verdict",
    )

    def __init__(
        self,
        *,
        box: BoxId,
        tier: int,
        title: str,
        verdict: Verdict,
        green: bool,
        at: float,
        gating: bool = True,
        attempts: int = 1,
        started: float = 0.0,
        seconds: float = 0.0,
        cpu: float = 0.0,
        rss_kb: int = 0,
        exit_code: int | None = None,
        reason: str = "",
        asserts: int = 0,
        failures: Sequence[Failure] = (),
        metrics: Sequence[Metric] = (),
        artifacts: Sequence[str] = (),
        leaked: Sequence[str] = (),
        refused: Sequence[str] = (),
        output: str = "",
        output_bytes: int = 0,
        log: str = "",
        source: str = "",
        line: int = 0,
        tags: Sequence[str] = (),
        blocked_by: str = "",
        repro: str = "",
    ) -> None:
        self.box = box
        self.tier = tier
        self.title = title
        self.verdict = verdict
        self.green = green
        self.at = at
        self.gating = gating
        self.attempts = attempts
        self.started = started
        self.seconds = seconds
        self.cpu = cpu
        self.rss_kb = rss_kb
        self.exit_code = exit_code
        self.reason = reason
        self.asserts = asserts
        self.failures = tuple(failures)
        self.metrics = tuple(metrics)
        self.artifacts = tuple(artifacts)
        self.leaked = tuple(leaked)
        self.refused = tuple(refused)
        self.output = output
        self.output_bytes = output_bytes
        self.log = log
        self.source = source
        self.line = line
        self.tags = tuple(tags)
        self.blocked_by = blocked_by
        self.repro = repro


class TierFinished(Value):
    """Every box of a tier has its verdict. A red one closes the gate to the next tier."""

    __slots__ = ("at", "green", "seconds", "tier")

    def __init__(self, *, tier: int, green: bool, seconds: float, at: float) -> None:
        self.tier = tier
        self.green = green
        self.seconds = seconds
        self.at = at


class Warned(Value):
    """Something that a person should know and that is nobody's verdict."""

    __slots__ = ("at", "message")

    def __init__(self, *, message: str, at: float) -> None:
        self.message = message
        self.at = at


class RunFinished(Value):
    """The last line of a run that was not killed. `exit_code` is what the process will exit with."""

    __slots__ = ("at", "counts", "exit_code", "green", "seconds")

    def __init__(self, *, exit_code: int, green: bool, seconds: float, counts: Mapping[str, int], at: float) -> None:
        self.exit_code = exit_code
        self.green = green
        self.seconds = seconds
        self.counts = dict(counts)
        self.at = at


Event = (
    RunStarted
    | SetupStarted
    | SetupFinished
    | TierStarted
    | BoxStarted
    | BoxSlow
    | BoxFinished
    | TierFinished
    | Warned
    | RunFinished
)

TYPES: dict[str, type[Value]] = {
    "run_started": RunStarted,
    "setup_started": SetupStarted,
    "setup_finished": SetupFinished,
    "tier_started": TierStarted,
    "box_started": BoxStarted,
    "box_slow": BoxSlow,
    "box_finished": BoxFinished,
    "tier_finished": TierFinished,
    "warned": Warned,
    "run_finished": RunFinished,
}
NAMES = {cls: name for name, cls in TYPES.items()}


def to_line(event: Event) -> str:
    """One JSON line without its newline."""
    return json.dumps({"type": NAMES[type(event)], **_plain_fields(event)}, ensure_ascii=False, separators=(",", ":"))


def from_line(line: str) -> Event | None:
    """The event on a line, or None for the schema line, an unknown type, or a line that was cut off by a crash."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        return None
    cls = TYPES.get(raw["type"])
    if cls is None:
        return None
    try:
        event: Event = _build(cls, raw)
    except (KeyError, TypeError, ValueError):
        return None
    return event


def read(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream, in order; what cannot be read is passed over."""
    for line in lines:
        event = from_line(line)
        if event is not None:
            yield event


def _plain_fields(value: Value) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name in value.__slots__:
        item = getattr(value, name)
        if isinstance(item, BoxId):
            fields["suite"] = item.suite
            fields["box"] = item.number
        else:
            fields[name] = _plain(item)
    return fields


def _plain(item: object) -> object:
    if isinstance(item, Value):
        return _plain_fields(item)
    if isinstance(item, tuple | list):
        return [_plain(part) for part in item]
    return item


_NESTED: dict[str, type[Value]] = {"boxes": PlannedBox, "failures": Failure, "metrics": Metric}


_MOST = 1e15
_LATEST = 1e11  # seconds since 1970: the year 5138, which calendars still know.


def _build(cls: type[Value], raw: Mapping[str, Any]) -> Any:
    """The value, if every field is of its kind: what writes a stream may be older than its reader, or hostile."""
    fields: dict[str, Any] = {}
    for name in cls.__slots__:
        if name in raw and not _fits(name, raw[name]):
            raise TypeError(name)
        if name == "box":
            fields["box"] = BoxId(_suite(raw), raw["box"])
        elif name in raw:
            fields[name] = raw[name]
    for name, nested in _NESTED.items():
        if name in fields:
            fields[name] = [_build(nested, part) for part in fields[name]]
    if "verdict" in fields:
        fields["verdict"] = Verdict(fields["verdict"])
    return cls(**fields)


def _suite(raw: Mapping[str, Any]) -> str:
    suite = raw.get("suite", "")
    if not isinstance(suite, str):
        raise TypeError("suite")
    return suite


def _fits(name: str, item: object) -> bool:
    return _KINDS.get(name, _is_text)(item)


def _is_text(item: object) -> bool:
    return isinstance(item, str)


def _is_flag(item: object) -> bool:
    return isinstance(item, bool)


def _is_count(item: object) -> bool:
    return isinstance(item, int) and not isinstance(item, bool) and abs(item) < _MOST


def _is_count_or_none(item: object) -> bool:
    return item is None or _is_count(item)


def _is_number(item: object) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool) and abs(item) < float("inf")


def _is_time(item: object) -> bool:
    return isinstance(item, int | float) and not isinstance(item, bool) and abs(item) < _LATEST


def _are_texts(item: object) -> bool:
    return isinstance(item, list) and all(isinstance(part, str) for part in item)


def _are_objects(item: object) -> bool:
    return isinstance(item, list) and all(isinstance(part, dict) for part in item)


def _are_counts(item: object) -> bool:
    return isinstance(item, dict) and all(_is_count(part) for part in item.values())


_KINDS: dict[str, Callable[[object], bool]] = {
    **dict.fromkeys(("cached", "done", "gating", "green", "ok"), _is_flag),
    **dict.fromkeys(("asserts", "attempt", "attempts", "box", "jobs", "line"), _is_count),
    **dict.fromkeys(("output_bytes", "rss_kb", "tier"), _is_count),
    **dict.fromkeys(("at", "cpu", "seconds", "started"), _is_time),
    **dict.fromkeys(("artifacts", "leaked", "refused", "tags"), _are_texts),
    **dict.fromkeys(_NESTED, _are_objects),
    "counts": _are_counts,
    "exit_code": _is_count_or_none,
    "value": _is_number,
}
