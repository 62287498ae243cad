"""The merge queue: what it proposes is run for real on its own commit, unless the same files were green already."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.store.runs import Run
from tests.fakes.world import REPO, PullRequest, World, box

SUM = 'test "$(cat sum)" = "$(cat expected)"'
BOXES = {
    "boxes/tier-1/1_steady.sh": box("exit 0", title="Steady"),
    "boxes/tier-2/2_sum.sh": box(SUM, title="Sum"),
    "sum": "4\n",
    "expected": "4\n",
}


async def green_pull_request(world: World, files: dict[str, str | None], *, branch: str = "topic") -> PullRequest:
    pr = await world.open_pull_request(files, branch=branch)
    await world.settle()
    assert pr.conclusion == "success"
    return pr


async def executed(world: World, run: Run) -> list[int]:
    page = await world.api(f"/api/v1/runs/{run.number}")
    return [item["box"] for item in page["boxes"] if item["verdict"] and not item["kept"]]


async def groups_run(world: World) -> Run:
    [run] = [run for run in await world.runs() if run.cause == "merge_group"]
    return run


def merged(world: World, pr: PullRequest) -> bool:
    return world.hub.pull_request(REPO, pr.number).merged_at is not None


async def test_what_the_queue_proposes_runs_on_its_own_commit_and_is_merged_when_green(world: World) -> None:
    world.repository(BOXES)
    pr = await green_pull_request(world, {"more": "x"})
    world.hub.commit(REPO, "main", {"other": "y"}, "Move the base", "mona")
    group = world.hub.enqueue(REPO, pr.number, "mona")
    await world.settle()
    assert pr.check("Interlock", group.head_sha).conclusion == "success"
    assert "which the merge queue puts onto `main`" in (pr.check("Interlock", group.head_sha).summary or "")
    run = await groups_run(world)
    assert (run.trust, run.base_sha, run.title) == ("T0", group.base_sha, f"merge queue: #{pr.number}")
    assert await executed(world, run) == [1, 2]
    assert merged(world, pr)


async def test_two_changes_that_are_green_alone_and_red_together_are_not_both_merged(world: World) -> None:
    world.repository(BOXES)
    one = await green_pull_request(world, {"sum": "4\n", "boxes/tier-2/2_sum.sh": box("test ! -e two", title="Sum")})
    two = await green_pull_request(world, {"two": "x"}, branch="other")
    world.hub.enqueue(REPO, one.number, "mona")
    world.hub.enqueue(REPO, two.number, "mona")
    await world.settle()
    assert (merged(world, one), merged(world, two)) == (True, False)


async def test_the_same_files_are_not_run_again_and_the_check_says_so(world: World) -> None:
    world.repository(BOXES)
    pr = await green_pull_request(world, {"more": "x"})
    group = world.hub.enqueue(REPO, pr.number, "mona")
    await world.settle()
    check = pr.check("Interlock", group.head_sha)
    assert check.conclusion == "success"
    earlier = next(run for run in await world.runs() if run.pr == pr.number)
    assert "2 boxes not run again: the same files were green in" in (check.summary or "")
    assert f"[run {earlier.number}]" in (check.summary or "")
    assert await executed(world, await groups_run(world)) == []
    assert merged(world, pr)


@pytest.mark.parametrize(
    "asks_for", [{"network": '["example.org"]'}, {"secrets": '["KEY"]'}], ids=["network", "secrets"]
)
async def test_a_box_that_looks_outside_is_run_again_though_the_files_are_the_same(
    world: World, asks_for: dict[str, str]
) -> None:
    asks = box("exit 0", title="Asks", **asks_for)
    world.repository({**BOXES, "boxes/tier-1/1_steady.sh": asks})
    pr = await green_pull_request(world, {"more": "x"})
    world.hub.enqueue(REPO, pr.number, "mona")
    await world.settle()
    assert await executed(world, await groups_run(world)) == [1]


async def test_other_metadata_on_the_base_is_a_reason_to_run_again(world: World) -> None:
    world.repository(BOXES)
    pr = await green_pull_request(world, {"boxes/tier-2/2_sum.sh": box(SUM, title="Sum", timeout='"9s"')})
    run = next(run for run in await world.runs() if run.pr == pr.number)
    await world.running.ctx.runs.update(run.id, config_hash="another")
    world.hub.enqueue(REPO, pr.number, "mona")
    await world.settle()
    assert await executed(world, await groups_run(world)) == [1, 2]


async def test_what_a_stranger_ran_is_not_taken_over(world: World) -> None:
    world.repository(BOXES)
    pr = await green_pull_request(world, {"more": "x"})
    run = next(run for run in await world.runs() if run.pr == pr.number)
    await world.running.ctx.runs.update(run.id, trust="T2")
    world.hub.enqueue(REPO, pr.number, "mona")
    await world.settle()
    assert await executed(world, await groups_run(world)) == [1, 2]


async def test_what_was_green_days_ago_is_run_again(world: World) -> None:
    world.repository(BOXES)
    pr = await green_pull_request(world, {"more": "x"})
    run = next(run for run in await world.runs() if run.pr == pr.number)
    assert run.finished_at
    await world.running.ctx.runs.update(run.id, finished_at=run.finished_at - timedelta(days=2))
    world.hub.enqueue(REPO, pr.number, "mona")
    await world.settle()
    assert await executed(world, await groups_run(world)) == [1, 2]


async def test_a_group_that_the_queue_gives_up_is_cancelled(world: World) -> None:
    world.repository({**BOXES, "boxes/tier-1/1_steady.sh": box("test ! -e slow || sleep 60", title="Steady")})
    await world.settle()
    pr = await world.open_pull_request({"slow": "x"})
    pr.say("/boxes cancel")
    group = world.hub.enqueue(REPO, pr.number, "mona")
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks(group.head_sha).values()})
    world.hub.dequeue(REPO, pr.number, "mona")
    await world.settle()
    assert pr.check("Interlock", group.head_sha).conclusion == "cancelled"
    assert "the merge queue" in (pr.check("Interlock", group.head_sha).title or "")


async def test_a_red_group_leaves_the_queue_and_its_button_runs_it_again_as_a_group(world: World) -> None:
    world.repository(BOXES)
    pr = await green_pull_request(world, {"more": "x"})
    world.hub.commit(REPO, "main", {"expected": "5\n"}, "Expect five", "mona")
    group = world.hub.enqueue(REPO, pr.number, "mona")
    await world.settle()
    check = pr.check("Interlock", group.head_sha)
    assert check.conclusion == "failure"
    assert not merged(world, pr)
    world.hub.request_action(check, "rerun_all", "mona")
    await world.settle()
    assert (await world.runs())[-1].because == "the merge queue does not propose this commit any more"


async def test_a_frozen_base_takes_nothing_from_the_queue(world: World) -> None:
    world.repository(BOXES, collaborators={"mona": "write", "hub": "maintain"})
    pr = await green_pull_request(world, {"more": "x"})
    pr.say('/freeze main because "the release is being cut"', by="hub")
    await world.settle()
    group = world.hub.enqueue(REPO, pr.number, "mona")
    await world.settle()
    check = pr.check("Interlock", group.head_sha)
    assert (check.conclusion, check.title) == ("action_required", "frozen: the release is being cut (by @hub)")
    assert not merged(world, pr)
