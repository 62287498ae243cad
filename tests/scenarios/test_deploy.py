"""From a green push to users, and back: real processes behind a real router, a real controller, GitHub on loopback."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.commands.authority import Refused
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.locking import lease_key
from bot.domain.deploy.plan import Plan
from bot.domain.deploy.release import Standing
from bot.domain.deploy.states import State
from bot.flows.deploying.dry_running import dry_run
from bot.flows.deploying.keeping import keep_house
from bot.flows.deploying.request import Request
from bot.flows.deploying.returning import Asked, promote, roll_back
from bot.flows.deploying.rounds import Rounds
from bot.flows.deploying.wanting import want
from tests.fakes.app_in_slot import ask, behaves, command, end_everything, free_port, users
from tests.fakes.world import OK, RED, REPO, World, open_world

pytestmark = pytest.mark.skipif(
    not (shutil.which("haproxy") or shutil.which("caddy")), reason="missing component: a router (haproxy or caddy)"
)

CONFIG = ".github/interlock.yml"
BOX = "boxes/tier-1/1_ok.sh"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, bot=False) as world:
        world.settings_too = {"deploy_targets": "process,command", "deploy_unconfined": "yes"}
        await world.start_bot()
        try:
            yield world
        finally:
            await world.stop_bot()
            await end_everything(world.data_dir)


def config(port: int, **sections: str) -> dict[str, str]:
    """One environment, production, which follows main."""
    lines = {
        "when": "{push: main}",
        "target": f'{{kind: process, command: "{command()}", listen: "127.0.0.1:{port}", health: /}}',
        "strategy": "blue_green",
        "gates": '[{boxes: "tier:1"}]',
        "watch": "{for: 600ms, probes: [{http: /, every: 50ms}]}",
        "rollback": "{drain: 100ms}",
        **sections,
    }
    body = "\n".join(f"    {key}: {value}" for key, value in lines.items())
    return {CONFIG: f"environments:\n  production:\n{body}\n"}


async def deployments(world: World) -> list[Deployment]:
    """All of them, oldest first."""
    return list(reversed(await world.running.ctx.deployments.newest()))


async def states(world: World) -> list[State]:
    return [one.state for one in await deployments(world)]


def push(world: World, files: dict[str, str]) -> str:
    return world.hub.commit(REPO, "main", files, "Change it", "mona")


async def live(world: World, port: int) -> None:
    """A repository whose first release users have."""
    world.repository({BOX: OK, **behaves("one"), **config(port)})
    await world.settle()
    assert ask(port) == (200, "one")


async def request(world: World, name: str, *, sha: str = "", expect: str = "") -> Request:
    run = (await world.runs())[0]
    return Request(
        id=name,
        repo_id=run.repo_id,
        repo=run.repo,
        installation_id=run.installation_id,
        environment="production",
        requested_by="mona",
        sha=sha,
        expect=expect,
    )


@pytest.mark.deployment(13)
@pytest.mark.skipif(not shutil.which("haproxy"), reason="missing component: haproxy")
async def test_a_green_push_reaches_users_and_the_next_one_takes_its_place(world: World) -> None:
    port = free_port()
    await live(world, port)
    (first,) = await deployments(world)
    assert (first.state, first.kind, first.cause, first.pr) == (State.SUCCEEDED, "deploy", "push", None)
    assert first.author == "octo"
    push(world, behaves("two"))
    async with users(port) as answers:
        await world.settle()
    assert await states(world) == [State.SUCCEEDED, State.SUCCEEDED]
    assert ask(port) == (200, "two")
    assert set(answers) == {(200, "one"), (200, "two")}
    assert answers == sorted(answers), "once somebody has the new one, nobody gets the old one"
    known = await world.running.ctx.releases.of(first.repo_id, "production")
    assert [one.standing for one in known] == [Standing.GOOD, Standing.GOOD]
    assert all(one.live_since for one in known)


async def test_a_red_push_goes_nowhere(world: World) -> None:
    port = free_port()
    await live(world, port)
    push(world, {BOX: RED, **behaves("two")})
    await world.settle()
    assert await states(world) == [State.SUCCEEDED]
    assert ask(port) == (200, "one")


@pytest.mark.deployment(14)
async def test_what_turns_out_bad_is_taken_back_and_quarantined_and_twice_in_an_hour_freezes(world: World) -> None:
    port = free_port()
    await live(world, port)
    push(world, behaves("bad", bad_after=5))
    await world.settle()
    first, bad = await deployments(world)
    assert (first.state, bad.state) == (State.SUCCEEDED, State.ROLLED_BACK)
    assert ask(port) == (200, "one")
    known = {one.release.sha: one.standing for one in await world.running.ctx.releases.of(bad.repo_id, "production")}
    assert known == {first.sha: Standing.GOOD, bad.sha: Standing.BAD}

    again = await want(world.running.ctx, await request(world, "again", sha=bad.sha))
    assert isinstance(again, Deployment)
    await world.settle()
    again = await world.running.ctx.deployment(again.id)
    assert again.state is State.DENIED
    assert "was shown to be bad in production" in again.because

    push(world, behaves("worse", bad_after=6))
    await world.settle()
    assert await states(world) == [State.SUCCEEDED, State.ROLLED_BACK, State.DENIED, State.ROLLED_BACK]
    push(world, behaves("four"))
    await world.settle()
    waits = (await deployments(world))[-1]
    assert waits.state is State.GATED
    assert "#2 and #4 were rolled back within an hour" in waits.because
    assert ask(port) == (200, "one")


@pytest.mark.deployment(12)
async def test_a_release_that_dies_at_once_is_seen_by_nobody(world: World) -> None:
    port = free_port()
    await live(world, port)
    push(world, behaves("dead", dies=True))
    await world.settle()
    dead = (await deployments(world))[-1]
    assert dead.state is State.ABORTED
    assert ask(port) == (200, "one")
    assert await states(world) == [State.SUCCEEDED, State.ABORTED]


@pytest.mark.deployment(18, 27)
async def test_the_way_back_is_one_call_while_the_slot_before_still_runs(world: World) -> None:
    port = free_port()
    await live(world, port)
    push(world, behaves("two"))
    await world.settle()
    ctx = world.running.ctx
    back = await roll_back(ctx, await request(world, "back"), because="checkout is slow")
    assert isinstance(back, Deployment)
    await world.settle()
    back = await ctx.deployment(back.id)
    assert (back.kind, back.state, back.requested_by) == ("rollback", State.SUCCEEDED, "mona")
    assert ask(port) == (200, "one")
    twice = await roll_back(ctx, await request(world, "back"))
    assert twice == back, "the same command once more"
    refused = await roll_back(ctx, await request(world, "further back"))
    assert isinstance(refused, Refused)
    assert refused.code == "no_way_back"
    lock = await ctx.locks.of(back.repo_id, "production", ctx.clock.now())
    assert lock is not None
    assert lock.by == ""


async def test_a_router_and_a_release_that_die_between_deployments_are_brought_back(world: World) -> None:
    port = free_port()
    await live(world, port)
    ctx = world.running.ctx
    (deployment,) = await deployments(world)
    for note in ctx.place(deployment.repo_id, "production").glob("**/process.json"):
        os.kill(json.loads(note.read_text("utf-8"))["pid"], signal.SIGKILL)
    await world.until(lambda: ask(port) == (0, ""))
    busy = await ctx.leases.acquire(
        lease_key(deployment.repo_id, "production"), "another", now=ctx.clock.now(), seconds=60
    )
    await keep_house(ctx)
    assert ask(port) == (0, ""), "whoever has the lease judges what has died"
    assert busy is not None
    await ctx.leases.release(busy.key, busy.holder, now=ctx.clock.now())
    await Rounds(ctx).go_round()
    await world.until(lambda: ask(port) == (200, "one"))
    push(world, behaves("two"))
    await world.settle()
    assert ask(port) == (200, "two"), "the next deployment has a newer token than whoever looked after the target"


@pytest.mark.deployment(23)
async def test_a_dry_run_tells_the_plan_that_the_real_run_is_held_to(world: World) -> None:
    port = free_port()
    await live(world, port)
    ctx = world.running.ctx
    box = push(world, {BOX: OK + "# again\n", CONFIG: config(port, when="{push: other}")[CONFIG], **behaves("two")})
    await world.settle()
    plan = await dry_run(ctx, await request(world, "try"))
    assert isinstance(plan, Plan)
    assert [call.verb for call in plan.calls][:3] == ["start", "ready", "ask_gates"]
    assert await states(world) == [State.SUCCEEDED]
    real = await want(ctx, await request(world, "real", expect=plan.hash))
    await world.settle()
    assert isinstance(real, Deployment)
    real = await ctx.deployment(real.id)
    assert (real.state, real.plan_hash, real.sha) == (State.SUCCEEDED, plan.hash, box)
    late = await want(ctx, await request(world, "late", expect=plan.hash))
    await world.settle()
    assert isinstance(late, Deployment)
    late = await ctx.deployment(late.id)
    assert late.state is State.ABORTED
    assert "what is live was" in late.because
    assert "the slot was" in late.because


@pytest.mark.deployment(14, 21)
async def test_while_the_bot_is_gone_the_watch_goes_on_and_takes_a_bad_release_back(world: World) -> None:
    port = free_port()
    await live(world, port)
    slow = config(port, watch="{for: 8s, probes: [{http: /, every: 100ms}]}")
    push(world, {**slow, **behaves("bad", bad_after=40)})
    await world.until(lambda: ask(port)[1] == "bad")
    world.running.settings = world.running.settings.model_copy(update={"drain_seconds": 30.0})
    assert await world.running.drain()
    assert ask(port)[1] == "bad", "no drain waits for a watch"
    await world.stop_bot()
    await world.until(lambda: ask(port) == (200, "one"))
    await world.start_bot()
    await world.settle()
    first, bad = await deployments(world)
    assert (first.state, bad.state) == (State.SUCCEEDED, State.ROLLED_BACK)
    known = {one.release.sha: one.standing for one in await world.running.ctx.releases.of(bad.repo_id, "production")}
    assert known[bad.sha] is Standing.BAD


async def test_what_is_held_stays_until_somebody_decides(world: World) -> None:
    port = free_port()
    await live(world, port)
    ctx = world.running.ctx
    hold = config(port, watch="{for: 600ms, probes: [{http: /, every: 50ms}], on_bad: hold}")
    push(world, {**hold, **behaves("bad", bad_after=5)})
    await world.settle()
    held = (await deployments(world))[-1]
    assert held.state is State.HELD
    push(world, behaves("next"))
    await world.settle()
    waits = (await deployments(world))[-1]
    assert waits.state is State.GATED
    assert f"deployment {held.number} is held" in waits.because
    assert isinstance(await roll_back(ctx, await request(world, "back"), because="it is bad"), Asked)
    await world.settle()
    held = await ctx.deployment(held.id)
    assert held.state is State.ROLLED_BACK
    known = {one.release.sha: one.standing for one in await ctx.releases.of(held.repo_id, "production")}
    assert known[held.sha] is Standing.UNKNOWN, "a person may have gone back for any reason"
    assert await states(world) == [State.SUCCEEDED, State.ROLLED_BACK, State.SUCCEEDED]
    assert ask(port) == (200, "next")


async def test_a_held_release_that_somebody_promotes_is_good(world: World) -> None:
    port = free_port()
    await live(world, port)
    ctx = world.running.ctx
    hold = config(port, watch="{for: 600ms, probes: [{http: /, every: 50ms}], on_bad: hold}")
    push(world, {**hold, **behaves("odd", bad_after=5)})
    await world.settle()
    assert (await deployments(world))[-1].state is State.HELD
    assert isinstance(await promote(ctx, await request(world, "keep it")), Asked)
    await world.settle()
    kept = (await deployments(world))[-1]
    assert kept.state is State.SUCCEEDED
    known = {one.release.sha: one.standing for one in await ctx.releases.of(kept.repo_id, "production")}
    assert known[kept.sha] is Standing.GOOD


@pytest.mark.deployment(19)
async def test_a_release_says_which_schemas_it_knows_and_the_database_is_asked(world: World) -> None:
    port = free_port()
    guarded = config(port, rollback='{drain: 100ms, schema: "cat version"}')
    world.repository({BOX: OK, "version": "5\n", **behaves("one"), **guarded})
    await world.settle()
    assert ask(port) == (200, "one")
    push(world, {".github/interlock.schema": "1..4\n", **behaves("two")})
    await world.settle()
    barred = (await deployments(world))[-1]
    assert barred.state is State.DENIED
    assert "the schema has version 5" in barred.because
    push(world, {".github/interlock.schema": "new\n"})
    await world.settle()
    assert (await deployments(world))[-1] == barred, "what it says cannot be understood, so it is not even asked for"
    push(world, {".github/interlock.schema": "5..\n"})
    await world.settle()
    assert (await states(world))[-1] is State.SUCCEEDED
    assert ask(port) == (200, "two")

    push(world, behaves("three"))
    await world.settle()
    ctx = world.running.ctx
    one, *_, two, _three = await deployments(world)
    assert ask(port) == (200, "three")
    back = await roll_back(ctx, await request(world, "back"))
    assert isinstance(back, Deployment), back
    assert back.sha == two.sha, "a release that names versions is gone back to when the database has one of them"
    await world.settle()
    assert ask(port) == (200, "two")
    known = {each.release.sha: each for each in await ctx.releases.of(one.repo_id, "production")}
    await ctx.releases.stand(replace(known[one.sha], environment="staging", standing=Standing.BAD))
    assert isinstance(await roll_back(ctx, await request(world, "further")), Refused), "it was bad elsewhere"
