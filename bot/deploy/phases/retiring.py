"""The end of a good deployment: the release before is drained, and kept or stopped."""

from __future__ import annotations

import asyncio

from bot.deploy.phases.shares import alone, weights
from bot.deploy.phases.starting import TRIES
from bot.deploy.phases.switching import persistently
from bot.deploy.site import EMPTY, Next, Site
from bot.deploy.target import Fenced, TargetProblem
from bot.deploy.wishes import Wish
from bot.domain.deploy.states import State


async def retire(site: Site) -> Next:
    """Let the release before go. Until it is stopped, a wish to go back is granted at once."""
    plan = site.plan
    try:
        await persistently(site, weights(site, 1.0))
    except Fenced:
        raise
    except TargetProblem as problem:
        return Next(State.ROLLING_BACK, f"the router does not give {plan.release.short} all of the traffic: {problem}")
    if plan.previous_slot is None or alone(site):
        return Next(State.SUCCEEDED, f"{plan.release.short} is live")
    if wanted := await _wants_back(site):
        return wanted
    left_over = await _drained(site, plan.previous_slot)
    if wanted := await _wants_back(site):
        return wanted
    if not left_over and not _kept(site):
        left_over = await _stopped(site, plan.previous_slot)
    return Next(State.SUCCEEDED, f"{plan.release.short} is live{left_over}")


def _kept(site: Site) -> bool:
    """Whether the release before stays running, for a way back in one call; never the one that was fled from."""
    keeps = site.environment.rollback.keep_old > 0 and site.target.capabilities.keeps_old
    return keeps and site.plan.kind == "deploy"


async def _wants_back(site: Site) -> Next | None:
    wished = site.wished()
    if wished is None:
        return None
    if wished.wish is Wish.ROLLBACK:
        return Next(State.ROLLING_BACK, f"{wished.by} asked for it", wished)
    await site.heard(wished, "nothing: the release has passed its watch")
    return None


async def _drained(site: Site, slot: str) -> str:
    within = site.environment.rollback.drain
    try:
        if (await site.observe()).slots.get(slot, EMPTY).running:
            await site.call("drain", lambda: site.target.drain(slot, within), slot=slot, within=within)
    except Fenced:
        raise
    except TargetProblem as problem:
        return f", but {slot} could not be drained, and runs on: {problem}"
    return ""


async def _stopped(site: Site, slot: str) -> str:
    for left in reversed(range(TRIES)):
        try:
            await site.call("stop", lambda: site.target.stop(slot), slot=slot)
        except Fenced:
            raise
        except TargetProblem as problem:
            if not left:
                return f", but {slot} could not be stopped: {problem}"
            await asyncio.sleep(site.dice.uniform(0.1, 0.5))
        else:
            break
    return ""
