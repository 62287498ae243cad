"""GitHub is told of a deployment in order, each state once, whatever happens on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bot.deploy.journal import Journal
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import State
from bot.flows.deploying import telling
from tests.fakes.world import OK, REPO, World, open_world

GOOD = (State.PREPARING, State.SMOKING, State.SWITCHING, State.BAKING, State.RETIRING, State.SUCCEEDED)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        world.repository({"boxes/tier-1/1_ok.sh": OK})
        world.hub.webhook_url = ""
        await world.running.dispatch.stop()  # nobody takes up these deployments: nothing carries them out.
        yield world


async def wanted(world: World, name: str = "d1", **changes: object) -> Deployment:
    """A deployment of main that was asked for."""
    hub, now = world.hub, world.running.ctx.clock.now()
    repository = hub.repository(REPO)
    sha = hub.forge.git(repository).branch("main")
    assert sha
    row = Deployment(
        id=name,
        number=0,
        repo_id=repository.id,
        repo=REPO,
        installation_id=hub.installation("octo").id,
        environment="production",
        kind="deploy",
        state=State.REQUESTED,
        sha=sha,
        ref="main",
        requested_by="mona",
        created_at=now,
        changed_at=now,
        expires_at=now + timedelta(hours=1),
    )
    return await world.running.ctx.deployments.add(replace(row, **changes))  # type: ignore[arg-type]


async def goes(world: World, deployment: Deployment, *states: State, because: str = "") -> None:
    """Its journal says so, its row follows, and GitHub is to be told after each."""
    ctx = world.running.ctx
    files = ctx.deploy_files(deployment)
    files.directory.mkdir(parents=True, exist_ok=True)
    files.plan.write_text(json.dumps({"settings": {"url": "https://app.example"}}))
    for state in states:
        journal = Journal(files, ctx.clock)
        journal.append("state", state=str(state), because=because)
        journal.close()
        await ctx.deployments.enter(deployment.id, state, now=ctx.clock.now(), because=because)
        await telling.start(ctx, deployment.id)


async def waits(world: World, deployment: Deployment) -> None:
    ctx = world.running.ctx
    for state in (State.GATED, State.LOCKED):
        await ctx.deployments.enter(deployment.id, state, now=ctx.clock.now())
        await telling.start(ctx, deployment.id)


async def told_all(world: World) -> None:
    """Wait until every flow that was started has ended."""
    while await world.running.ctx.engine.unfinished():
        await asyncio.sleep(0.01)


def shown(world: World, nth: int = 0) -> list[str]:
    """What GitHub shows of a deployment, oldest first."""
    deployment = world.hub.deploying.deployments(REPO)[nth]
    return [row.state for row in world.hub.deploying.statuses(deployment)]


async def test_github_follows_a_deployment(world: World) -> None:
    deployment = await wanted(world)
    await waits(world, deployment)
    await told_all(world)
    assert shown(world) == ["pending"]
    await goes(world, deployment, *GOOD)
    await told_all(world)
    (row,) = world.hub.deploying.deployments(REPO)
    said = world.hub.deploying.statuses(row)
    assert (row.sha, row.payload, row.production) == (deployment.sha, {"interlock": "d1"}, True)
    assert row.description == "Interlock deployment 1, asked for by mona"
    assert [f"{one.state}: {one.description}" for one in said][-2:] == snapshot(
        ["in_progress: live and watched", "success: live and well"]
    )
    assert said[-1].environment_url == "https://app.example"
    assert said[-1].log_url.startswith("http://bot.example/deployments/1?t=")


@pytest.mark.deployment(21)
async def test_after_an_outage_of_the_whole_deployment_statuses_arrive_in_order_and_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.flows.persevere.PAUSES", (0.01,))
    deployment = await wanted(world)
    world.hub.faults.down = True
    await waits(world, deployment)
    await goes(world, deployment, *GOOD)
    assert world.hub.deploying.deployments(REPO) == []
    world.hub.faults.down = False
    await told_all(world)
    assert shown(world) == ["pending", "in_progress", "in_progress", "in_progress", "in_progress", "success"]
    row = await world.running.ctx.deployments.get("d1")
    assert row
    assert row.told == 6


@pytest.mark.deployment(21)
async def test_a_status_whose_answer_was_lost_is_not_said_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.flows.persevere.PAUSES", (0.01,))
    deployment = await wanted(world)
    for _ in range(3):
        world.hub.faults.next("POST", "/deployments", status=502, after_commit=True)
    await waits(world, deployment)
    await goes(world, deployment, *GOOD)
    await told_all(world)
    assert len(world.hub.deploying.deployments(REPO)) == 1
    assert shown(world) == ["pending", "in_progress", "in_progress", "in_progress", "in_progress", "success"]


@pytest.mark.deployment(21)
async def test_what_was_said_before_a_crash_is_not_said_again(world: World) -> None:
    deployment = await wanted(world)
    await waits(world, deployment)
    await goes(world, deployment, *GOOD)
    await told_all(world)
    # As after a crash between what was said and its being remembered.
    await world.running.ctx.deployments.note("d1", told=0, github_id=0)
    again = await world.running.ctx.deployments.get("d1")
    assert again
    assert await telling.tell(world.running.ctx, again) == 6
    assert len(shown(world)) == 6


@pytest.mark.deployment(22)
async def test_a_success_ends_the_production_deployments_before_it(world: World) -> None:
    for name in ("d1", "d2", "d3"):
        deployment = await wanted(world, name)
        await waits(world, deployment)
        ends = GOOD if name != "d2" else (*GOOD[:4], State.ROLLING_BACK, State.ROLLED_BACK)
        await goes(world, deployment, *ends)
        await told_all(world)
        if name == "d2":
            assert [shown(world, nth)[-1] for nth in range(2)] == ["success", "failure"], "what went back ends nothing"
    assert [shown(world, nth)[-1] for nth in range(3)] == ["inactive", "failure", "success"]
    ended = world.hub.deploying.statuses(world.hub.deploying.deployments(REPO)[0])[-1]
    assert ended.description == "deployment 3 took its place"


async def test_the_head_of_a_pull_request_is_ended_by_the_next_although_it_is_transient(world: World) -> None:
    for name in ("d1", "d2"):
        deployment = await wanted(world, name, environment="staging", ref="", pr=1)
        await waits(world, deployment)
        await goes(world, deployment, *GOOD)
        await told_all(world)
    assert [row.transient for row in world.hub.deploying.deployments(REPO)] == [True, True]
    assert [shown(world, nth)[-1] for nth in range(2)] == ["inactive", "success"]


async def test_an_app_that_may_not_deploys_all_the_same(world: World) -> None:
    installed = world.hub.installation("octo")
    fewer = {name: level for name, level in installed.permissions.items() if name != "deployments"}
    world.hub.state.installations.change(installed, permissions=fewer)
    deployment = await wanted(world)
    await waits(world, deployment)
    await goes(world, deployment, *GOOD)
    await told_all(world)
    assert await world.running.ctx.engine.status("tell:d1:1") == "SUCCESS"
    assert world.hub.deploying.deployments(REPO) == []
