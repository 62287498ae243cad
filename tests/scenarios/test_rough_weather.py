"""GitHub is away, forgets its answers, asks for patience, loses webhooks or will not speak to us any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace

import pytest

from bot.domain.run_states import RunState
from bot.localhub.acts import comments as acts
from tests.fakes.world import REPO, PullRequest, World, box
from tests.scenarios.test_pull_request import BOXES

CHECKS = Counter({"Interlock": 1, "Interlock / tier 1": 1, "Interlock / tier 2": 1, "Interlock / tier 3": 1})


def every_check(world: World, pr: PullRequest) -> Counter[str]:
    """How many check runs of each name the head has, the hidden older ones included."""
    return Counter(run.name for run in world.hub.state.runs if run.head_sha == pr.head)


async def quiet_repository(world: World) -> None:
    """A repository whose default branch has its verdict, so that faults hit the pull request alone."""
    world.repository(BOXES)
    await world.settle()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("GET", r"/pulls/\d+$", id="prepare"),
        pytest.param("GET", r"/git-upload-pack|/info/refs", id="fetch"),
        pytest.param("POST", r"/check-runs$", id="announce"),
        pytest.param("PATCH", r"/check-runs/\d+$", id="fill"),
        pytest.param("POST", r"/issues/\d+/comments$", id="comment"),
    ],
)
async def test_github_away_for_a_while_costs_nothing_but_time(world: World, method: str, path: str) -> None:
    await quiet_repository(world)
    world.hub.faults.next(method, path, status=503, times=4)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    assert every_check(world, pr) == CHECKS
    assert len(pr.comments) == 1


@pytest.mark.parametrize("how", ["status", "reset"])
async def test_an_answer_lost_after_the_deed_makes_no_second_check_or_comment(world: World, how: str) -> None:
    await quiet_repository(world)
    for path in (r"/check-runs$", r"/issues/\d+/comments$"):
        lost = {"status": 502} if how == "status" else {"reset": True}
        world.hub.faults.next("POST", path, after_commit=True, **lost)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    assert every_check(world, pr) == CHECKS
    assert len(pr.comments) == 1


@pytest.mark.parametrize("path", [r"/check-runs$", r"/issues/\d+/comments$"])
async def test_a_rate_limit_is_waited_for_and_then_the_run_goes_on(world: World, path: str) -> None:
    await quiet_repository(world)
    limit = {"retry-after": "2"}
    world.hub.faults.next("POST", path, status=403, message="You have exceeded a secondary rate limit", headers=limit)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    assert every_check(world, pr) == CHECKS
    assert len(pr.comments) == 1


async def test_progress_that_cannot_be_shown_does_not_hold_up_the_boxes(world: World) -> None:
    world.repository({f"boxes/tier-{n}/{n}_slow.sh": box("sleep 2", title="Slow") for n in (1, 2, 3)})
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    world.hub.faults.next("PATCH", r"/check-runs/\d+$", status=422, message="Validation Failed")
    await world.settle()
    assert world.hub.faults.take("PATCH", "/check-runs/1") is None, "the fault was met"
    assert pr.conclusion == "success"


async def test_a_delivery_told_twice_runs_once(world: World) -> None:
    await quiet_repository(world)
    before = len(await world.runs())
    world.hub.faults.duplicate_delivery("pull_request")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert len(await world.runs()) == before + 1
    assert every_check(world, pr) == CHECKS


async def test_the_same_fact_under_two_delivery_ids_runs_once(world: World) -> None:
    await quiet_repository(world)
    before = len(await world.runs())
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    # A second hook of the same App tells the same fact under an id of its own.
    [told] = [sent for sent in world.hub.deliveries() if sent.event == "pull_request"]
    world.hub.redeliver(replace(told, guid="0ddba11-another-hook"))
    await world.settle()
    assert len(await world.runs()) == before + 1
    assert every_check(world, pr) == CHECKS


async def test_a_delivery_that_comes_after_a_newer_one_changes_nothing(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    world.hub.faults.drop_delivery("pull_request")
    older = pr.push({"sum": "5\n"})
    newer = pr.push({"z": "z"})
    await world.settle()
    told = [sent for sent in world.hub.deliveries() if sent.event == "pull_request"][-1]
    world.hub.redeliver(replace(told, guid="0ddba11-late", payload=told.payload.replace(newer, older)))
    await world.settle()
    assert pr.checks(older) == {}
    pr.say("/boxes run 1")
    await world.settle()
    assert pr.conclusion == "failure"
    [comment] = pr.comments
    assert f"For `{newer[:7]}`" in comment


async def test_a_lost_delivery_is_made_good_by_the_next(world: World) -> None:
    await quiet_repository(world)
    world.hub.faults.drop_delivery("pull_request")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.checks() == {}
    pr.push({"z": "z"})
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_comment_that_somebody_deleted_is_written_again(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    [comment] = world.hub.comments(REPO, pr.number)
    acts.delete(world.hub.forge, world.hub.repository(REPO), comment, "mona")
    pr.push({"sum": "5\n"})
    await world.settle()
    [again] = pr.comments
    assert "tier 2 is red" in again
    pr.push({"sum": "4\n", "z": "z"})
    await world.settle()
    [same] = pr.comments
    assert "3 boxes in 3 tiers are green" in same


async def test_an_app_that_is_uninstalled_in_the_middle_of_a_run_closes_it_and_lets_go(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"boxes/tier-1/1_readme.sh": box("sleep 2", title="Slow")})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    world.hub.state.installations.drop(world.hub.installation("octo"))
    async with asyncio.timeout(60):
        await world.running.settled()
    run = (await world.runs())[-1]
    assert run.state is RunState.FINISHED
    assert run.conclusion == "action_required"


async def test_a_comment_that_nobody_may_react_to_is_carried_out_all_the_same(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    world.hub.faults.next("POST", r"/reactions$", status=404, message="Not Found", times=2)
    before = len(await world.runs())
    pr.say("/boxes run 1")
    await world.settle()
    assert len(await world.runs()) == before + 1


async def test_a_command_that_fails_by_our_fault_is_answered_and_not_silently_lost(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    world.hub.faults.next("GET", r"/pulls/1$", status=403, message="Resource not accessible")
    pr.say("/boxes run 1")
    await world.settle()
    assert pr.comments[-1].startswith("@mona: Interlock could not do this. Incident `comment:")
