"""The buttons on a finished check: what they do, and for whom."""

from __future__ import annotations

import asyncio

from tests.fakes.world import REPO, PullRequest, World, box

BOXES = {
    "boxes/tier-1/1_steady.sh": box("exit 0", title="Steady"),
    "boxes/tier-1/2_sum.sh": box('test "$(cat sum)" = 4 || { echo "sum:1: no 4"; exit 1; }', title="Sum"),
    "boxes/tier-2/3_ships.sh": box("exit 0", title="Ships"),
    "sum": "4\n",
}


async def red_pull_request(world: World) -> PullRequest:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"sum": "5\n"})
    await world.settle()
    assert pr.conclusion == "failure"
    return pr


def press(world: World, pr: PullRequest, identifier: str, *, by: str = "mona") -> None:
    world.hub.request_action(pr.check("Interlock"), identifier, by)


async def executed(world: World) -> list[int]:
    """The boxes that the last run executed."""
    run = (await world.runs())[-1]
    page = await world.api(f"/api/v1/runs/{run.number}")
    return [item["box"] for item in page["boxes"] if item["verdict"] and not item["kept"]]


async def test_a_red_check_offers_three_buttons_and_a_green_one_runs_all_again(world: World) -> None:
    pr = await red_pull_request(world)
    assert [button["label"] for button in pr.check("Interlock").actions] == ["Rerun failed", "Rerun all", "Explain"]
    pr.push({"sum": "4\n", "x": "y"})
    await world.settle()
    assert [button["label"] for button in pr.check("Interlock").actions] == ["Rerun all"]


async def test_rerun_failed_runs_what_is_not_green_and_keeps_the_rest(world: World) -> None:
    pr = await red_pull_request(world)
    press(world, pr, "rerun_failed")
    await world.settle()
    assert await executed(world) == [2, 3]
    assert pr.conclusion == "failure"


async def test_rerun_all_runs_everything(world: World) -> None:
    pr = await red_pull_request(world)
    press(world, pr, "rerun_all")
    await world.settle()
    assert await executed(world) == [1, 2, 3]


async def test_a_press_that_two_hooks_tell_of_starts_one_run(world: World) -> None:
    pr = await red_pull_request(world)
    before = len(await world.runs())
    check = pr.check("Interlock")
    world.hub.request_action(check, "rerun_all", "mona")
    world.hub.request_action(check, "rerun_all", "mona")
    await world.settle()
    assert len(await world.runs()) == before + 1


async def test_a_press_whose_run_came_to_nothing_can_be_repeated(world: World) -> None:
    pr = await red_pull_request(world)
    check, ctx = pr.check("Interlock"), world.running.ctx
    for _ in range(world.max_runs):
        await ctx.seats.acquire()
    world.hub.request_action(check, "rerun_all", "mona")
    async with asyncio.timeout(20):
        while len(await world.runs()) < 3:
            await asyncio.sleep(0.02)
    pr.say("/boxes cancel")
    async with asyncio.timeout(20):
        while (await world.runs())[-1].state != "cancelled":
            await asyncio.sleep(0.02)
    for _ in range(world.max_runs):
        ctx.seats.release()
    world.hub.request_action(check, "rerun_all", "mona")
    await world.settle()
    assert [run.state for run in await world.runs()][-2:] == ["cancelled", "finished"]


async def test_explain_answers_once_with_what_is_red_and_how_to_see_it(world: World) -> None:
    pr = await red_pull_request(world)
    press(world, pr, "explain")
    press(world, pr, "explain")
    await world.settle()
    [_, answer] = pr.comments
    assert "2 Sum — failed" in answer
    assert "`sum:1`" in answer
    assert "`runner run 2 --sandbox off --trust T1 --base " in answer
    assert "1 box did not run because of `2`: `3`" in answer
    assert len(await world.runs()) == 2, "it runs nothing"


async def test_who_may_not_write_starts_nothing_and_is_told_so(world: World) -> None:
    pr = await red_pull_request(world)
    before = len(await world.runs())
    press(world, pr, "rerun_all", by="eve")
    press(world, pr, "explain", by="eve")
    await world.settle()
    assert len(await world.runs()) == before
    assert ["@eve: only people with write permission" in comment for comment in pr.comments] == [False, True]
    [entry, *_] = [row.entry for row in await world.running.ctx.audit.recent(limit=5)]
    assert (entry.actor, entry.decision, entry.reason) == ("eve", "refused", "not_permitted")


async def test_a_press_by_somebody_whose_permission_cannot_be_read_is_refused_and_written_down(world: World) -> None:
    pr = await red_pull_request(world)
    before = len(await world.runs())
    world.hub.faults.next("GET", "/collaborators/mona/permission$", status=403, message="Resource not accessible")
    press(world, pr, "rerun_all")
    await world.settle()
    assert len(await world.runs()) == before
    assert pr.comments[-1].startswith("@mona: GitHub does not say what you may do here")
    [entry, *_] = [row.entry for row in await world.running.ctx.audit.recent(limit=5)]
    assert (entry.action, entry.permission, entry.reason) == ("button rerun_all", "none", "permission_unknown")


async def test_a_button_of_a_push_runs_the_push_again(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    sha = world.hub.commit(REPO, "main", {"sum": "5\n"}, "Break main", "mona")
    await world.settle()
    [check] = [run for run in world.hub.check_runs(REPO, sha) if run.name == "Interlock"]
    assert [button["identifier"] for button in check.actions] == ["rerun_failed", "rerun_all"]
    world.hub.request_action(check, "rerun_failed", "mona")
    await world.settle()
    assert await executed(world) == [2, 3]
