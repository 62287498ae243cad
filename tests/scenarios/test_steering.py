"""What people can decide besides running boxes: answering for one, freezing a branch, asking why."""

from __future__ import annotations

from typing import Any

import pytest

from bot.flows import holds
from tests.fakes.world import REPO, PullRequest, World, box

STEADY = "boxes/tier-1/1_steady.sh"
RED = "boxes/tier-1/2_red.sh"
LATE = "boxes/tier-2/3_late.sh"
BOXES = {
    STEADY: box("exit 0", title="Steady"),
    RED: box("exit 0", title="Red"),
    LATE: box("exit 0", title="Late"),
}
WRONG = {RED: box("echo 'src/app.py:3: expected 4, got 0'; exit 1", title="Red")}
TEAM = {"mona": "write", "hub": "maintain", "eve": "read"}


async def pull_request(world: World, files: dict[str, str] | None = None) -> PullRequest:
    world.repository(BOXES, collaborators=TEAM)
    await world.settle()
    pr = await world.open_pull_request({"x": "y", **(files or {})})
    await world.settle()
    return pr


async def audit(world: World) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await world.api("/api/v1/audit"))["entries"]
    return rows


async def test_a_skipped_box_still_stands_there_and_does_not_gate(world: World) -> None:
    pr = await pull_request(world, WRONG)
    assert pr.conclusion == "failure"
    comment = pr.say('/boxes skip 2 because "the mirror is down"')
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "rocket"]
    assert pr.conclusion == "success"
    check = pr.check("Interlock")
    assert check.title == "2 boxes green, 1 excused by @mona: the mirror is down"
    assert "excused by" in (check.summary or "")
    assert pr.check("Interlock / tier 1").conclusion == "success"
    assert pr.check("Interlock / tier 2").conclusion == "success"
    assert "1 excused by" in pr.comments[0]


async def test_a_push_withdraws_the_excuse(world: World) -> None:
    pr = await pull_request(world, WRONG)
    pr.say('/boxes skip 2 because "the mirror is down"')
    await world.settle()
    assert pr.conclusion == "success"
    pr.push({"x": "z"})
    await world.settle()
    assert pr.conclusion == "failure"


async def test_an_excused_box_that_runs_again_holds_nothing_back(world: World) -> None:
    pr = await pull_request(world, WRONG)
    pr.say('/boxes skip failed because "the mirror is down"')
    await world.settle()
    pr.say("/boxes rerun all")
    await world.settle()
    assert {name: check.conclusion for name, check in pr.checks().items()} == {
        "Interlock": "success",
        "Interlock / tier 1": "success",
        "Interlock / tier 2": "success",
    }


async def test_what_is_not_red_cannot_be_skipped_as_failed(world: World) -> None:
    pr = await pull_request(world)
    comment = pr.say('/boxes skip failed because "no reason"')
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "confused"]
    assert pr.comments[-1].startswith("@mona: no box is red on this head.")


async def test_skipping_another_box_makes_nothing_green(world: World) -> None:
    pr = await pull_request(world, WRONG)
    pr.say('/boxes skip 1 because "no reason"')
    await world.settle()
    assert pr.conclusion == "failure"


async def test_a_freeze_holds_open_pull_requests_and_its_end_runs_nothing(world: World) -> None:
    pr = await pull_request(world)
    runs = len(await world.runs())
    pr.say('/freeze main because "the release is being cut"', by="hub")
    await world.settle()
    assert pr.conclusion == "action_required"
    assert pr.check("Interlock").title == "frozen: the release is being cut (by @hub)"
    assert pr.check("Interlock / tier 1").conclusion == "success"
    assert "frozen: the release is being cut" in pr.comments[0]
    pr.say("/unfreeze main", by="hub")
    await world.settle()
    assert pr.conclusion == "success"
    assert len(await world.runs()) == runs


