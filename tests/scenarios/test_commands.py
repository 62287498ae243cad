"""What people ask for in comments, and how they are answered."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.fakes.world import World, box
from tests.scenarios.test_pull_request import BOXES

COUNTS = {
    "boxes/tier-1/1_steady.sh": box("exit 0", title="Steady"),
    "boxes/tier-1/2_other.sh": box("exit 0", title="Other"),
    "boxes/tier-2/3_late.sh": box("exit 0", title="Late"),
}


async def boxes_of_last_run(world: World) -> list[tuple[int, bool]]:
    """Number and `kept` of every box, as the last run counts them."""
    run = (await world.runs())[-1]
    page = await world.api(f"/api/v1/runs/{run.number}")
    return [(item["box"], item["kept"]) for item in page["boxes"]]


async def test_a_selection_runs_again_and_the_other_verdicts_stay_in_force(world: World) -> None:
    world.repository(COUNTS)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    comment = pr.say("/boxes run 2")
    await world.settle()
    assert pr.reactions(comment) == ["eyes", "rocket"]
    assert await boxes_of_last_run(world) == [(1, True), (2, False), (3, True)]
    assert pr.conclusion == "success"
    assert len(pr.comments) == 1


async def test_failed_runs_what_is_red_and_what_it_held_back(world: World) -> None:
    flaky = box('test -e "$FLAG_DIR/fixed"', title="Needs the flag")
    world.repository({**COUNTS, "boxes/tier-1/2_other.sh": flaky})
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pr.conclusion == "failure"
    pr.say("/boxes run failed")
    await world.settle()
    assert await boxes_of_last_run(world) == [(1, True), (2, False), (3, False)]


async def test_failed_has_nothing_to_run_when_all_is_green_and_all_stays_green(world: World) -> None:
    world.repository(COUNTS)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    pr.say("/boxes run failed")
    await world.settle()
    assert await boxes_of_last_run(world) == [(1, True), (2, True), (3, True)]
    assert {run.conclusion for run in pr.checks().values()} == {"success"}


async def test_a_partial_run_never_makes_the_rest_green(world: World) -> None:
    world.repository({**COUNTS, "boxes/tier-2/3_late.sh": box("exit 1", title="Late")})
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    pr.say("/boxes run 1")
    await world.settle()
    assert pr.check("Interlock / tier 1").conclusion == "success"
    assert pr.conclusion == "failure"


@pytest.mark.parametrize("by", ["eve", "stranger"])
async def test_someone_without_write_is_refused_kindly_and_nothing_runs(world: World, by: str) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    world.hub.create_user(by)
    before = len(await world.runs())
    comment = pr.say("/boxes run all", by=by)
    await world.settle()
    assert len(await world.runs()) == before
    assert pr.reactions(comment) == ["eyes", "confused"]
    assert pr.comments[-1].startswith(f"@{by}: only people with write permission")


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        pytest.param("/boxes rum all", "/boxes run", id="typo"),
        pytest.param("/boxes run 99", "99", id="unknown-box"),
        pytest.param("/boxes run tier:", "tier", id="half-a-selection"),
        pytest.param("/boxes run", "/boxes run all", id="no-selection"),
    ],
)
async def test_a_mistake_is_explained_and_nothing_runs(world: World, said: str, answer: str) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    first = pr.check("Interlock").id
    pr.say(said)
    await world.settle()
    assert answer in pr.comments[-1]
    assert pr.check("Interlock").id == first


async def test_help_is_for_everybody(world: World) -> None:
    world.repository(BOXES)
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    pr.say("/help", by="eve")
    await world.settle()
    assert "/boxes cancel" in pr.comments[-1]


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("`/boxes run all`", id="code"),
        pytest.param("> /boxes run all", id="quote"),
        pytest.param("```\n/boxes run all\n```", id="fence"),
        pytest.param("<!-- /boxes run all -->", id="html"),
        pytest.param("Please do not /boxes run all", id="mid-sentence"),
        pytest.param("/hold production", id="somebody-elses"),
    ],
)
async def test_showing_a_command_is_not_asking_for_it(world: World, said: str) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    before = len(await world.runs())
    comment = pr.say(said)
    await world.settle()
    assert len(await world.runs()) == before
    assert pr.reactions(comment) == []
    assert len(pr.comments) == 1


async def test_an_edited_comment_is_not_a_command(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    comment = pr.say("looks good")
    await world.settle()
    before = len(await world.runs())
    world.hub.edit_comment(comment, "/boxes run all", "mona")
    await world.settle()
    assert len(await world.runs()) == before


async def test_cancel_ends_the_run_and_its_processes(world: World) -> None:
    world.repository({"boxes/tier-1/1_waits.sh": box("exit 0", title="Waits")})
    pr = await world.open_pull_request({"boxes/tier-1/1_waits.sh": box("sleep 50", title="Waits")})
    await world.until(lambda: "in_progress" in {run.status for run in pr.checks().values()})
    pr.say("/boxes cancel")
    await world.settle()
    assert pr.conclusion == "cancelled"
    assert "cancelled by @mona" in (pr.check("Interlock").title or "")


@pytest.mark.parametrize("button", ["run", "suite"])
async def test_both_re_run_buttons_run_again(world: World, button: str) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    before = len(await world.runs())
    first = pr.check("Interlock")
    if button == "run":
        world.hub.rerequest_check_run(first, "mona")
    else:
        world.hub.rerequest_check_suite(first, "mona")
    await world.settle()
    assert len(await world.runs()) == before + 1
    assert pr.check("Interlock").id != first.id
    assert pr.conclusion == "success"


async def test_a_button_that_names_no_pull_request_finds_it_by_its_head(world: World) -> None:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    world.hub.rerequest_check_run(pr.check("Interlock"), "mona")
    await world.settle()
    [told] = [sent for sent in world.hub.deliveries() if sent.action == "rerequested"]
    payload = json.loads(told.payload)
    payload["check_run"]["pull_requests"] = payload["check_run"]["check_suite"]["pull_requests"] = []
    payload["check_run"]["check_suite"]["updated_at"] = "2030-01-01T00:00:00Z"  # another press of it
    world.hub.redeliver(replace(told, guid="0ddba11-no-list", payload=json.dumps(payload)))
    await world.settle()
    assert [run.pr for run in await world.runs()][-3:] == [pr.number] * 3
