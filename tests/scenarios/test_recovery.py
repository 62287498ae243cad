"""What was missed while nobody was there: deliveries are asked for again, open pull requests get what they lack."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.missed import MOST_ASKS
from bot.domain.run_states import RunState
from bot.flows import reconcile, redeliver
from bot.localhub.acts import moves
from bot.localhub.acts import pulls as acts
from tests.fakes.world import REPO, PullRequest, World, box

BOXES = {"boxes/tier-1/1_ok.sh": box(title="Fine")}


async def quiet_repository(world: World) -> None:
    world.repository(BOXES)
    await world.settle()


async def one_round(world: World, name: str, nth: int = 0) -> None:
    """A round of a schedule, as the timer fires it."""
    what = reconcile.EVERYWHERE if name == reconcile.NAME else ""
    await world.running.ctx.engine.start(name, f"{name}:test:{nth}:{len(world.hub.deliveries())}", what)
    await world.settle()


async def runs_of(world: World, pr: PullRequest) -> list[str]:
    """The states of a pull request's runs, oldest first."""
    return [str(run.state) for run in await world.runs() if run.pr == pr.number]


async def facts(world: World) -> dict[str, object]:
    parts = (await world.api("/health/detailed"))["parts"]
    found: dict[str, object] = parts["github"]
    return found


@pytest.mark.requirement("S-22")
async def test_what_failed_while_the_bot_was_away_is_told_again_at_its_start(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    await world.stop_bot()
    comment = pr.say("/boxes run 1")
    await world.hub.settled()
    await world.start_bot()
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "rocket"]
    assert await runs_of(world, pr) == ["finished", "finished"]
    gap = (await facts(world))["last_gap"]
    assert isinstance(gap, dict)
    assert gap["deliveries"] > 0


async def test_a_delivery_that_failed_is_asked_for_in_the_next_round_and_runs_once(world: World) -> None:
    await quiet_repository(world)
    world.hub.faults.fail_delivery("pull_request")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.checks() == {}
    for nth in range(2):
        await one_round(world, redeliver.NAME, nth)
    assert pr.conclusion == "success"
    assert await runs_of(world, pr) == ["finished"]
    told = [sent for sent in world.hub.deliveries() if sent.event == "pull_request" and sent.action == "opened"]
    assert [sent.status_code for sent in told] == [502, 202]
    assert (await facts(world))["waited_for"] == 0


async def test_a_delivery_that_fails_for_ever_is_given_up_and_shown(world: World) -> None:
    world.repository({"README.md": "hello\n"})  # nothing to test, so the bot writes no comment of its own
    for _ in range(1 + MOST_ASKS):
        world.hub.faults.fail_delivery("issue_comment")
    pr = await world.open_pull_request({"x": "y"})
    comment = pr.say("/boxes run 1")
    await world.settle()
    for nth in range(MOST_ASKS + 2):
        await one_round(world, redeliver.NAME, nth)
    assert pr.reactions(comment) == []
    told = [sent for sent in world.hub.deliveries() if sent.event == "issue_comment"]
    assert len(told) == 1 + MOST_ASKS
    found = await facts(world)
    assert (found["status"], found["given_up"]) == ("degraded", 1)


async def test_what_a_lost_delivery_would_have_started_is_found_without_it(world: World) -> None:
    await quiet_repository(world)
    for _ in range(1 + MOST_ASKS):
        world.hub.faults.fail_delivery("pull_request")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    await one_round(world, redeliver.NAME)
    assert pr.conclusion == "success"
    assert (await facts(world))["waited_for"] == 1


async def test_a_round_goes_on_where_the_last_one_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "MOST_STARTS", 1)
    pulls = []
    for name in (REPO, "octo/other"):
        world.repository(BOXES, name=name)
        await world.settle()
        world.hub.faults.drop_delivery("pull_request")
        pulls.append(await world.open_pull_request({"x": "y"}, repo=name))
    await world.settle()
    mark = f"reconcile:next:{world.hub.installation('octo').id}"
    other = world.hub.repository("octo/other").id
    await world.running.ctx.marks.set(mark, str(other))
    await one_round(world, reconcile.NAME)
    assert [bool(pr.checks()) for pr in pulls] == [False, True]
    assert await world.running.ctx.marks.get(mark) == str(world.hub.repository(REPO).id)
    await one_round(world, reconcile.NAME, 1)
    assert [pr.conclusion for pr in pulls] == ["success", "success"]


async def test_a_round_that_github_does_not_answer_is_made_good_by_the_next(world: World) -> None:
    await quiet_repository(world)
    world.hub.faults.fail_delivery("pull_request")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    world.hub.faults.next("GET", "/app/hook/deliveries$", status=502, times=3)
    await one_round(world, redeliver.NAME)
    assert pr.checks() == {}
    await one_round(world, redeliver.NAME, 1)
    assert pr.conclusion == "success"


