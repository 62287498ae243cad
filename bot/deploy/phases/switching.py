"""The switch: users get the new release, or a first share of them."""

from __future__ import annotations

import asyncio

from bot.deploy.phases.shares import alone, steps, weights
from bot.deploy.phases.starting import TRIES, DidNotStart, bring_up, nonce_of
from bot.deploy.site import EMPTY, Next, Site
from bot.deploy.target import Fenced, TargetProblem
from bot.domain.deploy.states import State


async def switch(site: Site) -> Next:
    """Route the traffic to the new release, and read back that it goes there."""
    plan = site.plan
    try:
        await _count_before(site)
        if alone(site):
            await _make_room(site)
            await bring_up(site, plan.slot, plan.release, site.files.tree, purpose="new")
        share = steps(site)[0]
        await persistently(site, weights(site, share))
    except Fenced:
        raise
    except (TargetProblem, DidNotStart) as failed:
        return Next(State.ROLLING_BACK, f"the switch failed: {failed}")
    whole = "all" if share == 1.0 else f"{share:.0%}"
    return Next(State.BAKING, f"{whole} of the traffic goes to {plan.release.short} in {plan.slot}")


async def persistently(site: Site, wanted: dict[str, int]) -> None:
    """Divide the traffic, with a few tries.

    Raises:
        TargetProblem: of the last try.
    """
    for left in reversed(range(TRIES)):
        try:
            await site.route(wanted)
        except Fenced:
            raise
        except TargetProblem:
            if not left:
                raise
        else:
            return
        await asyncio.sleep(site.dice.uniform(0.05, 0.2))


async def _count_before(site: Site) -> None:
    """What the release before answered users: from this it is learned what is tolerated of the new one."""
    if site.last("seen", what="counts before") is not None or not site.target.capabilities.counters:
        return
    try:
        counts = await site.target.counts()
    except Fenced:
        raise
    except TargetProblem:
        return
    found = {slot: {"answers": count.answers, "failures": count.failures} for slot, count in counts.items()}
    await site.write("seen", what="counts before", slots=found)


async def _make_room(site: Site) -> None:
    """Stop the release before, where two cannot run beside each other. Users get no answer from here on.

    A strategy that replaces in place does so by itself.
    """
    old = site.plan.previous_slot
    if old is None or site.environment.strategy.kind != "recreate":
        return
    there = (await site.observe()).slots.get(old, EMPTY)
    if there.running and there.nonce != nonce_of(site, site.plan.slot, "new"):
        within = site.environment.rollback.drain
        await site.call("drain", lambda: site.target.drain(old, within), slot=old, within=within)
        await site.call("stop", lambda: site.target.stop(old), slot=old)