async def test_a_pull_request_that_comes_during_a_freeze_runs_and_is_held(world: World) -> None:
    pr = await pull_request(world)
    pr.say('/freeze because "holidays"', by="hub")
    await world.settle()
    other = await world.open_pull_request({"y": "z"}, branch="other")
    await world.settle()
    assert other.conclusion == "action_required"
    assert other.check("Interlock / tier 2").conclusion == "success"
    pr.say("/unfreeze", by="hub")
    await world.settle()
    assert (pr.conclusion, other.conclusion) == ("success", "success")


async def test_a_freeze_holds_what_goes_into_its_branch_and_nothing_else(world: World) -> None:
    pr = await pull_request(world)
    world.hub.commit(REPO, "develop", {"d": "1"}, "Branch off", "mona")
    world.hub.commit(REPO, "feature", {"f": "1"}, "Feature", "mona")
    pull = world.hub.open_pull_request(REPO, "feature", "develop", "Feature", "mona")
    into_develop = PullRequest(world, REPO, pull.number, "feature", "mona")
    await world.settle()
    assert (pr.conclusion, into_develop.conclusion) == ("success", "success")
    comment = pr.say('/freeze develop because "the release is being cut"', by="hub")
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "rocket"]
    assert (pr.conclusion, into_develop.conclusion) == ("success", "action_required")
    pr.say("/unfreeze develop", by="hub")
    await world.settle()
    assert (pr.conclusion, into_develop.conclusion) == ("success", "success")


async def test_a_second_freeze_of_a_branch_takes_the_place_of_the_first(world: World) -> None:
    pr = await pull_request(world)
    pr.say('/freeze main because "until somebody lifts it"', by="hub")
    await world.settle()
    pr.say('/freeze main until 2999-01-01 because "until then"', by="hub")
    await world.settle()
    assert pr.check("Interlock").title == "frozen until 2999-01-01 00:00 UTC: until then (by @hub)"
    assert len(await world.running.ctx.freezes.all_standing()) == 1


async def test_a_freeze_of_one_branch_and_one_of_every_branch_are_lifted_each_by_its_own_word(world: World) -> None:
    pr = await pull_request(world)
    for words in ('/freeze because "holidays"', '/freeze main because "the release is being cut"', "/unfreeze main"):
        pr.say(words, by="hub")
        await world.settle()
    assert pr.check("Interlock").title == "frozen: holidays (by @hub)"
    comment = pr.say("/unfreeze main", by="hub")
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "confused"]
    pr.say("/unfreeze", by="hub")
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_freeze_that_is_over_before_it_begins_is_refused(world: World) -> None:
    pr = await pull_request(world)
    comment = pr.say('/freeze main until 2001-01-01 because "long ago"', by="hub")
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "confused"]
    assert pr.comments[-1].startswith("@hub: 2001-01-01 00:00 UTC is not in the future")


async def test_what_is_red_cannot_be_proved(world: World) -> None:
    pr = await pull_request(world, WRONG)
    runs = len(await world.runs())
    comment = pr.say("/boxes falsify 2")
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "confused"]
    assert "none of these boxes is green on this head" in pr.comments[-1]
    assert len(await world.runs()) == runs


async def test_what_was_pushed_to_a_frozen_branch_is_shown_as_it_is(world: World) -> None:
    pr = await pull_request(world)
    pr.say('/freeze main because "the release is being cut"', by="hub")
    await world.settle()
    pushed = world.hub.commit(REPO, "main", {"m": "1"}, "Go on", "mona")
    await world.settle()
    assert (pr.conclusion, pr.check("Interlock", pushed).conclusion) == ("action_required", "success")


async def test_a_freeze_of_a_branch_that_is_not_there_says_so(world: World) -> None:
    pr = await pull_request(world)
    pr.say('/freeze mains because "the release is being cut"', by="hub")
    await world.settle()
    assert "No branch has this name now" in pr.comments[-1]
    pr.say('/freeze main because "the release is being cut"', by="hub")
    await world.settle()
    assert "No branch has this name" not in pr.comments[-1]


async def test_a_slip_is_quoted_as_it_was_written(world: World) -> None:
    pr = await pull_request(world)
    pr.say(f"/boxes skip 1 at {pr.head}")
    await world.settle()
    assert f"- `/boxes skip 1 at {pr.head}`: " in pr.comments[-1]


