"""Stories of a pull request, from its push to what people read on GitHub."""

from __future__ import annotations

from tests.fakes.world import World, box

ADDS = 'test "$(cat sum)" = 4 || { echo "sum:1: expected 4, got $(cat sum)"; exit 1; }'
BOXES = {
    "boxes/tier-1/1_readme.sh": box("test -s README.md", title="There is a README"),
    "boxes/tier-2/2_adds.sh": box(ADDS, title="Adds"),
    "boxes/tier-3/3_ships.sh": box("exit 0", title="Ships"),
    "README.md": "hello\n",
    "sum": "4\n",
}


async def test_a_fix_turns_the_same_comment_green(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"sum": "5\n"})
    await world.settle()

    assert pr.conclusion == "failure"
    assert pr.check("Interlock / tier 1").conclusion == "success"
    assert pr.check("Interlock / tier 2").conclusion == "failure"
    assert pr.check("Interlock / tier 3").conclusion == "failure"
    assert [(a["path"], a["start_line"]) for a in pr.check("Interlock / tier 2").annotations] == [("sum", 1)]
    [red] = pr.comments
    assert "tier 2 is red, tier 3 did not run" in red

    pr.push({"sum": "4\n", "more": "x"})
    await world.settle()
    assert pr.conclusion == "success"
    [green] = pr.comments
    assert "✅ **Interlock** — 3 boxes in 3 tiers are green" in green


async def test_what_is_tested_is_the_head_merged_into_its_base(world: World) -> None:
    both = box('test "$(cat a b)" = "1\n1"', title="Both are one")
    world.repository({"boxes/tier-1/1_both.sh": both, "a": "1\n", "b": "1\n"})
    pr = await world.open_pull_request({"unrelated": "x"})
    await world.settle()
    assert pr.conclusion == "success"

    world.hub.commit("octo/app", "main", {"b": "2\n"}, "Move the base", "mona")
    pr.push({"unrelated": "y"})
    await world.settle()
    assert pr.conclusion == "failure"


