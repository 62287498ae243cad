"""The lease of an environment: its holder keeps it for as long as it lives, and a dead one for 15 seconds at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.deploy.locking import LEASE_SECONDS, RENEW_SECONDS, lease_key
from bot.domain.deploy.states import State
from bot.flows.context import Context
from bot.flows.deploying import leasing
from tests.bot.flows.deploying.told import Moments, put
from tests.fakes.world import open_world

KEY = lease_key(7, "production")


@pytest.fixture
def clock() -> Moments:
    return Moments()


@pytest.fixture
async def ctx(tmp_path: Path, clock: Moments) -> AsyncIterator[Context]:
    async with open_world(tmp_path) as world:
        ctx = replace(world.running.ctx, clock=clock)
        for n in (1, 2):
            await put(ctx, id=f"d{n}", state=State.DENIED)
        yield ctx


@pytest.mark.deployment(9)
async def test_a_lease_that_nobody_renews_is_anothers_after_15_seconds(ctx: Context, clock: Moments) -> None:
    assert await leasing.claim(ctx, "d1")
    clock.at += timedelta(seconds=14)
    assert not await leasing.claim(ctx, "d2")
    clock.at += timedelta(seconds=1)
    assert await leasing.claim(ctx, "d2")
    first, second = [(await ctx.deployment(name)).token for name in ("d1", "d2")]
    assert second > first, "so that the target refuses the first"


@pytest.mark.deployment(9)
async def test_a_lease_is_kept_as_long_as_its_holder_lives(
    ctx: Context, clock: Moments, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 3 * RENEW_SECONDS <= LEASE_SECONDS
    monkeypatch.setattr(leasing, "RENEW_SECONDS", 0.01)
    assert await leasing.claim(ctx, "d1")
    keeping = asyncio.create_task(leasing.keep(ctx, await ctx.deployment("d1")))
    try:
        clock.at += timedelta(seconds=14)
        async with asyncio.timeout(20):
            while (held := await ctx.leases.of(KEY)) is None or held.expires_at < clock.at + timedelta(seconds=15):
                await asyncio.sleep(0.01)
        clock.at += timedelta(seconds=14)
        assert not await leasing.claim(ctx, "d2")
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
