"""Event streams that the report tests read: one ordinary red run, and makers of single events."""

from __future__ import annotations

from typing import Any

from runner.events import (
    BoxFinished,
    BoxSlow,
    BoxStarted,
    Event,
    PlannedBox,
    RunFinished,
    RunStarted,
    TierFinished,
    TierStarted,
    Warned,
)
from runner.model import BoxId, Failure, Verdict

BEGAN = 1_800_000_000.0


def finished(number: int, **changed: Any) -> BoxFinished:
    """A box that passed in tier 1, with the given fields changed."""
    fields: dict[str, Any] = {
        "box": BoxId("", number),
        "tier": 1,
        "title": f"Box {number}",
        "verdict": Verdict.PASSED,
        "green": True,
        "at": BEGAN + 1,
        "seconds": 0.31,
        "source": f"boxes/tier-1/{number:02d}_box.sh",
        "line": 3,
        "repro": f"runner run {number}",
    }
    return BoxFinished(**{**fields, **changed})


def red_run() -> list[Event]:
    """Two tiers: one box fails with two assertions, one is flaky, one warns; the second tier is blocked."""
    titles = {1: (1, "Lint"), 7: (1, "Locks after five failures"), 8: (1, "Retries"), 20: (2, "Login page")}
    planned = [
        PlannedBox(box=BoxId("", number), tier=tier, title=title, source="") for number, (tier, title) in titles.items()
    ]
    failures = (
        Failure(id="locked-after-5", message="got 200", file="tests/login.py", line=12),
        Failure(id="unlocks-again", message="never"),
    )
    return [
        RunStarted(run_id="r1", at=BEGAN, jobs=2, boxes=planned),
        TierStarted(tier=1, at=BEGAN),
        BoxStarted(box=BoxId("", 7), tier=1, attempt=1, at=BEGAN),
        BoxStarted(box=BoxId("", 1), tier=1, attempt=1, at=BEGAN),
        finished(1, title="Lint", seconds=0.042),
        BoxSlow(box=BoxId("", 7), seconds=2.0, at=BEGAN + 2),
        finished(
            7,
            title="Locks after five failures",
            verdict=Verdict.FAILED,
            green=False,
            seconds=3.1,
            exit_code=1,
            reason="2 of 3 assertions did not hold",
            failures=failures,
            output="".join(f"line {n}\n" for n in range(18, 40)) + "\x1b[31mHTTP 200\x1b[0m\r\n",
            leaked=("sleep 1000",),
        ),
        finished(8, title="Retries", verdict=Verdict.FLAKY, attempts=2),
        TierFinished(tier=1, green=False, seconds=3.2, at=BEGAN + 3.2),
        finished(20, title="Login page", tier=2, verdict=Verdict.BLOCKED, green=False, blocked_by="7", seconds=0),
        Warned(message="no history yet", at=BEGAN + 3.2),
        RunFinished(exit_code=1, green=False, seconds=3.2, counts={}, at=BEGAN + 3.2),
    ]
