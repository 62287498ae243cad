"""What is known of a run: a fold of the runner's events, without a clock or I/O.

Folding a beginning and then the rest gives what folding all at once gives, and events of different boxes may come in
any order. A second `RunStarted` takes the run up again after a crash: verdicts that its plan marks `done` stand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType

from runner.events import (
    BoxFinished,
    BoxSlow,
    BoxStarted,
    Event,
    PlannedBox,
    RunFinished,
    RunStarted,
    SetupFinished,
    SetupStarted,
    TierFinished,
    TierStarted,
    Warned,
)
from runner.model import BoxId, Verdict
from runner.verdict import EXIT_RED

NOT_EXECUTED = frozenset({Verdict.BLOCKED, Verdict.CANCELLED})
CAN_BE_GREEN = frozenset({Verdict.PASSED, Verdict.CACHED, Verdict.FLAKY, Verdict.SKIPPED})


class Phase(StrEnum):
    """Where a box is. `missing`: the suite has it, but neither this run nor a kept verdict covers it."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Excused:
    """Somebody answers for a box on this commit: it gates no more. `by` is a login, `because` what they said."""

    by: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxState:
    """One box. `started` is a Unix time, 0 while it waits; `kept`: its verdict is an earlier run's on this subject."""

    box: BoxId
    tier: int
    title: str
    source: str
    phase: Phase
    attempt: int = 0
    started: float = 0.0
    slow: bool = False
    kept: bool = False
    result: BoxFinished | None = None
    excused: Excused | None = None

    @property
    def executed(self) -> bool:
        """It has a verdict that comes from running it, in this run or in a kept one."""
        return self.result is not None and self.result.verdict not in NOT_EXECUTED

    @property
    def green(self) -> bool:
        """Its verdict is green."""
        return self.result is not None and self.result.green and self.result.verdict in CAN_BE_GREEN

    @property
    def red(self) -> bool:
        """It was executed, and its verdict stands in the way of its tier."""
        return self._not_green and self.result is not None and self.result.gating and self.excused is None

    @property
    def red_in_quarantine(self) -> bool:
        """It was executed and is not green, but does not gate."""
        return self._not_green and self.result is not None and not self.result.gating and self.excused is None

    @property
    def red_and_excused(self) -> bool:
        """It was executed and is not green, and somebody answers for it."""
        return self._not_green and self.excused is not None

    @property
    def _not_green(self) -> bool:
        return self.executed and not self.green

    @property
    def counts_as_green(self) -> bool:
        """It was executed and is not red. A box that did not run never counts, quarantined or not."""
        return self.executed and not self.red


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupState:
    """`setup:` of one suite. `ok` is None while it runs."""

    suite: str
    run: str
    started: float
    ok: bool | None = None
    seconds: float = 0.0
    reason: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class TierState:
    """The boxes of one tier, by number."""

    number: int
    boxes: tuple[BoxState, ...]

    @property
    def green(self) -> bool:
        """Every box of it counts as green."""
        return bool(self.boxes) and all(box.counts_as_green for box in self.boxes)

    @property
    def red(self) -> bool:
        """A box of it is red; a tier that an earlier one holds back is not."""
        return any(box.red for box in self.boxes)

    @property
    def did_not_run(self) -> bool:
        """A box of it has its verdict, and none was executed."""
        return any(box.result for box in self.boxes) and not any(box.executed for box in self.boxes)

    @property
    def begun(self) -> bool:
        """A box of it has started or has its verdict."""
        return any(box.phase in {Phase.RUNNING, Phase.FINISHED} for box in self.boxes)

    @property
    def complete(self) -> bool:
        """Every box of it has its verdict."""
        return all(box.result is not None for box in self.boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of one run. Build it with `Progress.of`; continue it with `fold`.

    Attributes:
        by_id: every box that is planned, kept or expected.
        setups: one for each suite whose `setup:` was started, by suite.
        tier_started: when the first box of each tier started, as Unix time.
        tier_seconds: how long each finished tier took.
        warnings: what the runner wanted a person to know, once each.
        end: the last line of the stream; None while it runs, and for ever if the runner was killed.
        excused: the boxes that do not gate on this commit.
    """

    run_id: str = ""
    at: float = 0.0
    jobs: int = 0
    sandbox: str = ""
    trust: str = ""
    by_id: Mapping[BoxId, BoxState] = field(default_factory=dict)
    setups: Mapping[str, SetupState] = field(default_factory=dict)
    tier_started: Mapping[int, float] = field(default_factory=dict)
    tier_seconds: Mapping[int, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    end: RunFinished | None = None
    excused: Mapping[BoxId, Excused] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        events: Iterable[Event] = (),
        *,
        kept: Iterable[BoxFinished] = (),
        expected: Iterable[PlannedBox] = (),
        excused: Mapping[BoxId, Excused] = MappingProxyType({}),
    ) -> Progress:
        """The state after `events`.

        Args:
            events: of one run, in the order of its stream; streams of its continuations may follow.
            kept: verdicts of earlier runs of the same subject that still count (a partial run leaves them in force).
                A box that this run executes again is not kept.
            expected: all boxes that the subject's suite has. One that is neither planned nor kept is `missing`, and
                nothing that contains it is green.
            excused: boxes that do not gate on this commit, whatever their verdict. One that did not run stays not
                green.
        """
        boxes = {
            plan.box: BoxState(box=plan.box, tier=plan.tier, title=plan.title, source=plan.source, phase=Phase.MISSING)
            for plan in expected
        }
        for result in kept:
            boxes[result.box] = _kept(result)
        return cls(by_id=boxes, excused=excused).fold(events)

    def fold(self, events: Iterable[Event]) -> Progress:
        """The state after more events. The value itself does not change."""
        draft = _Draft(self)
        for event in events:
            draft.apply(event)
        return draft.done()

    @property
    def boxes(self) -> tuple[BoxState, ...]:
        """Every box, by tier and number."""
        return tuple(sorted(self.by_id.values(), key=lambda state: (state.tier, state.box)))

    @property
    def tiers(self) -> tuple[TierState, ...]:
        """The tiers, ascending."""
        return tuple(TierState(n, tuple(boxes)) for n, boxes in groupby(self.boxes, key=lambda state: state.tier))

    @property
    def running(self) -> tuple[BoxState, ...]:
        """The boxes that run at this moment, by tier and number."""
        return tuple(state for state in self.boxes if state.phase is Phase.RUNNING)

    @property
    def red(self) -> tuple[BoxState, ...]:
        """The red boxes, by tier and number."""
        return tuple(state for state in self.boxes if state.red)

    @property
    def failed_setups(self) -> tuple[SetupState, ...]:
        """The suites whose `setup:` did not succeed."""
        return tuple(setup for _, setup in sorted(self.setups.items()) if setup.ok is False)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many boxes have each verdict, and how many are queued, running or missing; zeros are left out."""
        words = [str(b.result.verdict if b.result else b.phase) for b in self.boxes]
        return {word: words.count(word) for word in sorted(set(words))}

    @property
    def finished(self) -> bool:
        """The stream has its last line."""
        return self.end is not None

    @property
    def green(self) -> bool:
        """The run finished by itself, and every box counts as green. A run without boxes is not green.

        The runner calls a run red for a box that was excused after it had begun.
        """
        if self.end is None or not self.by_id or not all(tier.green for tier in self.tiers):
            return False
        return self.end.green or (self.end.exit_code == EXIT_RED and bool(self.red_and_excused))

    @property
    def red_and_excused(self) -> tuple[BoxState, ...]:
        """The boxes that are not green and that somebody answers for, by tier and number."""
        return tuple(state for state in self.boxes if state.red_and_excused)


def _kept(result: BoxFinished) -> BoxState:
    return BoxState(
        box=result.box,
        tier=result.tier,
        title=result.title,
        source=result.source,
        phase=Phase.FINISHED,
        attempt=result.attempts,
        started=result.started,
        kept=True,
        result=result,
    )


class _Draft:
    """A mutable copy, so that folding n events costs n steps."""

    def __init__(self, base: Progress) -> None:
        self.base = base
        self.boxes = dict(base.by_id)
        self.setups = dict(base.setups)
        self.tier_started = dict(base.tier_started)
        self.tier_seconds = dict(base.tier_seconds)
        self.warnings = dict.fromkeys(base.warnings)

    def done(self) -> Progress:
        return replace(
            self.base,
            by_id={box: replace(state, excused=self.base.excused.get(box)) for box, state in self.boxes.items()}
            if self.base.excused
            else self.boxes,
            setups=self.setups,
            tier_started=self.tier_started,
            tier_seconds=self.tier_seconds,
            warnings=tuple(self.warnings),
        )

    def apply(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._begin(event)
            case BoxStarted():
                self._start(event)
            case BoxSlow():
                self._slow(event)
            case BoxFinished():
                self._finish(event)
            case SetupStarted():
                self.setups[event.suite] = SetupState(suite=event.suite, run=event.run, started=event.at)
            case SetupFinished():
                self._set_up(event)
            case TierStarted():
                self.tier_started[event.tier] = event.at
            case TierFinished():
                self.tier_seconds[event.tier] = event.seconds
            case Warned():
                self.warnings[event.message] = None
            case RunFinished():
                self.base = replace(self.base, end=event)

    def _begin(self, event: RunStarted) -> None:
        self.base = replace(
            self.base,
            run_id=event.run_id,
            at=self.base.at or event.at,
            jobs=event.jobs,
            sandbox=event.sandbox,
            trust=event.trust,
            end=None,
        )
        for plan in event.boxes:
            known = self.boxes.get(plan.box)
            if plan.done and known is not None and known.result is not None:
                continue
            # Done, but nobody handed in its verdict: then nothing here may claim that it ran.
            phase = Phase.MISSING if plan.done else Phase.QUEUED
            self.boxes[plan.box] = BoxState(
                box=plan.box, tier=plan.tier, title=plan.title, source=plan.source, phase=phase
            )

    def _start(self, event: BoxStarted) -> None:
        known = self.boxes.get(event.box)
        if known is not None and known.phase is not Phase.FINISHED:
            started = known.started or event.at
            self.boxes[event.box] = replace(known, phase=Phase.RUNNING, attempt=event.attempt, started=started)

    def _finish(self, event: BoxFinished) -> None:
        known = self.boxes.get(event.box)
        self.boxes[event.box] = replace(
            _kept(event), kept=False, slow=known is not None and known.slow, started=event.started
        )

    def _set_up(self, event: SetupFinished) -> None:
        known = self.setups.get(event.suite) or SetupState(suite=event.suite, run="", started=event.at - event.seconds)
        self.setups[event.suite] = replace(
            known, ok=event.ok, seconds=event.seconds, reason=event.reason, output=event.output
        )

    def _slow(self, event: BoxSlow) -> None:
        if event.box in self.boxes:
            self.boxes[event.box] = replace(self.boxes[event.box], slow=True)
