"""A run to tell tests by: short builders of the runner's events."""

from __future__ import annotations

from runner.events import BoxFinished, BoxStarted, Event, PlannedBox, RunFinished, RunStarted
from runner.model import BoxId, Failure, Verdict

TITLES = {7: "Lint", 12: "Adds", 21: "Locks after five failures", 22: "Unlocks after an hour", 30: "Login page answers"}
TIERS = {7: 1, 12: 1, 21: 2, 22: 2, 30: 3}
GREEN = {Verdict.PASSED, Verdict.CACHED}


def source(number: int) -> str:
    return f"boxes/tier-{TIERS[number]}/{number}_box.py"


def planned(*numbers: int, done: tuple[int, ...] = ()) -> tuple[PlannedBox, ...]:
    return tuple(
        PlannedBox(box=BoxId("", n), tier=TIERS[n], title=TITLES[n], source=source(n), done=n in done) for n in numbers
    )


def run_started(*numbers: int, done: tuple[int, ...] = (), at: float = 1000.0) -> RunStarted:
    boxes = planned(*(numbers or TIERS), done=done)
    return RunStarted(run_id="r1", at=at, jobs=2, boxes=boxes, sandbox="full", trust="T1")


def started(number: int, *, at: float = 1001.0, attempt: int = 1) -> BoxStarted:
    return BoxStarted(box=BoxId("", number), tier=TIERS[number], attempt=attempt, at=at)


def finished(
    number: int,
    verdict: Verdict = Verdict.PASSED,
    *,
    at: float = 1002.0,
    seconds: float = 1.0,
    gating: bool = True,
    reason: str = "",
    failures: tuple[Failure, ...] = (),
    output: str = "",
    blocked_by: str = "",
    title: str = "",
) -> BoxFinished:
    return BoxFinished(
        box=BoxId("", number),
        tier=TIERS[number],
        title=title or TITLES[number],
        verdict=verdict,
        green=verdict in GREEN,
        gating=gating,
        at=at,
        started=at - seconds,
        seconds=seconds,
        reason=reason,
        failures=failures,
        output=output,
        blocked_by=blocked_by,
        source=source(number),
        line=1,
        repro=f"runner run {number}",
    )


def run_finished(*, green: bool = True, exit_code: int | None = None, at: float = 1010.0) -> RunFinished:
    code = exit_code if exit_code is not None else int(not green)
    return RunFinished(exit_code=code, green=green, seconds=10.0, counts={}, at=at)


def all_green() -> list[Event]:
    return [run_started(), *(finished(n) for n in TIERS), run_finished()]


SUBTRACTS = Failure(id="adds two numbers", message="expected 4, got 0", file="calc.py", line=3)


def tier_two_red() -> list[Event]:
    """Tier 1 is green, box 21 of tier 2 is red, so tier 3 did not run."""
    return [
        run_started(),
        finished(7),
        finished(12, Verdict.CACHED),
        finished(
            21,
            Verdict.FAILED,
            seconds=1.25,
            reason="1 of 3 assertions did not hold",
            failures=(SUBTRACTS,),
            output="collected 3 items\nE  assert 0 == 4\n",
        ),
        finished(22),
        finished(30, Verdict.BLOCKED, seconds=0.0, reason="tier 2 is red", blocked_by="21"),
        run_finished(green=False),
    ]
