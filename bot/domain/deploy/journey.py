"""How a deployment went, as values: what a journal says, for the record, the page and the picture.

Moments are Unix time in seconds, durations are seconds. What a journal of another version says besides is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Protocol

from bot.domain.deploy.bake import VISIBLE
from bot.domain.deploy.watch import samples_needed
from bot.domain.text import tail

Side = Literal["new", "old"]
"""Whose answers: of the release that was deployed, or of the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """A state that was entered. `seconds` is how long it lasted, None while it does; a final one lasts for ever."""

    state: str
    at: float
    seconds: float | None = None
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that was done or asked. `ok` is None while nobody knows how it ended."""

    verb: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    at: float
    seconds: float | None = None
    ok: bool | None = None
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was seen of one side from one source (`probes` or `traffic`) since the sample before."""

    at: float
    source: str
    side: Side
    successes: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What one source's evidence was worth at a moment: ln(1 + R) of its judge, and the threshold, where it is bad."""

    at: float
    source: str
    log_r: float
    log_threshold: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the watch saw, and what it made of it.

    Attributes:
        samples: in order.
        readings: in order.
        verdict: `good`, `bad`, `inconclusive`, `not_the_release`; "" while there is none, or where a person decided.
        because: its sentence.
        judges: the judges' states at the end, as JSON, by source.
        tolerated: the share of failures that was tolerated; None while nobody knows.
        needed: how many samples it takes to say anything; None while nobody knows.
    """

    samples: tuple[Sample, ...] = ()
    readings: tuple[Reading, ...] = ()
    verdict: str = ""
    because: str = ""
    judges: Mapping[str, Any] = field(default_factory=dict)
    tolerated: float | None = None
    needed: int | None = None

    def counted(self, side: Side) -> tuple[int, int]:
        """The successes and the failures of one side."""
        seen = [sample for sample in self.samples if sample.side == side]
        return sum(sample.successes for sample in seen), sum(sample.failures for sample in seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """All of it.

    Attributes:
        stays: the states, in order.
        acts: what was done, in order.
        evidence: of the watch.
        tail: the end of what the release printed, where that explains anything.
        entries: how many lines the journal has.
        head: hash of its last line; "" without a journal.
    """

    stays: tuple[Stay, ...] = ()
    acts: tuple[Act, ...] = ()
    evidence: Evidence = field(default_factory=Evidence)
    tail: str = ""
    entries: int = 0
    head: str = ""


class Line(Protocol):
    """A line of a journal, as `bot.deploy.journal` reads it."""

    @property
    def at(self) -> datetime:
        """When it was written."""

    @property
    def kind(self) -> str:
        """What kind of line it is."""

    @property
    def data(self) -> Mapping[str, Any]:
        """Its facts by name."""

    @property
    def hash(self) -> str:
        """Its own."""


MOST_SAMPLES = 600
"""Of the samples and of the readings each that are kept; more are put together, and no picture shows the difference."""


def journey_of(lines: Sequence[Line]) -> Journey:
    """Read a journal, whole or as far as it has come."""
    stays = [
        Stay(state=str(line.data["state"]), at=_at(line), because=str(line.data.get("because", "")))
        for line in lines
        if line.kind == "state"
    ]
    if lines and (not stays or stays[0].state != "locked"):
        stays.insert(0, Stay(state="locked", at=_at(lines[0])))
    return Journey(
        stays=tuple(stays),
        acts=tuple(_acts(lines)),
        evidence=_evidence(lines),
        tail=next((str(line.data["tail"]) for line in reversed(lines) if line.data.get("tail")), ""),
        entries=len(lines),
        head=lines[-1].hash if lines else "",
    )


def _acts(lines: Iterable[Line]) -> Iterable[Act]:
    """What was announced, each with how it ended; one that was cut off by a crash may have been announced once more."""
    begun: dict[str, Act] = {}
    acts: list[Act] = []
    for line in lines:
        verb = str(line.data.get("call", ""))
        if line.kind == "intent":
            if verb in begun:
                acts.append(begun.pop(verb))
            facts = {name: value for name, value in line.data.items() if name != "call"}
            begun[verb] = Act(verb=verb, arguments=facts, at=_at(line))
        elif line.kind == "done" and verb in begun:
            acts.append(_ended(begun.pop(verb), line))
    return sorted([*acts, *begun.values()], key=lambda act: act.at)


def _ended(act: Act, line: Line) -> Act:
    """With how it ended: calls of the target tell a problem, commands a code, smoke tests and gates what they say."""
    data = line.data
    because = str(data.get("problem") or data.get("because") or "")
    ok = "problem" not in data and data.get("ok", True) is True and data.get("word", "pass") == "pass"
    if data.get("code"):
        ok, because = False, f"ended with {data['code']}: {tail(str(data.get('output', '')), lines=3, limit=500)}"
    took = data.get("seconds")
    seconds = float(took) if isinstance(took, int | float) else round(_at(line) - act.at, 4)
    return replace(act, seconds=seconds, ok=ok, because=because)


def _evidence(lines: Sequence[Line]) -> Evidence:
    """What the watch has written. Each of its lines holds what was seen since the one before, and all that it knows."""
    watched = [line for line in lines if line.kind == "watch"]
    if not watched:
        return Evidence()
    judges = watched[-1].data.get("judges", {})
    verdict, because = _verdict(lines)
    return Evidence(
        samples=tuple(thinned([sample for line in watched for sample in _samples(line)])),
        readings=tuple(_fewer([reading for line in watched for reading in _readings(line)])),
        verdict=verdict,
        because=because,
        judges=judges,
        tolerated=next((judge["p0"] for judge in judges.values()), None),
        needed=max((_needed(judge) for judge in judges.values()), default=None),
    )


def _needed(judge: Mapping[str, Any]) -> int:
    return samples_needed(batches=judge["n"], alpha=judge["alpha"], p0=judge["p0"], rate=VISIBLE)


def _samples(line: Line) -> Iterable[Sample]:
    for what, count in line.data.get("seen", {}).items():
        side: Side = "old" if what == "old" else "new"
        source = "probes" if what == "old" else str(what)
        if count["failures"] or count["successes"]:
            yield Sample(at=_at(line), source=source, side=side, **count)


def _readings(line: Line) -> Iterable[Reading]:
    for source, worth in line.data.get("evidence", {}).items():
        limit = line.data["threshold"][source]
        yield Reading(at=_at(line), source=source, log_r=worth, log_threshold=limit)


def _verdict(lines: Sequence[Line]) -> tuple[str, str]:
    """What the watch said at the end of its last bake, with its sentence; nothing where somebody decided instead."""
    last = max(place for place, line in enumerate(lines) if line.kind == "watch")
    after = next((line for line in lines[last:] if line.kind == "state"), None)
    if after is None or "granted" in after.data:
        return "", ""
    because = str(after.data.get("because", ""))
    is_bad = any(reading.log_r >= reading.log_threshold for reading in _readings(lines[last]))
    for start, verdict in (("inconclusive", "inconclusive"), ("not the release", "not_the_release")):
        if because.startswith(start):
            return verdict, because
    if is_bad:
        return "bad", because
    return ("good", because) if after.data["state"] == "retiring" else ("", because)


def thinned(samples: Sequence[Sample], *, most: int = MOST_SAMPLES) -> list[Sample]:
    """At most about so many samples: neighbours of one source and side are put together, so all sums stay."""
    together = -(-len(samples) // most) if samples else 1
    waiting: dict[tuple[str, str], list[Sample]] = {}
    found: list[Sample] = []
    for sample in samples:
        key = (sample.source, sample.side)
        waiting.setdefault(key, []).append(sample)
        if len(waiting[key]) == together:
            found.append(_together(waiting.pop(key)))
    found += [_together(rest) for rest in waiting.values()]
    return sorted(found, key=lambda sample: sample.at)


def _together(samples: Sequence[Sample]) -> Sample:
    return replace(
        samples[-1],
        successes=sum(sample.successes for sample in samples),
        failures=sum(sample.failures for sample in samples),
    )


def _fewer(readings: Sequence[Reading]) -> list[Reading]:
    """Some of each source, evenly; the highest and the last stay, since they are what was acted upon."""
    found: list[Reading] = []
    for source in sorted({reading.source for reading in readings}):
        mine = [reading for reading in readings if reading.source == source]
        every = -(-len(mine) // (MOST_SAMPLES // 2))
        highest = max(mine, key=lambda reading: reading.log_r)
        found += [one for n, one in enumerate(mine, 1) if n % every == 0 or one is highest or n == len(mine)]
    return sorted(found, key=lambda reading: reading.at)


def _at(line: Line) -> float:
    return line.at.timestamp()
