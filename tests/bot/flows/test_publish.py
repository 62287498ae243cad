from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.checks import Annotation, Check
from bot.domain.run_states import RunState
from bot.flows.publish import publish_checks
from bot.flows.requests import open_run
from bot.github.checks import create_check
from bot.store.runs import Run
from tests.fakes.world import OK, REPO, PullRequest, World, open_world

QUEUED = Check(name="Interlock", status="queued", conclusion=None, title="waiting", summary="soon")
TIER = replace(QUEUED, name="Interlock / tier 1")
NOTE = Annotation(path="a", start_line=1, end_line=1, level="failure", title="note", message="it is red")
RED = replace(QUEUED, status="completed", conclusion="failure", title="red", annotations=(NOTE,))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        world.repository({"boxes/tier-1/1_ok.sh": OK, "a": "1\n"})
        yield world


@pytest.fixture
async def pull(world: World) -> PullRequest:
    world.hub.webhook_url = ""  # the bot hears of nothing: the run below is the only one.
    return await world.open_pull_request({"a": "2\n"})


@pytest.fixture
async def run(world: World, pull: PullRequest) -> AsyncIterator[Run]:
    ctx = world.running.ctx
    repository = world.hub.state.repository(REPO)
    installation = world.hub.state.installations.first(app_id=world.hub.app_id)
    assert repository
    assert installation
    run = await open_run(
        ctx,
        installation_id=installation.id,
        repo_id=repository.id,
        repo=REPO,
        pr=pull.number,
        head_sha=pull.head,
        base_ref="main",
    )
    yield run
    await ctx.runs.enter(run.id, RunState.FINISHED)


async def test_a_first_announcement_asks_nothing_and_changes_nothing_twice(
    world: World, pull: PullRequest, run: Run
) -> None:
    world.hub.faults.next("GET", "/check-runs", status=404, times=9)
    world.hub.faults.next("PATCH", "/check-runs", status=404, times=9)
    await publish_checks(world.running.ctx, run, [QUEUED, TIER])
    await publish_checks(world.running.ctx, run, [QUEUED, TIER])
    shown = world.hub.check_runs(REPO, pull.head)
    assert sorted((check.name, check.title) for check in shown) == [
        ("Interlock", "waiting"),
        ("Interlock / tier 1", "waiting"),
    ]


async def test_annotations_follow_the_check_that_they_belong_to(world: World, pull: PullRequest, run: Run) -> None:
    await publish_checks(world.running.ctx, run, [RED])
    check = pull.check("Interlock")
    assert (check.conclusion, [note["message"] for note in check.annotations]) == ("failure", ["it is red"])


async def test_a_check_whose_answer_was_lost_is_not_made_twice(world: World, pull: PullRequest, run: Run) -> None:
    world.hub.faults.next("POST", "/check-runs$", status=502, after_commit=True)
    await publish_checks(world.running.ctx, run, [QUEUED])
    assert [check.title for check in world.hub.check_runs(REPO, pull.head)] == ["waiting"]


async def test_a_check_made_just_before_a_crash_is_found_and_filled(world: World, pull: PullRequest, run: Run) -> None:
    ctx = world.running.ctx
    await ctx.runs.intend_checks(run.id, [QUEUED.name])
    made = await create_check(
        ctx.installation(run), REPO, name=QUEUED.name, head_sha=run.head_sha, external_id=run.id, check=QUEUED
    )
    await publish_checks(ctx, run, [RED])
    [check] = world.hub.check_runs(REPO, pull.head)
    assert (check.id, check.conclusion) == (made, "failure")


async def test_a_check_that_was_only_intended_before_a_crash_is_made(world: World, pull: PullRequest, run: Run) -> None:
    await world.running.ctx.runs.intend_checks(run.id, [QUEUED.name])
    await publish_checks(world.running.ctx, run, [QUEUED])
    assert pull.check("Interlock").title == "waiting"
