"""How a deployment went, as values: what a journal says, for the record, the page and the picture.

Moments are Unix time in seconds, durations are seconds. What a journal of another version says besides is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, Protocol

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
    """What was seen of one side from one source (`probe`, `traffic`, …) since the sample before."""

    at: float
    source: str
    side: Side
    successes: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the evidence was worth at a moment: the judge's R and its threshold, as natural logarithms.

    `weight` is the share of the traffic that the new release had, 0 to 100.
    """

    at: float
    log_r: float
    log_threshold: float
    weight: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the watch saw, and what it made of it.

    Attributes:
        samples: in order.
        readings: in order.
        verdict: `good`, `bad`, `inconclusive`, `not_the_release`; "" while there is none.
        because: its sentence.
        judge: the judge's state at the verdict, as JSON.
        tolerated: the share of failures that was tolerated; None while nobody knows.
        needed: how many samples a verdict needs at this rate; None where nobody has said.
    """

    samples: tuple[Sample, ...] = ()
    readings: tuple[Reading, ...] = ()
    verdict: str = ""
    because: str = ""
    judge: Mapping[str, object] = field(default_factory=dict)
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
    """What was announced, each with how it ended; one that was cut off by a crash was announced once more."""
    open_: dict[str, Act] = {}
    acts: list[Act] = []
    for line in lines:
        if line.kind not in {"intent", "done"}:
            continue
        verb = str(line.data.get("call", ""))
        facts = {name: value for name, value in line.data.items() if name not in {"call", "seconds", "problem"}}
        if line.kind == "intent":
            if verb in open_:
                acts.append(open_.pop(verb))
            open_[verb] = Act(verb=verb, arguments=facts, at=_at(line))
        else:
            begun = open_.pop(verb, Act(verb=verb, arguments=facts, at=_at(line)))
            problem = str(line.data.get("problem", ""))
            acts.append(replace(begun, seconds=_seconds(line), ok=not problem, because=problem))
    return sorted([*acts, *open_.values()], key=lambda act: act.at)


def _seconds(line: Line) -> float | None:
    seconds = line.data.get("seconds")
    return float(seconds) if isinstance(seconds, int | float) else None


def _at(line: Line) -> float:
    return line.at.timestamp()


def _evidence(lines: Sequence[Line]) -> Evidence:
    return Evidence()
