"""What a bake says about a release: good, bad, not the release's fault, or that nobody can say. Pure.

The caller feeds a judge with all answers of the new slot, asks the old slot beside it for as long as that runs, and
acts on what `judgement` says after every batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bot.domain.deploy.environment import Watch
from bot.domain.deploy.watch import Judge, evidence, is_bad, samples_needed, smallest_found, threshold

GAP = 10.0
"""Seconds without a sample after which a bake begins again."""

PAIRS = 40
"""So many questions to both slots at once are remembered."""

ALIKE = 2
"""Failures of the old slot without which it is not to blame what both have in common."""

VISIBLE = 0.5
"""A bake is only good if a release that fails this share of its answers would have been found."""

PATIENCE = 3.0
"""A bake that is not over after so many times its length never will be."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The last questions that both slots were asked at the same time, oldest first.

    Attributes:
        asked: (the new one answered well, the old one did).
    """

    asked: tuple[tuple[bool, bool], ...] = ()

    def add(self, *, new: bool, old: bool) -> Pairs:
        """With one more."""
        return Pairs((*self.asked, (new, old))[-PAIRS:])

    @property
    def since_trouble(self) -> tuple[tuple[bool, bool], ...]:
        """Those since the new slot first failed; none if it did not."""
        first = next((at for at, (new, _) in enumerate(self.asked) if not new), len(self.asked))
        return self.asked[first:]


@dataclass(frozen=True, slots=True)
class GoesOn:
    """Nothing can be said yet."""


@dataclass(frozen=True, slots=True)
class AskBoth:
    """The new slot is bad; ask both slots `ALIKE` times, without waiting, add that, and ask again with `confirmed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """The bake is over and enough was seen. `because` is a sentence without a full stop, here and below."""

    samples: int
    finds: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """The release fails more than is tolerated."""

    failures: int
    samples: int
    evidence: float
    threshold: float
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Inconclusive:
    """The bake is over and too little was seen to say anything."""

    samples: int
    needed: int
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTheRelease:
    """The new release fails, and the one before fails alike: going back would not help."""

    new: int
    old: int
    asked: int
    because: str


Judgement = GoesOn | AskBoth | Good | Bad | Inconclusive | NotTheRelease


def judgement(judge: Judge, pairs: Pairs | None, *, over: bool, confirmed: bool = False) -> Judgement:
    """What is to be said now.

    Args:
        judge: of all answers of the new slot.
        pairs: what both slots were asked; None when there is no old slot that could be asked.
        over: whether the bake is, as `BakeTime` says.
        confirmed: whether both were asked since `AskBoth`, which is then not said again.
    """
    if is_bad(judge):
        return _blame(judge, pairs, confirmed=confirmed)
    if not over:
        return GoesOn()
    needed = samples_needed(batches=judge.n, alpha=judge.alpha, p0=judge.p0, rate=VISIBLE)
    if judge.samples < needed:
        return Inconclusive(
            samples=judge.samples,
            needed=needed,
            because=f"inconclusive: {judge.samples} of the {needed} samples that it takes",
        )
    finds = smallest_found(judge)
    return Good(
        samples=judge.samples,
        finds=finds,
        because=f"{judge.failures} of {judge.samples} answers failed; a share of {finds:.0%} would have been found",
    )


Course = Literal["go_on", "ask_both", "retire", "roll_back", "hold"]


def course(said: Judgement, watch: Watch) -> Course:
    """What follows from a judgement, as the configuration has it."""
    match said:
        case GoesOn():
            return "go_on"
        case AskBoth():
            return "ask_both"
        case Good():
            return "retire"
        case NotTheRelease():
            return "hold"
        case Bad():
            return "roll_back" if watch.on_bad == "rollback" else "hold"
        case Inconclusive():
            courses: Mapping[str, Course] = {"hold": "hold", "rollback": "roll_back", "accept": "retire"}
            return courses[watch.no_data]


@dataclass(frozen=True, slots=True, kw_only=True)
class BakeTime:
    """How much of a bake is over. Moments are seconds since the epoch: they outlive the process that counts them.

    Attributes:
        planned: how long it takes, in seconds.
        began: when it first began.
        seen: seconds that were watched without a gap.
        last_sample: when something was last seen.
        restarts: how often a gap made it begin again.
        gap: the longest pause between two samples that is none.
    """

    planned: float
    began: float
    seen: float = 0.0
    last_sample: float | None = None
    restarts: int = 0
    gap: float = GAP

    def tick(self, now: float) -> BakeTime:
        """With a sample that was seen now. A clock that was set back neither adds nor takes time."""
        if self.last_sample is None:
            return replace(self, last_sample=now)
        since = max(0.0, now - self.last_sample)
        if since > self.gap:
            return replace(self, seen=0.0, last_sample=now, restarts=self.restarts + 1)
        return replace(self, seen=self.seen + since, last_sample=now)

    @property
    def enough(self) -> bool:
        """Whether it was watched for as long as was planned."""
        return self.seen >= self.planned

    def over(self, now: float) -> bool:
        """Whether it is over: watched long enough, or given up because samples do not come."""
        return self.enough or now - self.began >= PATIENCE * self.planned + 2 * self.gap


def bake_time(*, planned: float, now: float, slowest: float = 0.0) -> BakeTime:
    """A bake that begins now. `slowest` is the longest interval of its probes: no gap is shorter than two of them."""
    return BakeTime(planned=planned, began=now, gap=max(GAP, 2 * slowest))


def pairs_to_json(pairs: Pairs) -> list[list[bool]]:
    """For the journal."""
    return [list(pair) for pair in pairs.asked]


def pairs_from_json(raw: Any) -> Pairs:
    """Of what `pairs_to_json` made."""
    return Pairs(tuple((bool(new), bool(old)) for new, old in raw))


def _blame(judge: Judge, pairs: Pairs | None, *, confirmed: bool) -> Judgement:
    """Whose fault it is. The old slot only delays that while it may share the blame.

    What both need may fail between two answers to the same question, so one pair settles nothing, and neither does an
    old slot that answered well before and does not now.
    """
    if pairs is None:
        return _bad(judge)
    asked = pairs.since_trouble
    new, old = (sum(not pair[slot] for pair in asked) for slot in (0, 1))
    if old >= ALIKE and 2 * old >= new:
        return NotTheRelease(
            new=new,
            old=old,
            asked=len(asked),
            because=f"not the release: of {len(asked)} questions to both slots the new one failed {new}, "
            f"the one before {old}",
        )
    if not confirmed and (len(asked) < ALIKE or not asked[-1][1]):
        return AskBoth()
    return _bad(judge, f"; of {len(asked)} questions to both slots the one before failed {old}" if asked else "")


def _bad(judge: Judge, beside: str = "") -> Bad:
    return Bad(
        failures=judge.failures,
        samples=judge.samples,
        evidence=evidence(judge),
        threshold=threshold(judge),
        because=f"{judge.failures} of {judge.samples} answers failed, {judge.p0:.1%} are tolerated{beside}",
    )
