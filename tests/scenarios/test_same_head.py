"""One head, several runs: which verdicts answer for it, and which of them a later run may keep."""

from __future__ import annotations

import asyncio

import pytest

from bot.domain.run_states import RunState
from bot.flows.conclude import announce, conclude
from bot.flows.execute import Executed, Stopped, execute_run
from bot.localhub.acts import pulls as acts
from bot.localhub.acts import pushes
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


def point(world: World, branch: str, sha: str) -> None:
    """Push a commit to a branch, whatever was there."""
    repo = world.hub.repository(REPO)
    world.hub.forge.git(repo).update_ref(f"refs/heads/{branch}", sha)
    pushes.observe(world.hub.forge, repo, "mona")


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


async def test_a_part_that_is_asked_for_during_a_run_waits_for_it_and_keeps_its_verdicts(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"boxes/tier-1/1_steady.sh": box("sleep 3", title="Slow")})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    pr.say("/boxes run 2")
    await world.settle()
    assert await boxes_of_last_run(world) == [(1, True), (2, False), (3, True)]
    assert pr.conclusion == "success"


async def test_the_comment_speaks_of_a_new_head_before_its_first_box_runs(world: World) -> None:
    pr = await green_pull_request(world)
    await world.running.ctx.seats.acquire()
    await world.running.ctx.seats.acquire()
    newer = pr.push({"x": "z"})
    await world.until(lambda: f"For `{newer[:7]}`" in pr.comments[0])
    assert pr.comments[0].count("✅") == 0
    assert pr.checks()["Interlock"].conclusion is None
    world.running.ctx.seats.release()
    world.running.ctx.seats.release()
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_pull_request_that_was_closed_before_anybody_looked_runs_nothing(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    await world.stop_bot()
    pr = await world.open_pull_request({"x": "y"})
    await world.hub.settled()
    world.hub.close_pull_request(REPO, pr.number, "mona")
    await world.hub.settled()
    await world.start_bot()
    for sent in world.hub.deliveries():
        if sent.event == "pull_request" and sent.action == "opened":
            world.hub.redeliver(sent)
    await world.settle()
    assert pr.checks() == {}
    [run] = [run for run in await world.runs() if run.pr]
    assert (run.state, run.because) == (RunState.CANCELLED, "the pull request is closed")


async def test_a_run_that_was_to_stop_before_the_bot_died_starts_no_box_afterwards(world: World) -> None:
    await green_pull_request(world)
    ctx = world.running.ctx
    done = (await world.runs())[-1]
    run = await ctx.runs.create(
        "left-behind",
        now=ctx.clock.now(),
        installation_id=done.installation_id,
        repo_id=done.repo_id,
        repo=done.repo,
        pr=done.pr,
        head_sha=done.head_sha,
        base_ref=done.base_ref,
        base_sha=done.base_sha,
    )
    await ctx.runs.ask_to_stop(run.id, "@mona")
    async with asyncio.timeout(20):
        await announce(ctx, run.id)
        assert isinstance(await execute_run(ctx, run.id), Stopped)
    assert await ctx.runs.checks_of(run.id) == {}
    assert ctx.files(run).records() == []
    await ctx.runs.enter(run.id, RunState.CANCELLED)


async def test_what_an_older_head_says_late_does_not_reach_the_comment(world: World) -> None:
    pr = await green_pull_request(world)
    older = (await world.runs())[-1]
    newer = pr.push({"sum": "5\n"})
    await world.settle()
    await conclude(world.running.ctx, older.id, Executed())
    [comment] = pr.comments
    assert f"For `{newer[:7]}`" in comment
    assert "tier 1 is red" in comment


async def test_a_run_leaves_its_record_and_not_its_trees(world: World) -> None:
    await green_pull_request(world)
    files = world.running.ctx.files((await world.runs())[-1])
    assert files.records() != []
    assert not files.tree.exists()
    assert not files.base.exists()


async def test_a_head_of_two_pull_requests_is_green_only_when_both_are(world: World) -> None:
    world.repository(BOXES)
    world.hub.commit(REPO, "strict", {"expected": "5\n"}, "Expect five", "mona")
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"

    strict = world.hub.open_pull_request(REPO, pr.branch, "strict", "The same, into strict", "mona")
    await world.settle()
    assert strict.head_sha == pr.head
    assert pr.conclusion == "failure"

    pr.say("/boxes run all")
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "failure"
    assert check.title == f"green here, but pull request #{strict.number} of the same head is not"
    pr.say("/boxes why")
    await world.settle()
    assert f"pull request `#{strict.number}` has the same head and is not green" in pr.comments[-1]

    world.hub.commit(REPO, "strict", {"expected": "4\n"}, "Expect four", "mona")
    world.hub.comment(REPO, strict.number, "/boxes run all", "mona")
    await world.settle()
    every = [run for run in world.hub.state.runs if run.head_sha == pr.head and run.name == "Interlock"]
    assert [run.conclusion for run in every][-2:] == ["success", "success"]


async def test_a_pull_request_that_was_closed_holds_its_head_no_longer(world: World) -> None:
    world.repository(BOXES)
    world.hub.commit(REPO, "strict", {"expected": "5\n"}, "Expect five", "mona")
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    strict = world.hub.open_pull_request(REPO, pr.branch, "strict", "The same, into strict", "mona")
    await world.settle()
    world.hub.close_pull_request(REPO, strict.number, "mona")
    pr.say("/boxes run all")
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_green_run_waits_for_the_other_of_its_head_and_is_not_left_waiting(world: World) -> None:
    world.repository(BOXES)
    slow = {"boxes/tier-1/1_steady.sh": box("sleep 30", title="Slow")}
    world.hub.commit(REPO, "slow", slow, "Be slow", "mona")
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    other = world.hub.open_pull_request(REPO, pr.branch, "slow", "The same, into slow", "mona")
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    pr.say("/boxes run all")
    waits = f"green here, waits for pull request #{other.number} of the same head"
    await world.until(lambda: pr.check("Interlock").title == waits)
    assert (pr.check("Interlock").status, pr.conclusion) == ("in_progress", None)

    world.hub.close_pull_request(REPO, other.number, "mona")
    await world.settle()
    assert pr.conclusion == "success"


@pytest.mark.parametrize("way", ["closed", "moved"])
async def test_a_head_that_comes_back_does_not_show_what_was_green_for_another_base(world: World, way: str) -> None:
    """While it was away, a second pull request proposed the same commit to a branch that asks for less."""
    world.repository(BOXES)
    world.hub.commit(REPO, "lax", {"boxes/tier-1/2_sum.sh": None}, "Ask for less", "mona")
    pr = await world.open_pull_request({"sum": "5\n"})
    await world.settle()
    assert pr.conclusion == "failure"
    hub, head = world.hub, pr.head
    if way == "closed":
        hub.close_pull_request(REPO, pr.number, "mona")
    else:
        pr.push({"x": "y"})
    await world.settle()
    point(world, "lure", head)
    lure = hub.open_pull_request(REPO, "lure", "lax", "Lure", "mona")
    await world.settle()
    assert pr.check("Interlock", head).conclusion == "success"
    hub.close_pull_request(REPO, lure.number, "mona")
    if way == "closed":
        acts.reopen(hub.forge, hub.pull_request(REPO, pr.number), "mona")
    else:
        point(world, pr.branch, head)
    await world.settle()
    assert pr.head == head
    assert pr.conclusion == "failure"


LISTED = {".github/interlock.yml": "trust: {protected: [develop]}\n", **BOXES}


async def test_a_push_to_a_listed_branch_does_not_make_a_red_pull_request_of_the_same_head_green(world: World) -> None:
    """What was pushed is judged by itself; merged into what main has by now it may be wrong."""
    world.repository(LISTED)
    await world.settle()
    pr = await world.open_pull_request({"sum": "5\n", "expected": "5\n", "x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    world.hub.commit(REPO, "main", {"boxes/tier-1/2_sum.sh": box("test ! -e x", title="Sum")}, "Ask for more", "mona")
    pr.say("/boxes run all")
    await world.settle()
    assert pr.conclusion == "failure"

    point(world, "develop", pr.head)
    await world.settle()
    check = pr.check("Interlock")
    assert (check.conclusion, check.title) == (
        "failure",
        f"green here, but pull request #{pr.number} of the same head is not",
    )

    world.hub.close_pull_request(REPO, pr.number, "mona")
    world.hub.rerequest_check_suite(check, "mona")
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_freeze_holds_a_head_that_was_pushed_to_another_branch_as_well(world: World) -> None:
    world.repository(LISTED, collaborators={"mona": "maintain"})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    pr.say('/freeze main because "the release is being cut"')
    await world.settle()
    assert pr.conclusion == "action_required"
    point(world, "develop", pr.head)
    await world.settle()
    assert pr.conclusion == "action_required"
    pr.say("/unfreeze main")
    await world.settle()
    assert pr.conclusion == "success"
