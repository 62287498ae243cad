"""Bakes without a server: answers are drawn, and the rule of `bot.domain.deploy.watch` judges them, one a batch.

Only a failure can make a release bad, so the successes between two failures are taken in one step. That is what makes
hundreds of thousands of bakes a matter of seconds.
"""

from __future__ import annotations

from dataclasses import replace
from math import expm1, log, log1p
from random import Random

from bot.domain.deploy.watch import Judge, alternatives, begin, feed, is_bad

SAMPLES = 600
"""Answers in a bake: ten minutes at one a second, or two and a half at four."""

ALPHA = 0.001
"""False rollbacks that are allowed, as the configuration has it when it says nothing."""


def until_failure(rng: Random, rate: float) -> int:
    """How many answers come before the next failure."""
    return int(log(1.0 - rng.random()) / log1p(-rate)) if rate < 1 else 0


def after_successes(judge: Judge, count: int) -> Judge:
    """What `feed` makes of so many batches of one success each: R becomes sⁿR + s(1 - sⁿ)/(1 - s)."""
    if count == 0:
        return judge
    grown = []
    for known, p1 in zip(judge.r, alternatives(judge.p0), strict=True):
        ratio = (1 - p1) / (1 - judge.p0)
        faded = ratio**count
        grown.append(log1p(faded * expm1(known) + ratio * (1 - faded) / (1 - ratio)))
    one, two, three = grown
    return replace(judge, r=(one, two, three), batches=judge.batches + count, successes=judge.successes + count)


def is_alarmed(rng: Random, *, rate: float, p0: float, alpha: float = ALPHA, samples: int = SAMPLES) -> bool:
    """Whether a bake of a release that fails this share of its answers ends in a rollback."""
    judge, left = begin(batches=samples, alpha=alpha, p0=p0), samples
    while (well := until_failure(rng, rate)) < left:
        judge, left = feed(after_successes(judge, well), failures=1, successes=0), left - well - 1
        if is_bad(judge):
            return True
    return False


def found_after(rng: Random, *, before: float, rate: float, samples: int = SAMPLES) -> int | None:
    """How many answers it takes to find a release that begins to fail in the middle of its bake; None: not in time.

    Args:
        rng: seeded.
        before: the share that it fails in the first half.
        rate: in the second.
        samples: of the whole bake.
    """
    judge, left = begin(batches=samples, alpha=ALPHA, p0=0.01), samples // 2
    while (well := until_failure(rng, before)) < left:
        judge, left = feed(after_successes(judge, well), failures=1, successes=0), left - well - 1
    judge, seen = after_successes(judge, left), 0
    while (well := until_failure(rng, rate)) < samples - samples // 2 - seen:
        judge, seen = feed(after_successes(judge, well), failures=1, successes=0), seen + well + 1
        if is_bad(judge):
            return seen
    return None