async def test_a_writer_cannot_freeze(world: World) -> None:
    pr = await pull_request(world)
    comment = pr.say('/freeze because "mine"', by="mona")
    await world.settle()
    assert pr.conclusion == "success"
    assert pr.reactions(comment) == ["eyes", "confused"]


@pytest.mark.requirement("S-2")
async def test_a_command_for_another_commit_is_refused_with_both(world: World) -> None:
    pr = await pull_request(world)
    old = pr.head
    pr.push({"x": "z"})
    await world.settle()
    runs = len(await world.runs())
    pr.say(f"/boxes run all at {old}")
    await world.settle()
    assert len(await world.runs()) == runs
    assert old in pr.comments[-1]
    assert pr.head in pr.comments[-1]
    pr.say(f"/boxes run all at {pr.head}")
    await world.settle()
    assert len(await world.runs()) == runs + 1


async def test_nothing_is_done_when_one_command_of_several_cannot_be(world: World) -> None:
    pr = await pull_request(world)
    runs = len(await world.runs())
    comment = pr.say("/boxes run all\n/boxes run 99")
    await world.settle()
    assert len(await world.runs()) == runs
    assert pr.reactions(comment) == ["eyes", "confused"]
    assert pr.comments[-1].startswith("@mona: nothing was done: no box 99")


async def test_status_why_and_explain_answer_everybody(world: World) -> None:
    pr = await pull_request(world, WRONG)
    pr.say("/boxes status\n/boxes why", by="eve")
    await world.settle()
    said = pr.comments[-1].replace(pr.head[:7], "HEAD")
    assert "| tier 1 | 1 passed, 1 failed |" in said
    assert "| tier 2 | 1 blocked |" in said
    assert "| box 2 Red failed:" in said
    assert "| 1 box did not run, held back by box `2` |" in said
    pr.say("/boxes explain 2", by="eve")
    await world.settle()
    assert "### 2 Red — failed" in pr.comments[-1]
    assert "`runner run 2" in pr.comments[-1]
    assert "It has no control" in pr.comments[-1]


async def test_falsify_proves_boxes_on_the_check_and_runs_none_again(world: World) -> None:
    control = '# [control]\n# edit = {file = "answer", find = "4", replace = "5"}\n# expect = {output = "wrong"}\n'
    text = f'#!/bin/sh\n# /// box\n# title = "Answers"\n{control}# ///\ngrep -q 4 answer || {{ echo wrong; exit 1; }}\n'
    config = "report: {falsify: 'off'}\n"
    world.repository({"boxes/tier-1/1_answers.sh": text, "answer": "4\n", ".github/interlock.yml": config})
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert "proved" not in (pr.check("Interlock").text or "")
    pr.say("/boxes falsify")
    await world.settle()
    assert pr.conclusion == "success"
    assert pr.check("Interlock").text == "**1 box, 1 proved capable of failing**"
    run = (await world.runs())[-1]
    page = await world.api(f"/api/v1/runs/{run.number}")
    assert [one["kept"] for one in page["boxes"]] == [True]


async def test_every_command_leaves_a_row_whatever_became_of_it(world: World) -> None:
    pr = await pull_request(world)
    for said, by in [("/boxes rerun all", "mona"), ("/boxes cancel", "eve"), ("/boxes rnu", "mona")]:
        pr.say(said, by=by)
        await world.settle()
    told = [
        (row["actor"], row["permission"], row["action"], row["decision"], row["reason"]) for row in await audit(world)
    ]
    assert told == [
        ("mona", "", "mistake", "refused", "mistake"),
        ("eve", "read", "boxes cancel", "refused", "not_permitted"),
        ("mona", "write", "boxes rerun", "allowed", "done"),
    ]


async def test_what_cannot_be_read_holds(world: World) -> None:
    pr = await pull_request(world)
    run = (await world.runs())[-1]
    async with world.running.ctx.freezes._rows._engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE freezes RENAME TO gone")
    assert await holds.hold_of(world.running.ctx, [run]) == holds.UNKNOWN
    pr.say("/boxes rerun all")
    await world.settle()
    assert pr.conclusion == "action_required"
