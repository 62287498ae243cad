"""A controller killed at every point of a deployment under load: where it ends, what users lost, how soon it goes on.

`python bench/crash_matrix.py`; BENCH_ROUNDS says how often each point is tried (1). The point is a line of the journal:
before it is written, or right after it is on the disk.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Figure, machine, report
from bot.deploy.files import DeployFiles
from bot.deploy.journal import read, verify
from bot.deploy.supervise import carry_out
from bot.deploy.wishes import Wish, wish
from bot.domain.deploy.states import State
from tests.fakes.crashes import BACK, POINTS, Point
from tests.fakes.rollout import HAS, Rollout, Users, a_release, reaches

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "1"))
USERS = int(os.environ.get("BENCH_USERS", "4"))
A, B = a_release("a"), a_release("b")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one kill. `resumed` is from the last line before the kill to the first of the next controller."""

    point: Point
    end: State
    converged: bool
    requests: int
    failed: int
    resumed: float


async def asked_back(files: DeployFiles) -> None:
    await reaches(files, "watch")
    wish(files, Wish.ROLLBACK, "mona")


async def killed_at(point: Point) -> Outcome:
    going_back = point.end is BACK
    with tempfile.TemporaryDirectory() as directory:
        probes = [{"http": "/", "every": 0.05}]
        section = {"watch": {"for": 30.0 if going_back else 1.0, "probes": probes}}
        async with Rollout(Path(directory), section=section).cleaned() as rollout:
            await rollout.put_live(A)
            files = await rollout.deployment(B, A)
            terms = replace(rollout.terms(), argv=point.argv(Path(directory) / "killed"))
            async with Users(rollout.port).coming(USERS) as users:
                person = asyncio.create_task(asked_back(files)) if going_back else None
                ended = await carry_out(files, rollout.place, terms)
                await asyncio.sleep(0.2)
            if person is not None:
                await person
            seen = await rollout.target(0).observe()
            entries = read(files)
            right = ("blue", A.id) if going_back else ("green", B.id)
            again = [place for place, entry in enumerate(entries) if entry.data.get("what") == "started"][1]
            return Outcome(
                point=point,
                end=ended.state,
                converged=ended.state is point.end
                and seen.live == right[0]
                and seen.slots[right[0]].release == right[1]
                and verify(entries) == "",
                requests=users.total,
                failed=len(users.failed),
                resumed=(entries[again].at - entries[again - 1].at).total_seconds(),
            )


async def main() -> int:
    if not HAS["haproxy"]:
        print("HAProxy is not installed")
        return 1
    print(machine())
    outcomes: list[Outcome] = []
    print(f"{'killed':34} {'ended':12} {'right':6} {'requests':>9} {'failed':>7} {'resumed':>9}")
    for point in POINTS * ROUNDS:
        outcome = await killed_at(point)
        outcomes.append(outcome)
        right = "yes" if outcome.converged else "NO"
        print(
            f"{outcome.point!s:34} {outcome.end:12} {right:6} {outcome.requests:9} {outcome.failed:7}"
            f" {outcome.resumed:7.2f} s"
        )
    resumed = sorted(outcome.resumed for outcome in outcomes)
    print(f"{sum(outcome.converged for outcome in outcomes)} of {len(outcomes)} converged, ", end="")
    print(f"{sum(one.failed for one in outcomes)} of {sum(one.requests for one in outcomes)} requests failed")
    return report(
        [
            Figure(
                what="kills that did not converge", value=sum(not one.converged for one in outcomes), unit="", promise=0
            ),
            Figure(what="requests that failed", value=sum(one.failed for one in outcomes), unit="", promise=0),
            Figure(what="from the kill to the next controller, median", value=statistics.median(resumed), unit="s"),
            Figure(what="the same, longest", value=resumed[-1], unit="s", promise=2.0),
        ]
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
