"""People steer real deployments by commands: a plan that is held to, a way back, and a release that is let stay."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.domain.deploy.states import State
from tests.fakes.app_in_slot import ask, behaves, end_everything, free_port
from tests.fakes.world import OK, REPO, PullRequest, World, open_world
from tests.scenarios.test_deploy import BOX, config
from tests.scenarios.test_deploy_commands import command, deployments, order, say, the_comment

pytestmark = pytest.mark.skipif(
    not (shutil.which("haproxy") or shutil.which("caddy")), reason="missing component: a router (haproxy or caddy)"
)


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


async def merged(world: World, files: dict[str, str]) -> PullRequest:
    """A pull request with these files, which was merged."""
    pr = await world.open_pull_request(dict(files))
    await world.settle()
    world.hub.merge_pull_request(REPO, pr.number, "mona")
    await world.settle()
    return pr


@pytest.mark.deployment(27)
async def test_a_merge_is_seen_to_go_live_and_a_comment_brings_it_back(world: World) -> None:
    port = free_port()
    world.repository({BOX: OK, **behaves("one"), **config(port)})
    await world.settle()
    pr = await merged(world, behaves("two"))
    assert ask(port) == (200, "two")
    assert "| `production` | `" in the_comment(pr)
    assert "✅ is live and well" in the_comment(pr)
    back = await say(world, pr, '/rollback production because "checkout is slow"')
    assert re.match(r"`production` goes back to `[0-9a-f]{7}`: \[rollback 3\]\(", back)
    assert ask(port) == (200, "one")
    assert [one.state for one in await deployments(world)] == [State.SUCCEEDED] * 3
    assert "✅ is live again | [rollback 3](" in the_comment(pr)


@pytest.mark.deployment(23)
async def test_the_plan_that_was_told_is_carried_out_once_and_then_it_is_another(world: World) -> None:
    port = free_port()
    world.repository({BOX: OK, **behaves("one"), **config(port, when="{push: other}")})
    await world.settle()
    told = (await command(world, "/deploy production --dry-run"))["said"]
    assert "Nothing was done." in told
    assert "1. `start " in told
    (line,) = re.findall(r"^/deploy production expect [0-9a-f]{64}$", told, re.MULTILINE)
    assert await deployments(world) == []
    assert (await command(world, line))["done"]
    assert ask(port) == (200, "one")
    assert (await command(world, line))["done"], "it is asked for; whether the plan holds is seen later"
    first, second = await deployments(world)
    assert (first.state, second.state) == (State.SUCCEEDED, State.ABORTED)
    assert "what is live was" in second.because


async def test_a_release_that_nobody_can_judge_stays_when_somebody_says_so(world: World) -> None:
    port = free_port()
    watch = "{for: 100ms, probes: [{http: /, every: 100ms}], traffic: false}"
    world.repository({BOX: OK, **behaves("one"), **config(port, watch=watch)})
    await world.settle()
    assert (await command(world, "/promote production"))["done"]
    pr = await merged(world, behaves("two"))
    assert [one.state for one in await deployments(world)] == [State.SUCCEEDED, State.HELD]
    assert "`/promote production` accepts it, `/rollback production` takes it back." in the_comment(pr)
    assert "is held" in await say(world, pr, "/boxes why")
    assert "is accepted in `production`" in await say(world, pr, "/promote production")
    assert [one.state for one in await deployments(world)] == [State.SUCCEEDED] * 2
    assert ask(port) == (200, "two")


@pytest.mark.deployment(27)
async def test_the_machine_s_own_way_back_needs_no_github(world: World) -> None:
    port = free_port()
    world.repository({BOX: OK, **behaves("one"), **config(port)})
    await world.settle()
    await merged(world, behaves("two"))
    world.hub.faults.down = True
    asked = await order(world, "/rollback production")
    assert (asked["done"], asked["reason"]) == (True, "done")
    await world.until(lambda: ask(port) == (200, "one"))
