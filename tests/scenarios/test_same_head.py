"""One head, several runs: which verdicts answer for it, and which of them a later run may keep."""

from __future__ import annotations

import pytest

from bot.localhub.acts import pulls as acts
from bot.store.runs import RunState
from tests.fakes.world import REPO, PullRequest, World, box

SUM = 'test "$(cat sum)" = "$(cat expected)"'
BOXES = {
    "boxes/tier-1/1_steady.sh": box("exit 0", title="Steady"),
    "boxes/tier-1/2_sum.sh": box(SUM, title="Sum"),
    "boxes/tier-1/3_other.sh": box("exit 0", title="Other"),
    "sum": "4\n",
    "expected": "4\n",
}


async def green_pull_request(world: World) -> PullRequest:
    """A pull request whose head is green on main as it stands."""
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    return pr


async def boxes_of_last_run(world: World) -> list[tuple[int, bool]]:
    """Number and `kept` of every box that has a verdict, as the last run counts them."""
    run = (await world.runs())[-1]
    page = await world.api(f"/api/v1/runs/{run.number}")
    return [(item["box"], item["kept"]) for item in page["boxes"] if item["verdict"]]


async def test_a_head_that_was_green_on_one_base_is_tested_again_on_another(world: World) -> None:
    pr = await green_pull_request(world)
    hub = world.hub
    hub.commit(REPO, "strict", {"expected": "5\n"}, "Expect five", "mona")
    acts.edit(hub.forge, hub.pull_request(REPO, pr.number), "mona", title=None, body=None, base="strict")
    await world.settle()
    assert pr.conclusion == "failure"
    [comment] = pr.comments
    assert "tier 1 is red" in comment


async def test_a_whole_run_tests_on_the_base_of_now(world: World) -> None:
    pr = await green_pull_request(world)
    world.hub.commit(REPO, "main", {"expected": "5\n"}, "Expect five", "mona")
    pr.say("/boxes run all")
    await world.settle()
    assert pr.conclusion == "failure"


async def test_a_part_stays_on_the_base_that_its_kept_verdicts_are_about(world: World) -> None:
    pr = await green_pull_request(world)
    main = world.hub.pull_request(REPO, pr.number).base_sha
    world.hub.commit(REPO, "main", {"expected": "5\n"}, "Expect five", "mona")
    pr.say("/boxes run 1")
    await world.settle()
    assert pr.conclusion == "success"
    assert f"merged into `main` at `{main[:7]}`" in (pr.check("Interlock").summary or "")


async def test_no_verdict_of_another_base_is_kept(world: World) -> None:
    pr = await green_pull_request(world)
    hub = world.hub
    hub.commit(REPO, "strict", {"expected": "5\n"}, "Expect five", "mona")
    hub.faults.drop_delivery("pull_request")
    acts.edit(hub.forge, hub.pull_request(REPO, pr.number), "mona", title=None, body=None, base="strict")
    pr.say("/boxes run 1")
    await world.settle()
    assert await boxes_of_last_run(world) == [(1, False)]
    assert pr.conclusion == "failure"
    assert "2 boxes have not run on this commit" in (pr.check("Interlock").title or "")


async def test_a_declined_selection_does_not_lose_the_verdicts_before_it(world: World) -> None:
    pr = await green_pull_request(world)
    pr.say("/boxes run 99")
    await world.settle()
    pr.say("/boxes run 2")
    await world.settle()
    assert await boxes_of_last_run(world) == [(1, True), (2, False), (3, True)]
    assert pr.conclusion == "success"


async def test_a_run_that_is_cancelled_while_it_waits_does_not_lose_the_verdicts_before_it(world: World) -> None:
    pr = await green_pull_request(world)
    await world.running.ctx.seats.acquire()
    await world.running.ctx.seats.acquire()
    pr.say("/boxes run 2")
    await world.until(lambda: "queued" in {run.status for run in pr.checks().values()})
    pr.say("/boxes cancel")
    await world.settle()
    assert pr.conclusion == "cancelled"
    world.running.ctx.seats.release()
    world.running.ctx.seats.release()

    pr.say("/boxes run 3")
    await world.settle()
    assert await boxes_of_last_run(world) == [(1, True), (2, True), (3, False)]
    assert pr.conclusion == "success"


@pytest.mark.parametrize("way", ["moved-away-and-back", "closed-and-reopened"])
async def test_a_head_whose_run_was_given_up_is_run_when_it_comes_back(world: World, way: str) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"boxes/tier-1/1_steady.sh": box('test -e "$HOME/go" || sleep 3', title="S")})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    first = pr.head
    if way == "moved-away-and-back":
        pr.push({"boxes/tier-1/1_steady.sh": box("exit 0", title="S")})
        await world.settle()
        world.hub.forge.git(world.hub.repository(REPO)).update_ref(f"refs/heads/{pr.branch}", first)
        world.hub.commit(REPO, "unrelated", {"x": "z"}, "Have the hub look", "mona")
    else:
        closed = world.hub.close_pull_request(REPO, pr.number, "mona")
        await world.settle()
        acts.reopen(world.hub.forge, closed, "mona")
    await world.settle()
    assert pr.head == first
    assert pr.conclusion == "success"
    assert (await world.runs())[-1].state is RunState.FINISHED
