"""What `environments` of interlock.yml means: whether its keys fit each other, and its values as plain as can be.

Durations become seconds, shares numbers from 0 to 1, what may be one or a list a list. What is not written is not
filled in: whoever deploys knows what is usual. All of it can be written as JSON, and read again from there.
"""

from __future__ import annotations

import re

from runner.environment_shapes import DAY, ENVIRONMENT
from runner.errors import BadSelection, UserError, together
from runner.select import parse
from runner.selection import And, Changed, Failed, Not, Or
from runner.shapes import ByKind, Duration, Either, List, Named, Share, Table, close, seconds, share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.errors import BadMetadata
    from runner.fields import Fields
    from runner.selection import Expression, Word
    from runner.shapes import Shape

SHORTEST_PROBE = 0.05  # seconds
MOST_TOLERATED = 0.5
DEFAULT_WATCH = 60.0
DEFAULT_LISTEN = "127.0.0.1:8000"
DEFAULT_EVERY = {"http": 1.0, "prometheus": 5.0}
_OF_PROBES = {"http": ("timeout", "slow", "status"), "prometheus": ("max",)}


def environments(fields: Fields) -> dict[str, object]:
    """The section, as layers above the runner read it.

    Raises:
        UserError: keys do not fit each other; carries everything that was found.
    """
    inside = {str(name): inner for name in fields.keys() if (inner := fields.inner(name))}  # noqa: SIM118
    read = {name: _section(ENVIRONMENT, inner) for name, inner in inside.items()}
    found: list[UserError] = [
        mistake for name, inner in inside.items() for mistake in _mistakes(name, inner, read[name], tuple(inside))
    ]
    found += _circles(inside)
    found += _shared_ports(inside)
    if found:
        raise together(found)
    return dict(read)


def _section(shape: Shape, fields: Fields) -> dict[str, object]:
    section = {str(key): fields.take(key) for key in fields.keys()}  # noqa: SIM118
    plain = _plain(shape, section)
    assert isinstance(plain, dict)
    if isinstance(plain.get("strategy"), str):
        plain["strategy"] = {"kind": plain["strategy"]}
    for key, names in (("when", ("push",)), ("on", tuple(plain.get("on") or ()))):
        for name in names:
            if isinstance(plain.get(key), dict) and isinstance(plain[key].get(name), str):
                plain[key][name] = [plain[key][name]]
    return plain


def _plain(shape: Shape, value: object) -> object:
    """A value that fits a shape, without the many ways to write the same."""
    match shape:
        case Duration():
            return seconds(value)
        case Share():
            return share(value)
        case Either():
            return _plain(next(one for one in shape.of if one.fits(value)), value)
    if isinstance(value, list) and isinstance(shape, List):
        return [_plain(shape.of, item) for item in value]
    if isinstance(value, dict):
        inner = {str(key): (_below(shape, value, key), item) for key, item in value.items() if item is not None}
        return {key: _plain(of, item) if of else item for key, (of, item) in inner.items()}
    return value


def _below(shape: Shape, value: Mapping[str, object], key: str) -> Shape | None:
    match shape:
        case Named():
            return shape.of
        case ByKind():
            return shape.table(str(value[shape.key])).keys.get(key)
        case Table():
            return shape.keys.get(key)
    return None


def _mistakes(name: str, fields: Fields, read: Mapping[str, object], known: Sequence[str]) -> Iterator[BadMetadata]:
    """Everything that is wrong within one environment."""
    if wrong := _selection(fields, "smoke"):
        yield wrong
    yield from _in_strategy(fields, read)
    yield from _in_gates(name, fields, known)
    yield from _in_freeze(fields)
    yield from _in_watch(fields)


def _selection(fields: Fields, key: str) -> BadMetadata | None:
    if not fields.text(key):
        return None
    try:
        expression = parse(fields.text(key)).expression
    except BadSelection as error:
        return fields.bad(key, f"'{key}': {error.message}", error.hint)
    if word := _passing(expression):
        said = f"'{key}': `{word}` is not the same for every deployment"
        return fields.bad(key, said, "name boxes, tiers or tags")
    return None


