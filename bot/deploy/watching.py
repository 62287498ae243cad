"""The watch over a release that users have: it asks, counts, judges, and remembers all that in the journal.

Two sources, since each is blind to something: probes see a process that hangs, and the router's counts see the few
answers of many that fail. Each has a judge of its own, so that a flood of good answers of one cannot wash away what the
other saw; both are told how many batches are planned together, which keeps their joint false alarms below the bound.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bot.deploy import probing
from bot.deploy.target import Counts, Target, TargetProblem
from bot.domain.deploy.bake import (
    AskBoth,
    Bad,
    BakeTime,
    GoesOn,
    Good,
    Inconclusive,
    Judgement,
    NotTheRelease,
    Pairs,
    bake_time,
    judgement,
    pairs_from_json,
    pairs_to_json,
)
from bot.domain.deploy.environment import HttpProbe, Probe, PrometheusProbe, Watch
from bot.domain.deploy.watch import Judge, begin, evidence, feed, from_json, threshold, to_json
from bot.ops.clock import Clock

Source = Literal["probes", "traffic"]

COUNT_EVERY = 0.25
"""Seconds between two readings of the router's counts; more where a reading takes long."""

AT_ONCE = 5
"""Questions to both slots that are asked together, when it is to be told whose fault it is."""

ROUNDS = 3
"""So often; where the new slot never failed one, the failures are on paths that are not asked for."""

_URGENCY: tuple[type[Judgement], ...] = (NotTheRelease, Bad, AskBoth, Good, Inconclusive, GoesOn)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to ask: the new release as users reach it, and the one before; "" for nowhere."""

    new: str
    old: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that a watch knows, as a value: what a restarted controller goes on with.

    Attributes:
        step: of the canary that this is about, from 0.
        judges: one a source.
        pairs: what both slots were asked at the same time; None when there is no old one to ask.
        time: how much of the step's bake is over.
    """

    step: int
    judges: Mapping[Source, Judge]
    pairs: Pairs | None
    time: BakeTime

    def to_json(self) -> dict[str, Any]:
        """For the journal."""
        time = self.time
        return {
            "step": self.step,
            "judges": {source: to_json(judge) for source, judge in self.judges.items()},
            "pairs": None if self.pairs is None else pairs_to_json(self.pairs),
            "time": {name: getattr(time, name) for name in BakeTime.__slots__},
            "evidence": {source: round(evidence(judge), 3) for source, judge in self.judges.items()},
            "threshold": {source: round(threshold(judge), 3) for source, judge in self.judges.items()},
        }


def memory_from_json(raw: Mapping[str, Any]) -> Memory:
    """Of what `Memory.to_json` made."""
    return Memory(
        step=raw["step"],
        judges={source: from_json(judge) for source, judge in raw["judges"].items()},
        pairs=None if raw["pairs"] is None else pairs_from_json(raw["pairs"]),
        time=BakeTime(**raw["time"]),
    )


def fresh(watch: Watch, *, step: int, seconds: float, whole: float, p0: float, pairs: bool, now: float) -> Memory:
    """A watch that has seen nothing.

    Args:
        watch: what is asked.
        step: of the canary.
        seconds: how long this step is watched.
        whole: how long all steps together are: the bound on false alarms is for all of them.
        p0: the tolerated share of failures.
        pairs: whether the release before can be asked too.
        now: seconds since the epoch.
    """
    planned = batches(watch, whole)
    judges: dict[Source, Judge] = {}
    if watch.probes:
        judges["probes"] = begin(batches=planned, alpha=watch.false_rollback, p0=p0)
    if watch.traffic:
        judges["traffic"] = begin(batches=planned, alpha=watch.false_rollback, p0=p0)
    return Memory(
        step=step,
        judges=judges,
        pairs=Pairs() if pairs else None,
        time=step_time(watch, seconds=seconds, now=now),
    )


def step_time(watch: Watch, *, seconds: float, now: float) -> BakeTime:
    """The clock of a step that begins."""
    return bake_time(planned=seconds, now=now, slowest=max((probe.every for probe in watch.probes), default=0.0))


def batches(watch: Watch, seconds: float) -> int:
    """How many batches all sources together bring in so many seconds, at most."""
    every = [probe.every for probe in watch.probes] + ([COUNT_EVERY] if watch.traffic else [])
    return max(1, sum(math.ceil(seconds / one) + 1 for one in every))


