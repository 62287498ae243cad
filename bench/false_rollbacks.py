"""How often the watch takes back a release that is no worse than tolerated, and how soon it finds one that is.

    python bench/false_rollbacks.py

100 000 simulated bakes of 600 answers for each share of failures, seeded; what is promised is at most 0.1 % of them.
Then the answers that it takes to find a release that begins to fail in the middle of its bake. Beside it what two rules
do that others use. The machine does not matter: nothing is timed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bakes import ALPHA, SAMPLES, found_after, is_alarmed, until_failure
from bench.figures import Figure, report
from bot.domain.deploy.watch import FLOOR

BAKES = 100_000
FOUND = 2_000


Rule = Callable[[Random, float], bool]
"""Whether a bake of a release that fails this share of its answers ends in a rollback."""


def alarms(rule: Rule, rate: float) -> float:
    """The share of bakes, in percent, that do."""
    rng = Random(rate)
    return 100 * sum(rule(rng, rate) for _ in range(BAKES)) / BAKES


def ours(rng: Random, rate: float) -> bool:
    """The watch, where one percent is tolerated."""
    return is_alarmed(rng, rate=rate, p0=FLOOR)


def in_a_row(rng: Random, rate: float) -> bool:
    """Three failures in a row."""
    at, row = 0, 0
    while (well := until_failure(rng, rate)) < SAMPLES - at:
        row = row + 1 if well == 0 else 1
        at += well + 1
        if row == 3:
            return True
    return False


def in_all(rng: Random, rate: float) -> bool:
    """More than three failures in all."""
    at, failures = 0, 0
    while (well := until_failure(rng, rate)) < SAMPLES - at:
        at, failures = at + well + 1, failures + 1
    return failures > 3


def main() -> int:
    """Measure and print."""
    figures = []
    for rate in (0.001, 0.005, 0.01):
        value = alarms(ours, rate)
        what = f"false rollbacks at {rate:.1%} failures"
        figures.append(Figure(what=what, value=value, unit="%", promise=100 * ALPHA))
        for name, rule in (("three in a row", in_a_row), ("more than three in all", in_all)):
            figures.append(Figure(what=f"  a rule of {name}", value=alarms(rule, rate), unit="%"))
    rng = Random("found")
    for rate in (1.0, 0.5, 0.2, 0.1, 0.05):
        found = [found_after(rng, before=0.001, rate=rate) for _ in range(FOUND)]
        seen = sorted(one for one in found if one is not None)
        figures += [
            Figure(what=f"answers to find {rate:.0%} failures, median", value=median(seen), unit=""),
            Figure(what="  of 95 %", value=seen[int(0.95 * len(seen))], unit=""),
            Figure(what="  never in time", value=100 * (FOUND - len(seen)) / FOUND, unit="%"),
        ]
    return report(figures)


if __name__ == "__main__":
    sys.exit(main())
