"""What a stop says about itself. How it ends a process, and what resumes after it, is in test_crash."""

from __future__ import annotations

from tests.fakes.world import World, box

WAITS = {"boxes/tier-1/1_waits.sh": box("sleep 50", title="Waits")}


async def test_an_idle_bot_has_nothing_to_cut_off_however_short_its_drain(world: World) -> None:
    assert world.running.settings.drain_seconds == 0
    await world.settle()  # the rounds of a start
    assert await world.running.drain()


async def test_a_drain_that_is_too_short_for_a_run_says_so(world: World) -> None:
    world.repository({"boxes/tier-1/1_waits.sh": box()})
    pr = await world.open_pull_request(WAITS)
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    assert not await world.running.drain()
