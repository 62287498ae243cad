"""What is kept of deliveries and flows, and what is let go of."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from bot.flows.housekeeping import BODIES_KEPT, DELIVERIES_KEPT, FLOWS_KEPT, tidy
from bot.store.deliveries import Delivery
from tests.fakes.world import World, box, open_world


class Later:
    """The clock of a bot, so much later."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now


async def kept(world: World, guid: str) -> bytes | None:
    found = await world.running.ctx.inbox.get(guid)
    return found.body if found else None


async def test_old_deliveries_lose_their_bodies_then_their_ids_and_open_ones_nothing(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        ctx = world.running.ctx
        now = ctx.clock.now()
        for guid in ("closed-delivery", "open-delivery"):
            await ctx.inbox.add(Delivery(guid, "ping", b'{"zen": "x"}', now))
        await ctx.inbox.close([("closed-delivery", "ignored")])
        for later, body in (
            (BODIES_KEPT - timedelta(hours=1), b'{"zen": "x"}'),
            (BODIES_KEPT + timedelta(hours=1), b""),
            (DELIVERIES_KEPT - timedelta(hours=1), b""),
            (DELIVERIES_KEPT + timedelta(hours=1), None),
        ):
            await tidy(replace(ctx, clock=Later(now + later)))
            assert await kept(world, "closed-delivery") == body
            assert await kept(world, "open-delivery") == b'{"zen": "x"}'


async def test_flows_are_forgotten_and_the_runs_that_they_made_stay(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        world.repository({"boxes/tier-1/1_ok.sh": box(title="Fine")})
        await world.settle()
        [run] = await world.runs()
        ctx = world.running.ctx
        assert await ctx.engine.status(run.id) == "SUCCESS"
        await tidy(ctx)
        assert await ctx.engine.status(run.id) == "SUCCESS"
        await tidy(replace(ctx, clock=Later(ctx.clock.now() + FLOWS_KEPT + timedelta(hours=1))))
        assert await ctx.engine.status(run.id) is None
        assert [kept.id for kept in await world.runs()] == [run.id]


def test_an_id_is_known_for_longer_than_github_repeats_a_delivery() -> None:
    assert min(DELIVERIES_KEPT, FLOWS_KEPT) > timedelta(days=30)
