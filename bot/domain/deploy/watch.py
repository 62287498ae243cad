"""Whether a release fails more than is tolerated: a sequential test with a proven bound on false alarms. Pure.

Source: Shiryaev, On optimum methods in quickest detection problems (1963), and Roberts, A comparison of some control
chart procedures (1966), as a mixture over three alternatives. The proof, and what it does not catch, are in
docs/explanation/deployments.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import ceil, exp, inf, lgamma, log, log1p
from typing import Any

ALTERNATIVES = (0.05, 0.2, 0.9)
"""Shares of failures that are looked for: a small part of the answers, a good part, and nearly all."""

FLOOR = 0.01
"""What is tolerated of every release, as a share of its answers."""

CEILING = 0.5
"""What is tolerated of no release."""

LEAST = 1e-4
"""Nobody tolerates less: the ratios would grow beyond any sense, and the bound holds for every smaller share too."""

CONFIDENCE = 0.999
"""Of the bound on what the release before failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What is known of one release's answers. A value: `feed` makes the next one.

    Attributes:
        n: how many batches were planned, of every source together.
        alpha: how likely, at most, a release that fails no more than `p0` is judged bad.
        p0: the tolerated share of failures.
        r: for each alternative the natural logarithm of 1 + R, R being its Shiryaev-Roberts statistic. Logarithms do
            not overflow, and this one begins at 0.
        batches: how many were fed that held an answer.
        failures: answers that were failures.
        successes: the others.
    """

    n: int
    alpha: float
    p0: float
    r: tuple[float, float, float] = (0.0, 0.0, 0.0)
    batches: int = 0
    failures: int = 0
    successes: int = 0

    @property
    def samples(self) -> int:
        """How many answers were seen."""
        return self.failures + self.successes


def begin(*, batches: int, alpha: float, p0: float) -> Judge:
    """A judge who has seen nothing.

    Args:
        batches: how many are planned, of every source together: two sources that are asked 240 times make 480.
        alpha: between 0 and 1.
        p0: the tolerated share; it is moved into [`LEAST`, `CEILING`].
    """
    return Judge(n=max(1, batches), alpha=alpha, p0=min(max(p0, LEAST), CEILING))


def feed(judge: Judge, *, failures: int, successes: int) -> Judge:
    """The judge after one more batch: what one source said since it was asked last.

    A batch may hold any number of answers; one that holds none tells nothing and changes nothing.
    """
    if failures + successes <= 0:
        return judge
    one, two, three = (
        _grown(known, _log_ratio(p1, judge.p0, failures=failures, successes=successes))
        for known, p1 in zip(judge.r, alternatives(judge.p0), strict=True)
    )
    return Judge(
        n=judge.n,
        alpha=judge.alpha,
        p0=judge.p0,
        r=(one, two, three),
        batches=judge.batches + 1,
        failures=judge.failures + failures,
        successes=judge.successes + successes,
    )


def is_bad(judge: Judge) -> bool:
    """Whether the release fails more than is tolerated, as far as can be said with the bound."""
    return evidence(judge) >= threshold(judge)


def evidence(judge: Judge) -> float:
    """The natural logarithm of 1 + R: 0 for nothing at all, and bad from `threshold` on."""
    highest = max(judge.r)
    return highest + log(sum(exp(one - highest) for one in judge.r) / len(judge.r))


def threshold(judge: Judge) -> float:
    """The natural logarithm of 1 + n / alpha. More batches than were planned, as after a restart, raise it."""
    return log1p(max(judge.n, judge.batches) / judge.alpha)


def alternatives(p0: float) -> tuple[float, float, float]:
    """The shares that are looked for, all of them above what is tolerated.

    One that is not clearly above (twice as much) gives way to one that lies as far between `p0` and 1 as it lay
    between 0 and 1.
    """
    one, two, three = (p1 if p1 >= 2 * p0 else p0 + (1 - p0) * p1 for p1 in ALTERNATIVES)
    return one, two, three


def samples_needed(*, batches: int, alpha: float, p0: float, rate: float) -> int:
    """About how many answers it takes to find a release that fails `rate` of them; 0 if it never will.

    It is the threshold divided by what one answer adds on average, which the median follows closely.
    """
    judge = begin(batches=batches, alpha=alpha, p0=p0)
    if (gain := _gain(rate, judge.p0)) <= 0:
        return 0
    return max(1, ceil((threshold(judge) + log(len(ALTERNATIVES))) / gain))


def smallest_found(judge: Judge) -> float:
    """The smallest share of failures, in whole hundredths, that as many answers as were seen would have shown.

    1.0 also when not even a dead release would have been seen.
    """
    for percent in range(1, 100):
        needed = samples_needed(batches=judge.n, alpha=judge.alpha, p0=judge.p0, rate=percent / 100)
        if 0 < needed <= judge.samples:
            return percent / 100
    return 1.0


def tolerated(failures: int, answers: int) -> float:
    """What share of failures is tolerated after a release that was seen to fail `failures` of its `answers`.

    It is at least `FLOOR`, at most `CEILING`, and between them the bound that the release before stays below with a
    confidence of 99.9 %. A release before that never failed says nothing against `FLOOR`, however few its answers: a
    quiet service would else have a watch that is blind.
    """
    if failures <= 0:
        return FLOOR
    return min(max(FLOOR, upper_bound(failures, answers)), CEILING)


def upper_bound(failures: int, answers: int, *, confidence: float = CONFIDENCE) -> float:
    """The share that is not exceeded with this confidence, after `failures` of `answers`.

    Source: Clopper and Pearson, The use of confidence or fiducial limits (1934); one-sided.
    """
    if answers <= 0 or failures >= answers:
        return 1.0
    low, high = failures / answers, 1.0
    for _ in range(100):  # halves the interval each time: below the precision of a float long before.
        middle = (low + high) / 2
        if _at_most(failures, answers, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def to_json(judge: Judge) -> dict[str, Any]:
    """All of it; `from_json` makes the equal judge."""
    return {**asdict(judge), "r": list(judge.r)}


def from_json(raw: Mapping[str, Any]) -> Judge:
    """The judge of what `to_json` made."""
    one, two, three = raw["r"]
    return Judge(**{**raw, "r": (one, two, three)})


def _log_ratio(p1: float, p0: float, *, failures: int, successes: int) -> float:
    return failures * log(p1 / p0) + successes * log((1 - p1) / (1 - p0))


def _grown(known: float, log_ratio: float) -> float:
    """ln(1 + (1 + R) · ratio), where `known` is ln(1 + R)."""
    grown = known + log_ratio
    return max(grown, 0.0) + log1p(exp(-abs(grown)))


def _gain(rate: float, p0: float) -> float:
    """What one answer of a release that fails `rate` of them adds to the best alternative's logarithm, on average."""
    return max(rate * log(p1 / p0) + (1 - rate) * log((1 - p1) / (1 - p0)) for p1 in alternatives(p0))


def _at_most(failures: int, answers: int, share: float) -> float:
    """The probability of at most so many failures. The terms shrink from the largest, so few of them count."""
    if share <= 0.0:
        return 1.0
    if share >= 1.0:
        return 0.0
    odds = log(share) - log1p(-share)
    term = (
        lgamma(answers + 1)
        - lgamma(failures + 1)
        - lgamma(answers - failures + 1)
        + failures * log(share)
        + (answers - failures) * log1p(-share)
    )
    total, largest = 0.0, -inf
    for count in range(failures, -1, -1):
        largest = max(largest, term)
        total += exp(term)
        if term < largest - 50:  # what follows is below the precision of a float.
            break
        if count:
            term += log(count) - log(answers - count + 1) - odds
    return min(total, 1.0)
