"""How soon a release that turns bad after the switch is found, and users have the one before: per fault and source.

`python bench/detection.py`; BENCH_ROUNDS says how often each is tried (3), BENCH_USERS how many ask at a time. All
moments are those of the journal. Failed after the rollback are requests that were asked after the router was told.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Figure, machine, report
from bot.deploy.files import DeployFiles
from bot.deploy.journal import read
from bot.deploy.supervise import carry_out
from bot.domain.deploy.states import State
from tests.fakes.rollout import HAS, Rollout, Users, a_release, reaches

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
USERS = int(os.environ.get("BENCH_USERS", "8"))
WATCHED = 12.0
"""Seconds of the bake; what is not found in them is missed."""

A, B = a_release("a"), a_release("b")
PROBES = [{"http": "/", "every": 0.25, "timeout": 0.5}]
SOURCES: Mapping[str, Mapping[str, Any]] = {
    "both": {"probes": PROBES, "traffic": True},
    "probes": {"probes": PROBES, "traffic": False},
    "counts": {"probes": [], "traffic": True},
}


def ends(how: signal.Signals) -> Callable[[Rollout, DeployFiles], None]:
    return lambda rollout, _files: os.kill(rollout.slot_pid("green"), how)


def fails(share: float) -> Callable[[Rollout, DeployFiles], None]:
    return lambda _rollout, files: (files.tree / "fault").write_text(str(share)) and None


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens, and the most seconds that may pass until users have the release before, with both sources."""

    name: str
    strike: Callable[[Rollout, DeployFiles], None] | None
    promise: float | None = None


FAULTS = (
    Fault("killed", ends(signal.SIGKILL), 1.5),
    Fault("hung", ends(signal.SIGSTOP), 3.0),
    Fault("100 % errors", fails(1.0), 1.5),
    Fault("50 % errors", fails(0.5), 5.0),
    Fault("20 % errors", fails(0.2), 5.0),
    Fault("5 % errors", fails(0.05), 5.0),
    Fault("none", None),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one try, in seconds after the fault; None where it was not found."""

    found: float | None
    switched: float | None
    told: float | None
    failed: int
    after: int
    total: int
    end: State


async def struck(fault: Fault, source: str) -> Outcome:
    with tempfile.TemporaryDirectory() as directory:
        section = {"watch": {"for": WATCHED if fault.strike else 3.0, **SOURCES[source]}}
        async with Rollout(Path(directory), section=section).cleaned() as rollout:
            await rollout.put_live(A)
            files = await rollout.deployment(B, A)
            async with Users(rollout.port).coming(USERS) as users:
                carried = asyncio.create_task(carry_out(files, rollout.place, rollout.terms()))
                await reaches(files, "watch", within=30)
                await asyncio.sleep(0.7)
                at = time.time()
                if fault.strike is not None:
                    fault.strike(rollout, files)
                ended = await carried
                await asyncio.sleep(0.3)
            return measured(files, users, at, ended.state)


def measured(files: DeployFiles, users: Users, at: float, end: State) -> Outcome:
    entries = read(files)
    edges = {entry.data["state"]: entry.at.timestamp() for entry in entries if entry.kind == "state"}
    back = [entry for entry in entries if entry.kind == "done" and entry.data.get("weights", {}).get("blue") == 100]
    if "rolling_back" not in edges or not back:
        return Outcome(None, None, None, len(users.failed), 0, users.total, end)
    switched = back[-1].at.timestamp()
    return Outcome(
        found=edges["rolling_back"] - at,
        switched=switched - at,
        told=back[-1].data["seconds"],
        failed=len(users.failed),
        after=sum(asked > switched for asked, _ in users.failed),
        total=users.total,
        end=end,
    )


def line(fault: Fault, source: str, tries: list[Outcome]) -> str:
    found = sorted(one.found for one in tries if one.found is not None)
    switched = sorted(one.switched for one in tries if one.switched is not None)
    told = [one.told * 1000 for one in tries if one.told is not None]
    missed = len(tries) - len(found)
    times = (
        f"{found[len(found) // 2]:6.2f} {found[-1]:6.2f} {switched[-1]:6.2f}"
        if found
        else f"{'-':>6} {'-':>6} {'-':>6}"
    )
    call = f"{max(told):6.1f}" if told else f"{'-':>6}"
    lost, late = sum(one.failed for one in tries), sum(one.after for one in tries)
    return f"{fault.name:14} {source:8} {times} {call} {missed:6} {lost:7} {late:7} {sum(one.total for one in tries):9}"


async def main() -> int:
    if not HAS["haproxy"]:
        print("HAProxy is not installed")
        return 1
    print(machine())
    print(f"{'':23} {'found, s':>13} {'back':>6} {'route':>6}")
    print(
        f"{'fault':14} {'source':8} {'median':>6} {'max':>6} {'max, s':>6} {'ms':>6}"
        f" {'missed':>6} {'failed':>7} {'after':>7} {'requests':>9}"
    )
    figures: list[Figure] = []
    for fault in FAULTS:
        for source in SOURCES:
            tries = [await struck(fault, source) for _ in range(ROUNDS)]
            print(line(fault, source, tries), flush=True)
            after = sum(one.after for one in tries)
            if source != "both":
                continue
            if fault.strike is None:
                alarms = sum(one.end is not State.SUCCEEDED for one in tries)
                figures.append(Figure(what="alarms without a fault", value=alarms, unit="", promise=0))
                failed = sum(one.failed for one in tries)
                figures.append(Figure(what="failed requests without a fault", value=failed, unit="", promise=0))
            else:
                slowest = max(one.switched if one.switched is not None else WATCHED for one in tries)
                figures.append(
                    Figure(what=f"{fault.name}: users are back", value=slowest, unit="s", promise=fault.promise)
                )
                figures.append(Figure(what=f"{fault.name}: failed afterwards", value=after, unit="", promise=0))
    return report(figures)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
