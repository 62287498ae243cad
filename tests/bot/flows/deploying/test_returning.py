"""Where the way back leads, by what the rows and the releases say: never past a good release, never to a bad one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.commands.authority import Refused
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.release import Known, Release, Standing
from bot.domain.deploy.states import State
from bot.flows.context import Context
from bot.flows.deploying.planning import no_return_to
from bot.flows.deploying.request import Request
from bot.flows.deploying.returning import roll_back
from bot.flows.deploying.terms import Terms
from bot.flows.deploying.terms import put as put_terms
from tests.bot.domain.deploy import stories
from tests.bot.flows.deploying.told import put
from tests.fakes.world import open_world

WANTED = Request(id="back", repo_id=7, repo="octo/app", installation_id=1, environment="production")


@pytest.fixture
async def ctx(tmp_path: Path) -> AsyncIterator[Context]:
    async with open_world(tmp_path) as world:
        yield world.running.ctx


async def shown(ctx: Context, number: int, letter: str, state: State, standing: Standing, **row: Any) -> Release:
    """A deployment that has ended so, and what it showed of its release."""
    release = Release(repo_id=7, sha=letter * 40, artifact=f"tree:{letter * 40}", config="c" * 64)
    await ctx.releases.add(release, now=stories.BEGAN)
    facts: dict[str, Any] = {"sha": release.sha, "artifact": release.artifact, "release_id": release.id, **row}
    deployment = await put(ctx, id=f"d{number}", state=state, **facts)
    put_terms(ctx, deployment, Terms(section={}))
    at = stories.BEGAN + timedelta(hours=number)
    known = Known(
        release=release,
        environment=deployment.environment,
        standing=standing,
        deployment=deployment.id,
        live_since=at,
        at=at,
    )
    await ctx.releases.stand(known)
    return release


async def goes_back_to(ctx: Context) -> str:
    """The commit to which the environment goes back."""
    back = await roll_back(ctx, WANTED)
    assert isinstance(back, Deployment), back
    return back.sha


@pytest.mark.deployment(18)
async def test_the_way_back_leads_past_what_users_have(ctx: Context) -> None:
    good = await shown(ctx, 1, "a", State.SUCCEEDED, Standing.GOOD)
    await shown(ctx, 2, "b", State.SUCCEEDED, Standing.GOOD)
    await shown(ctx, 3, "d", State.ROLLED_BACK, Standing.BAD)
    assert await goes_back_to(ctx) == good.sha


@pytest.mark.deployment(18)
@pytest.mark.deployment(20)
async def test_after_a_way_back_that_failed_a_person_gets_the_release_before(ctx: Context) -> None:
    await shown(ctx, 1, "a", State.SUCCEEDED, Standing.GOOD)
    before = await shown(ctx, 2, "b", State.SUCCEEDED, Standing.GOOD)
    await shown(ctx, 3, "d", State.ROLLBACK_FAILED, Standing.BAD)
    assert await goes_back_to(ctx) == before.sha


@pytest.mark.deployment(18)
async def test_the_way_back_does_not_lead_to_what_was_bad_in_another_environment(ctx: Context) -> None:
    good = await shown(ctx, 1, "a", State.SUCCEEDED, Standing.GOOD)
    await shown(ctx, 2, "b", State.SUCCEEDED, Standing.GOOD)
    await shown(ctx, 3, "b", State.ROLLED_BACK, Standing.BAD, environment="staging")
    await shown(ctx, 4, "d", State.SUCCEEDED, Standing.GOOD)
    assert await goes_back_to(ctx) == good.sha


@pytest.mark.deployment(18)
async def test_without_a_good_release_the_way_back_is_refused_and_the_environment_frozen(ctx: Context) -> None:
    await shown(ctx, 1, "a", State.ROLLED_BACK, Standing.BAD)
    await shown(ctx, 2, "b", State.SUCCEEDED, Standing.GOOD)
    refused = await roll_back(ctx, WANTED)
    assert isinstance(refused, Refused)
    assert refused.code == "no_way_back"
    frozen = await ctx.locks.of(7, "production", ctx.clock.now())
    assert frozen is not None
    assert frozen.because == "there is no way back from #2: no other release is known to be good here"


@pytest.mark.deployment(18)
async def test_a_plan_says_that_nobody_goes_back_to_what_is_bad(ctx: Context) -> None:
    bad = await shown(ctx, 1, "a", State.ROLLBACK_FAILED, Standing.BAD)
    good = await shown(ctx, 2, "b", State.SUCCEEDED, Standing.GOOD)
    mend = await put(ctx, id="d3", state=State.LOCKED, sha="d" * 40)
    assert await no_return_to(ctx, mend, bad) == "aaaaaaa, which was live before it, is bad as well"
    assert [await no_return_to(ctx, mend, one) for one in (good, None)] == ["", ""]