def judged(memory: Memory, *, over: bool, unanswered: bool = False) -> Judgement:
    """What the sources say together: the most urgent of what each says.

    Args:
        memory: what is known.
        over: whether the step's time is over.
        unanswered: both slots were asked, and the new one never failed: there is nobody to compare it with.
    """
    pairs = None if unanswered else memory.pairs
    said = [judgement(judge, pairs, over=over) for judge in memory.judges.values()]
    if not said:
        return Inconclusive(samples=0, needed=1, because="inconclusive: nothing is watched") if over else GoesOn()
    return min(said, key=lambda one: _URGENCY.index(type(one)))


@dataclass(slots=True)
class Tally:
    """What was seen since the last line of the journal, by who was seen: `failures` and `successes`."""

    seen: dict[str, list[int]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, what: str, failures: int, successes: int, because: str = "") -> None:
        """Some more."""
        counts = self.seen.setdefault(what, [0, 0])
        counts[0] += failures
        counts[1] += successes
        if because:
            self.problems[what] = because

    def take(self) -> dict[str, Any]:
        """All of it; afterwards there is nothing."""
        taken = {what: {"failures": bad, "successes": good} for what, (bad, good) in self.seen.items()}
        problems, self.seen, self.problems = self.problems, {}, {}
        return {"seen": taken, **({"problems": problems} if problems else {})}


class Eyes:
    """What asks and counts, and feeds the judges; `changed` is set whenever they know more."""

    def __init__(self, memory: Memory, watch: Watch, target: Target, clock: Clock, *, slot: str) -> None:
        self.memory = memory
        self.tally = Tally()
        self.changed = asyncio.Event()
        self._watch = watch
        self._target = target
        self._clock = clock
        self._slot = slot

    async def look(self, addresses: Addresses) -> None:
        """Ask and count until cancelled."""
        async with asyncio.TaskGroup() as group:
            for probe in self._watch.probes:
                group.create_task(self._probe(probe, addresses, group))
            if self._watch.traffic and self._target.capabilities.counters:
                group.create_task(self._count())

    async def ask_both(self, addresses: Addresses) -> None:
        """Ask both slots at once, a few times at the same time: whose fault is it?"""
        paths = [probe for probe in self._watch.probes if isinstance(probe, HttpProbe)]
        if not paths:
            return
        await asyncio.gather(*(self._pair(paths[n % len(paths)], addresses, feeds=False) for n in range(AT_ONCE)))

    async def _probe(self, probe: Probe, addresses: Addresses, group: asyncio.TaskGroup) -> None:
        """One probe, at its pace: a question that hangs does not keep the next one back."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if isinstance(probe, PrometheusProbe):
                group.create_task(self._prometheus(probe))
            elif addresses.new:
                group.create_task(self._pair(probe, addresses, feeds=True))
            due = max(due + probe.every, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _pair(self, probe: HttpProbe, addresses: Addresses, *, feeds: bool) -> None:
        if addresses.old and self.memory.pairs is not None:
            new, old = await asyncio.gather(probing.http(probe, addresses.new), probing.http(probe, addresses.old))
            if old.ok is not None:
                self.tally.add("old", int(not old.ok), int(old.ok), old.because)
            if new.ok is not None and old.ok is not None:
                self.memory = replace(self.memory, pairs=self.memory.pairs.add(new=new.ok, old=old.ok))
        else:
            new = await probing.http(probe, addresses.new)
        if feeds and new.ok is not None:
            self._feed("probes", int(not new.ok), int(new.ok), new.because)

    async def _prometheus(self, probe: PrometheusProbe) -> None:
        asked = await probing.prometheus(probe)
        if asked.ok is None:
            self.tally.add("prometheus", 0, 0, asked.because)
        else:
            self._feed("probes", int(not asked.ok), int(asked.ok), "" if asked.ok else asked.because)

    async def _count(self) -> None:
        """Read the router's counts again and again; what one reading has more than the one before is a batch."""
        loop = asyncio.get_running_loop()
        before: Counts | None = None
        while True:
            began = loop.time()
            try:
                now = (await self._target.counts()).get(self._slot)
            except TargetProblem as problem:
                self.tally.add("traffic", 0, 0, str(problem))
                now = before
            if now is not None and before is not None:
                answers, failures = now.answers - before.answers, now.failures - before.failures
                # A router that was started again counts from zero: such a reading only begins a new account.
                if answers > 0 and 0 <= failures <= answers:
                    self._feed("traffic", failures, answers - failures)
            before = now
            await asyncio.sleep(max(COUNT_EVERY, 10 * (loop.time() - began)))

    def _feed(self, source: Source, failures: int, successes: int, because: str = "") -> None:
        judges = dict(self.memory.judges)
        judges[source] = feed(judges[source], failures=failures, successes=successes)
        time = self.memory.time.tick(self._clock.now().timestamp())
        self.memory = replace(self.memory, judges=judges, time=time)
        self.tally.add(source, failures, successes, because)
        self.changed.set()