def _passing(expression: Expression) -> Word | None:
    """The first word that means other boxes after another run."""
    match expression:
        case Failed() | Changed():
            return expression
        case Not():
            return _passing(expression.part)
        case And() | Or():
            return next(filter(None, map(_passing, expression.parts)), None)
    return None


def _in_strategy(fields: Fields, read: Mapping[str, object]) -> Iterator[BadMetadata]:
    strategy, inner = read.get("strategy"), fields.inner("strategy")
    if not isinstance(strategy, dict):
        return
    where, kind = inner or fields, strategy["kind"]
    steps = strategy.get("steps")
    if kind != "canary":
        for key in ("steps", "pause"):
            if key in strategy:
                yield where.bad(key, f"'{key}' is of a canary, and this is {kind}", "take it away, or say kind: canary")
    elif not isinstance(steps, list):
        yield where.bad(
            "" if inner else "strategy", "a canary needs its 'steps'", "{kind: canary, steps: [5%, 50%, 100%]}"
        )
    else:
        percents = [round(step * 100, 6) for step in steps]
        if percents != sorted(set(percents)) or percents[-1] != 100:
            yield where.bad("steps", "'steps' must rise to 100%", "such as [5%, 50%, 100%]")
        elif any(percent != int(percent) for percent in percents):
            yield where.bad("steps", "'steps' must be whole percents", "1% is the least")


def _in_gates(name: str, fields: Fields, known: Sequence[str]) -> Iterator[BadMetadata]:
    for gate in fields.inners("gates"):
        if wrong := _selection(gate, "boxes"):
            yield wrong
        for where, key in _waits_for(gate):
            other = where.text(key)
            if other == name:
                yield where.bad(key, f"'{name}' cannot wait for itself")
            elif other not in known:
                hint = close(other, known) or f"environments: {', '.join(known)}"
                yield where.bad(key, f"there is no environment '{other}'", hint)
        if approvals := gate.inner("approvals"):
            yield from _in_approvals(approvals)


def _waits_for(gate: Fields) -> Iterator[tuple[Fields, str]]:
    """Where a gate names another environment."""
    if "after" in gate:
        yield gate, "after"
    if soaked := gate.inner("soaked"):
        yield soaked, "in"


def _in_approvals(approvals: Fields) -> Iterator[BadMetadata]:
    sources, needed = approvals.names("from"), approvals.count("count", 1)
    people = {source.lower() for source in sources if source.startswith("user:")}
    if sources and len(people) == len(set(map(str.lower, sources))) and needed > len(people):
        said = f"{needed} approvals are needed, and 'from' names {len(people)}"
        yield approvals.bad("count", said, "name more people, or ask for fewer")


def _in_freeze(fields: Fields) -> Iterator[BadMetadata]:
    for window in fields.inners("freeze"):
        begin, end = window.text("from"), window.text("until")
        weekly = [re.fullmatch(DAY, moment) is not None for moment in (begin, end)]
        if weekly[0] != weekly[1]:
            yield window.bad("until", "'from' and 'until' must both be of the week, or both of the calendar")
        elif wrong := [key for key in ("from", "until") if not weekly[0] and not _is_moment(window.text(key))]:
            yield window.bad(wrong[0], f"there is no {window.text(wrong[0])} in the calendar")
        elif begin == end or (not weekly[0] and _moment(begin) >= _moment(end)):
            yield window.bad(
                "until",
                "'until' is not after 'from'",
                "a whole week cannot be frozen; use /freeze" if weekly[0] else "",
            )
        if (zone := window.text("tz", "UTC")) and not _is_zone(zone):
            yield window.bad("tz", f"'{zone}' is not a time zone", "such as Europe/Berlin, America/New_York or UTC")


def _moment(text: str) -> tuple[int, ...]:
    """A moment of the calendar as numbers that compare as moments do."""
    return tuple(map(int, re.findall("[0-9]+", text if ":" in text else f"{text} 00:00")))


