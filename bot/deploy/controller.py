"""The controller: brings one deployment to its end, from wherever a crash has left it.

It knows the deployment's directory and the target; neither GitHub, nor the database, nor the bot has to be there. In
each state a phase says what follows; the edge is on the disk before anything of the next state is done.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping

from bot.deploy.phases.baking import bake, decide
from bot.deploy.phases.preparing import abandon, look, prepare, rehearse
from bot.deploy.phases.retiring import retire
from bot.deploy.phases.returning import go_back
from bot.deploy.phases.switching import switch
from bot.deploy.site import BEFORE, POLL, Next, NotToBe, Site, granting
from bot.deploy.target import Fenced, TargetProblem
from bot.deploy.wishes import Wish
from bot.domain.deploy.states import FINAL, State

Phase = Callable[[Site], Awaitable[Next]]

PHASES: Mapping[State, Phase] = {
    State.LOCKED: look,
    State.PREPARING: prepare,
    State.SMOKING: rehearse,
    State.SWITCHING: switch,
    State.BAKING: bake,
    State.RETIRING: retire,
    State.ROLLING_BACK: go_back,
}

STARTS = 3
"""A state before the switch is begun so often; whatever makes the controller crash there would do so again."""


async def control(site: Site) -> State:
    """Bring a deployment to its end, or to where only a person knows what follows.

    Returns:
        A final state, or HELD.
    """
    await site.write("note", what="started", pid=os.getpid(), plan=site.plan.hash)
    while site.state not in FINAL:
        follows = await decide(site) if site.state is State.HELD else await _next(site)
        if follows is None:
            return State.HELD
        await site.enter(follows)
    while (wished := site.wished()) is not None:
        await site.heard(wished, "nothing: the deployment has ended")
    return site.state


async def _next(site: Site) -> Next:
    try:
        if site.state in BEFORE:
            return await _before(site)
        return await PHASES[site.state](site)
    except Fenced as fenced:
        return _fenced(site, str(fenced))


async def _before(site: Site) -> Next:
    """A phase that can still be called off, by a person or because something is not as it should be."""
    if (doomed := site.last("note", what="not to be")) is not None:
        return await abandon(site, doomed.data["because"])
    if _starts(site) > STARTS:
        return await abandon(site, f"the controller ended {STARTS} times while the deployment was {site.state}")
    try:
        return await _unless_wished(site, PHASES[site.state])
    except NotToBe as reason:
        return await abandon(site, str(reason))
    except Fenced:
        raise
    except TargetProblem as problem:
        return await abandon(site, str(problem))


async def _unless_wished(site: Site, phase: Phase) -> Next:
    """A phase, given up as soon as somebody wishes so."""
    under_way = asyncio.ensure_future(phase(site))
    try:
        while True:
            await asyncio.wait({under_way}, timeout=POLL)
            if under_way.done():
                return under_way.result()
            wished = site.wished()
            if wished is None:
                continue
            if wished.wish is Wish.PROMOTE:
                await site.heard(wished, "nothing: users do not have the release yet")
                continue
            message = f"{wished.by} asked for it to be aborted"
            await site.write("note", what="not to be", because=message, **granting(wished))
            await site.heard(wished, "aborts")
            raise NotToBe(message)
    finally:
        if not under_way.done():
            under_way.cancel()
            await asyncio.wait({under_way})


def _starts(site: Site) -> int:
    """How often a controller was started since the last edge, this one included."""
    count = 0
    for entry in reversed(site.journal.entries):
        if entry.kind == "state":
            break
        count += entry.kind == "note" and entry.data["what"] == "started"
    return count


def _fenced(site: Site, said: str) -> Next:
    """Somebody with a newer claim is at work: nothing more may be done here."""
    because = f"somebody else has taken {site.plan.environment} over: {said}" if said else "somebody else took over"
    if site.state in BEFORE:
        return Next(State.ABORTED, because)
    if site.state is State.RETIRING:
        return Next(State.SUCCEEDED, f"{site.plan.release.short} was live when {because}")
    return Next(State.HELD, because)
