"""The way back: users get the release before, first of all; everything else can wait."""

from __future__ import annotations

import asyncio

from bot.deploy.commands import HookFailed, SchemaUnknown, run_hooks, schema_version
from bot.deploy.phases.shares import alone, back, weights
from bot.deploy.phases.starting import DidNotStart, bring_up, keep_logs
from bot.deploy.phases.switching import persistently
from bot.deploy.site import EMPTY, Next, Site
from bot.deploy.target import Fenced, TargetProblem
from bot.domain.deploy.choosing import TRIES, retry_after
from bot.domain.deploy.schema_guard import roll_forward_only
from bot.domain.deploy.states import State


async def go_back(site: Site) -> Next:
    """Give users the release before. Asks nobody; its being bad, or a schema that it does not know, bars the way."""
    plan, why = site.plan, site.because
    if plan.previous_slot is None:
        return Next(State.HELD, f"{why}; there is no release before it to go back to")
    if plan.kind == "rollback":
        return _nowhere_else(site)
    if barred := await _barred(site):
        await _least(site)
        return Next(State.HELD, f"{why}; {barred}")
    while True:
        try:
            await _return_traffic(site)
            break
        except Fenced:
            raise
        except (TargetProblem, DidNotStart) as problem:
            await site.write("note", what="way back failed", because=str(problem))
            site.failures += 1  # counted here too: a full disk must not make it try for ever.
            pause = retry_after(max(site.failures, _failures(site)), site.dice)
            if pause is None:
                return Next(State.ROLLBACK_FAILED, f"{why}; and the way back failed {TRIES} times: {problem}")
            await asyncio.sleep(pause)
    await _clear(site)
    return Next(State.ROLLED_BACK, f"{why}; {plan.previous.short if plan.previous else 'what was there'} serves again")


def _nowhere_else(site: Site) -> Next:
    """A way back that went wrong: what it came from was worse, so nobody goes there again by himself."""
    if site.last("state", state=State.BAKING.value) is None:
        return Next(State.ROLLBACK_FAILED, site.because)
    return Next(State.HELD, f"{site.because}; it was a way back itself, and what it came from is not gone back to")


async def _return_traffic(site: Site) -> None:
    plan = site.plan
    assert plan.previous_slot is not None
    old = (await site.observe()).slots.get(plan.previous_slot, EMPTY)
    if alone(site):
        await site.call("stop", lambda: site.target.stop(plan.slot), slot=plan.slot)
    if plan.previous is None:
        if not old.running:
            message = f"what ran in {plan.previous_slot} is gone, and nobody knows what it was"
            raise DidNotStart(message)
    elif not (old.running and old.release == plan.previous.id):
        await bring_up(site, plan.previous_slot, plan.previous, site.files.before, purpose="back")
    await site.route({plan.previous_slot: 100} if alone(site) else back(site))


async def _barred(site: Site) -> str:
    """Why nobody is sent back to the release before: it is bad, or cannot work with the database; "" if it can."""
    if site.plan.no_return:
        return site.plan.no_return
    previous, command = site.plan.previous, site.environment.rollback.schema
    if previous is None or not command or not previous.names_schemas:
        return ""
    try:
        return roll_forward_only(previous, await schema_version(site, command))
    except SchemaUnknown as unknown:
        return f"roll forward only: {unknown}"


async def _least(site: Site) -> None:
    """Leave a canary the smallest share that it had, while people look for a way forward."""
    if alone(site) or site.environment.strategy.kind != "canary":
        return
    try:
        await persistently(site, weights(site, min(site.environment.strategy.steps)))
    except Fenced:
        raise
    except TargetProblem as problem:
        await site.write("note", what="share kept", because=str(problem))


async def _clear(site: Site) -> None:
    """Take away what was bad, and keep what it printed. Users have the release before: nothing here can fail."""
    slot = site.plan.slot
    try:
        if not alone(site) and (await site.observe()).slots.get(slot, EMPTY).running:
            within = site.environment.rollback.drain
            await site.call("drain", lambda: site.target.drain(slot, within), slot=slot, within=within)
            await keep_logs(site, slot)
            await site.call("stop", lambda: site.target.stop(slot), slot=slot)
    except Fenced:
        raise
    except TargetProblem as problem:
        await site.write("note", what="left over", slot=slot, because=str(problem))
    try:
        await run_hooks(site, "after_rollback")
    except HookFailed as failed:
        await site.write("note", what="hook failed", because=str(failed))


def _failures(site: Site) -> int:
    return sum(entry.kind == "note" and entry.data["what"] == "way back failed" for entry in site.journal.entries)