async def test_a_pull_request_that_nobody_told_of_gets_its_run_and_only_one(world: World) -> None:
    await quiet_repository(world)
    world.hub.faults.drop_delivery("pull_request")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    for nth in range(3):
        await one_round(world, reconcile.NAME, nth)
    assert pr.conclusion == "success"
    assert await runs_of(world, pr) == ["finished"]


async def test_open_pull_requests_are_tested_when_the_app_is_installed(world: World) -> None:
    world.hub.create_repository(REPO, collaborators={"mona": "write"}, files=BOXES, install=False)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.checks() == {}
    world.hub.create_repository("octo/other", files={"a": "1\n"})
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_pull_request_that_was_closed_unheard_ends_its_run(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"boxes/tier-1/1_ok.sh": box("sleep 60", title="Slow")})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    world.hub.faults.drop_delivery("pull_request")
    world.hub.close_pull_request(REPO, pr.number, "mona")
    await one_round(world, reconcile.NAME)
    assert await runs_of(world, pr) == ["cancelled"]


@pytest.mark.requirement("S-23", "S-24")
async def test_a_closing_of_yesterday_does_not_end_the_run_of_a_reopened_pull_request(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    world.hub.faults.fail_delivery("pull_request")
    closed = world.hub.close_pull_request(REPO, pr.number, "mona")
    acts.reopen(world.hub.forge, closed, "mona")
    pr.push({"boxes/tier-1/1_ok.sh": box("sleep 3", title="Slow")})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    await one_round(world, redeliver.NAME)
    assert pr.conclusion == "success"
    assert RunState.CANCELLED not in await runs_of(world, pr)


async def test_a_check_that_vanished_from_github_comes_back(world: World) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    for run in list(world.hub.state.runs):
        if run.head_sha == pr.head:
            world.hub.state.runs.drop(run)
    for nth in range(3):
        await one_round(world, reconcile.NAME, nth)
    assert pr.conclusion == "success"
    assert await runs_of(world, pr) == ["finished", "finished"]


async def test_a_repository_without_boxes_is_left_alone_round_after_round(world: World) -> None:
    world.repository({"README.md": "hello\n"})
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    for nth in range(3):
        await one_round(world, reconcile.NAME, nth)
    assert await runs_of(world, pr) == ["cancelled"]
    assert pr.checks() == {}


async def test_an_installation_that_is_short_of_calls_is_left_to_those_who_wait(world: World) -> None:
    await quiet_repository(world)
    world.hub.faults.drop_delivery("pull_request")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    gh = world.running.ctx.github.installation(world.hub.installation("octo").id)
    await gh.get("/repos/octo/app")
    spent = [window for window in world.hub.limits._windows.values() if window.used][-1]
    for window in world.hub.limits._windows.values():
        window.used = window.limit - 100
    await one_round(world, reconcile.NAME)
    assert pr.checks() == {}
    assert spent.remaining > 0


@pytest.mark.requirement("S-22")
@pytest.mark.parametrize("button", ["run", "suite"])
async def test_a_press_that_two_hooks_tell_of_runs_once_and_a_second_press_again(world: World, button: str) -> None:
    await quiet_repository(world)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()

    def press() -> None:
        check = pr.check("Interlock")
        if button == "run":
            world.hub.rerequest_check_run(check, "mona")
        else:
            world.hub.rerequest_check_suite(check, "mona")

    press()
    await world.settle()
    told = [sent for sent in world.hub.deliveries() if sent.action == "rerequested"][-1]
    world.hub.redeliver(replace(told, guid="0ddba11-another-hook"))
    await world.settle()
    assert len(await runs_of(world, pr)) == 2
    world.hub.clock.advance(timedelta(seconds=2).total_seconds())
    press()
    await world.settle()
    assert len(await runs_of(world, pr)) == 3
    assert json.loads(told.payload)["action"] == "rerequested"


async def test_an_app_that_comes_to_a_busy_account_opens_no_more_runs_than_a_round_may(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconcile, "MOST_STARTS", 1)
    world.hub.create_repository(REPO, collaborators={"mona": "write"}, files=BOXES, install=False)
    first, second = [await world.open_pull_request({"x": name}, branch=name) for name in "yz"]
    await world.settle()
    world.hub.create_repository("octo/other", files={"a": "1\n"})
    await world.settle()
    assert [bool(pr.checks()) for pr in (first, second)] == [True, False]
    await one_round(world, reconcile.NAME)
    assert [pr.conclusion for pr in (first, second)] == ["success", "success"]


async def test_an_installation_whose_return_nobody_told_of_is_spoken_for_again(world: World) -> None:
    await quiet_repository(world)
    moves.suspend(world.hub.forge, world.hub.installation("octo"), "octo")
    await world.settle()
    world.hub.faults.drop_delivery("installation")
    moves.unsuspend(world.hub.forge, world.hub.installation("octo"), "octo")
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.checks() == {}, "as far as the bot has heard it is not welcome"
    await one_round(world, reconcile.NAME)
    assert pr.conclusion == "success"