def _is_moment(text: str) -> bool:
    from datetime import date

    year, month, day, *_ = _moment(text)
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _is_zone(name: str) -> bool:
    """Whether there is such a time zone. A machine without the database of zones knows none, and lets all pass."""
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        return name != "UTC" and not zoneinfo.available_timezones()
    return True


def _in_watch(fields: Fields) -> Iterator[BadMetadata]:
    watch = fields.inner("watch")
    if watch is None:
        return
    lasts = watch.seconds("for", DEFAULT_WATCH)
    probes = watch.inners("probes")
    for probe in probes:
        yield from _in_probe(probe, watch, lasts)
    target = fields.inner("target")
    asked = probes or (target and "health" in target)
    if not asked and not watch.flag("traffic", default=True):
        yield watch.bad("traffic", "there is neither a probe nor traffic to judge by", "add 'probes'")
    for key in ("false_rollback", "tolerated"):
        if share(watch.take(key)) > MOST_TOLERATED:
            yield watch.bad(key, f"'{key}' must be at most {MOST_TOLERATED:.0%}")


def _in_probe(probe: Fields, watch: Fields, lasts: float) -> Iterator[BadMetadata]:
    kind = "http" if "http" in probe else "prometheus"
    every = probe.seconds("every", DEFAULT_EVERY[kind])
    if every < SHORTEST_PROBE:
        yield probe.bad("every", f"'every' must be at least {SHORTEST_PROBE * 1000:.0f}ms")
    if every > lasts:
        yield probe.bad(
            "every", f"the watch is over after {lasts:g} s, before this asks a second time", "lengthen 'for'"
        )
    for other, keys in _OF_PROBES.items():
        for key in keys if other != kind else ():
            if key in probe:
                yield probe.bad(key, f"'{key}' is of a probe by {other}, and this asks by {kind}")
    if kind == "prometheus":
        if "max" not in probe:
            yield probe.bad("prometheus", "'max' is missing", "a value above it is a failure")
        asked = probe.inner("prometheus")
        if "prometheus" not in watch and not (asked and "url" in asked):
            yield probe.bad(
                "prometheus", "no server to ask", "write prometheus: {url, query}, or prometheus: URL in 'watch'"
            )
    elif "slow" in probe and probe.seconds("slow", 0) >= probe.seconds("timeout", 0.5):
        yield probe.bad("slow", "an answer so late is a failure already: 'slow' must be less than 'timeout'")


def _circles(inside: Mapping[str, Fields]) -> Iterator[BadMetadata]:
    """Environments that wait for each other, each circle once."""
    edges = {
        name: [where.text(key) for gate in fields.inners("gates") for where, key in _waits_for(gate)]
        for name, fields in inside.items()
    }
    told: set[str] = set()
    for name in inside:
        circle = _way(edges, name, name, ())
        if circle and len(circle) > 1 and not told & set(circle):
            told |= set(circle)
            said = " waits for ".join((*circle, name))
            yield inside[name].bad("gates", f"environments wait for each other: {said}")


def _way(edges: Mapping[str, Sequence[str]], here: str, there: str, past: tuple[str, ...]) -> tuple[str, ...] | None:
    """The environments from `here` back to `there`, without `there` itself at the end; None if none leads there."""
    past = (*past, here)
    for other in edges.get(here, ()):
        if other == there:
            return past
        if other not in past and (way := _way(edges, other, there, past)):
            return way
    return None


def _shared_ports(inside: Mapping[str, Fields]) -> Iterator[BadMetadata]:
    """Ports of this machine that two slots or routers would use."""
    taken: dict[int, str] = {}
    for name, fields in inside.items():
        target = fields.inner("target")
        if target is None or target.text("kind") != "process":
            continue
        slots = target.inner("slots")
        uses = [(target, "listen"), *((slots, slot) for slot in ("blue", "green") if slots)]
        for where, key in uses:
            port = int(where.text(key, DEFAULT_LISTEN).rpartition(":")[2])
            if not 0 < port <= 65535:
                yield where.bad(key, f"there is no port {port}")
            elif port in taken:
                yield where.bad(key, f"port {port} is taken by {taken[port]}")
            taken.setdefault(port, f"'{key}' of {name}")