async def test_a_conflict_is_red_and_names_its_files(world: World) -> None:
    world.repository(BOXES)
    pr = await world.open_pull_request({"sum": "5\n"})
    world.hub.commit("octo/app", "main", {"sum": "6\n"}, "Move the base", "mona")
    pr.push({"sum": "7\n"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "failure"
    assert check.title == "conflicts with main in 1 file"
    assert "`sum`" in (check.summary or "")


async def test_configuration_comes_from_the_base_and_bodies_from_the_head(world: World) -> None:
    strict = box("sleep 30", title="Slow", timeout='"1s"')
    world.repository({**BOXES, "boxes/tier-1/4_slow.sh": strict})
    lenient = box("sleep 2", title="Slow", timeout='"60s"')
    pr = await world.open_pull_request({"boxes/tier-1/4_slow.sh": lenient})
    await world.settle()
    assert pr.conclusion == "failure"
    assert "timed_out" in (pr.check("Interlock / tier 1").summary or "")


async def test_a_box_that_the_change_removes_is_red_and_names_its_file(world: World) -> None:
    world.repository(BOXES)
    pr = await world.open_pull_request({"boxes/tier-1/1_readme.sh": None})
    await world.settle()
    assert pr.conclusion == "failure"
    assert "boxes/tier-1/1_readme.sh is missing here" in pr.comments[0]


async def test_a_box_is_removed_in_two_steps_of_which_the_first_is_its_quarantine(world: World) -> None:
    going = {"until": "2999-12-31", "reason": "goes"}
    quarantine = "{" + ", ".join(f'{key} = "{value}"' for key, value in going.items()) + "}"
    world.repository({**BOXES, "boxes/tier-1/1_readme.sh": box("exit 0", title="Goes", quarantine=quarantine)})
    pr = await world.open_pull_request({"boxes/tier-1/1_readme.sh": None})
    await world.settle()
    assert pr.conclusion == "success"
    assert "In quarantine, red without gating: `1`" in pr.comments[0]


async def test_a_broken_configuration_is_not_green_and_points_to_its_line(world: World) -> None:
    world.repository({**BOXES, ".github/interlock.yml": "boxes:\n  9: {tier: 1, titel: x, run: 'true'}\n"})
    pr = await world.open_pull_request({"sum": "4\n", "x": "y"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "action_required"
    assert "titel" in (check.title or "")
    assert [(a["path"], a["start_line"]) for a in check.annotations] == [(".github/interlock.yml", 2)]


async def test_a_repository_without_boxes_hears_nothing(world: World) -> None:
    world.repository({"README.md": "hello"})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.checks() == {}
    assert pr.comments == []


async def test_a_failing_setup_names_itself_and_not_the_boxes(world: World) -> None:
    config = "setup: {run: 'echo no such package; exit 3'}\n"
    world.repository({**BOXES, ".github/interlock.yml": config})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    check = pr.check("Interlock")
    assert check.conclusion == "failure"
    assert "Setup failed" in (check.summary or "")
    assert "no such package" in (check.summary or "")


async def test_a_push_to_the_default_branch_is_reported_on_its_commit(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    sha = world.hub.commit("octo/app", "main", {"sum": "5\n"}, "Break main", "mona")
    await world.settle()
    conclusions = {run.name: run.conclusion for run in world.hub.check_runs("octo/app", sha)}
    assert conclusions["Interlock"] == "failure"


async def test_a_push_to_another_branch_runs_nothing(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    sha = world.hub.commit("octo/app", "idea", {"sum": "5\n"}, "Try", "mona")
    await world.settle()
    assert world.hub.check_runs("octo/app", sha) == []


async def test_a_box_that_speaks_of_people_mentions_nobody(world: World) -> None:
    shouting = box("echo '@octo/everyone <img src=x> [x](http://x) | ::error::x'; exit 1", title="Shouts")
    world.repository({"boxes/tier-1/1_shouts.sh": shouting})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    written = [*pr.comments, *(str(run.summary) + str(run.text) for run in pr.checks().values())]
    outside = "\n".join(line for text in written for line in text.split("```")[::2])
    assert "@octo/everyone" not in outside
    assert "<img" not in outside


async def test_closing_the_pull_request_cancels_its_run(world: World) -> None:
    world.repository({"boxes/tier-1/1_waits.sh": box("exit 0", title="Waits")})
    pr = await world.open_pull_request({"boxes/tier-1/1_waits.sh": box("sleep 50", title="Waits")})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    world.hub.close_pull_request("octo/app", pr.number, "mona")
    await world.settle()
    assert pr.conclusion == "cancelled"
    assert "closing the pull request" in (pr.check("Interlock").title or "")
    assert [run.because for run in await world.runs() if run.pr] == ["cancelled by closing the pull request"]


async def test_a_newer_head_supersedes_the_run_of_the_older(world: World) -> None:
    waits = box('test "$(cat sum)" = 4 || sleep 60', title="Waits unless four")
    world.repository({"boxes/tier-1/1_waits.sh": waits, "sum": "4\n"})
    await world.settle()
    pr = await world.open_pull_request({"sum": "5\n"})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    older = pr.head
    newer = pr.push({"sum": "4\n", "x": "y"})
    await world.settle()
    assert pr.check("Interlock", older).conclusion == "cancelled"
    assert f"superseded by {newer[:7]}" in (pr.check("Interlock", older).title or "")
    assert f"superseded by {newer[:7]}" in [run.because for run in await world.runs()]
    assert pr.conclusion == "success"
    [comment] = pr.comments
    assert f"For `{newer[:7]}`" in comment


async def test_a_box_that_kills_its_runner_again_and_again_is_not_green_and_the_comment_says_so(world: World) -> None:
    world.repository({"boxes/tier-1/1_kills.sh": box("test ! -e kill || kill -9 $PPID", title="Kills")})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "success"
    pr.push({"kill": ""})
    await world.settle()
    assert pr.conclusion == "action_required"
    [comment] = pr.comments
    assert "the runner crashed several times" in comment
    left_open = [check.name for check in pr.checks().values() if check.conclusion in (None, "success")]
    assert left_open == [], "a check that hangs for ever says less than one that admits it"
