"""Before the switch: the release is started where no user is, tried, and its gates are asked once more."""

from __future__ import annotations

import asyncio
import contextlib

from bot.deploy.asking import Answered, answered, ask
from bot.deploy.commands import HookFailed, run_hooks
from bot.deploy.phases.shares import alone
from bot.deploy.phases.starting import DidNotStart, bring_up, keep_logs, wait_ready
from bot.deploy.site import EMPTY, POLL, Next, NotToBe, Site
from bot.deploy.target import Fenced, TargetProblem
from bot.domain.deploy.states import State

ASK_AGAIN = 10.0
"""Seconds after which a question is asked anew: gates that waited may pass by now."""

ASK_FOR = 600.0
"""Seconds after which nobody is asked any more."""


async def look(site: Site) -> Next:
    """Begin: see what is there, and that nobody with a newer claim is at work.

    Raises:
        NotToBe: the target cannot do what the plan asks for.
    """
    kind = site.environment.strategy.kind
    if kind not in site.target.capabilities.strategies:
        message = f"the target cannot do {kind}"
        raise NotToBe(message)
    await site.observe()
    return Next(State.PREPARING, f"{site.plan.release.short} is placed in {site.plan.slot}")


async def prepare(site: Site) -> Next:
    """Start the release where no user is, and wait until it answers.

    Raises:
        NotToBe: it does not.
    """
    plan = site.plan
    if alone(site):
        return Next(State.SMOKING, "nothing can run beside the release before: it is started at the switch")
    kept = (await site.observe()).slots.get(plan.slot, EMPTY)
    try:
        if plan.kind == "rollback" and kept.running and kept.release == plan.release.id:
            await wait_ready(site, plan.slot)
        else:
            await bring_up(site, plan.slot, plan.release, site.files.tree, purpose="new")
    except DidNotStart as failed:
        raise NotToBe(str(failed)) from failed
    return Next(State.SMOKING, f"{plan.release.short} answers in {plan.slot}")


async def rehearse(site: Site) -> Next:
    """Try the release where no user is, and make sure that its gates still pass.

    A way back asks no gate, and runs no hook that is meant for the way forward, such as a migration.

    Raises:
        NotToBe: something is not as it should be.
    """
    await _smoke(site)
    if site.plan.kind == "deploy":
        try:
            await run_hooks(site, "before_switch")
        except HookFailed as failed:
            raise NotToBe(str(failed)) from failed
        await _ask_gates(site)
    return Next(State.SWITCHING, f"{site.plan.release.short} takes over from {_before(site)}")


async def abandon(site: Site, because: str) -> Next:
    """Undo what was begun: no user has seen it. Safe to repeat, and goes on although the target does not answer."""
    if site.last("note", what="not to be") is None:
        await site.write("note", what="not to be", because=because)
    slot = site.plan.slot
    try:
        observed = await site.observe()
        if observed.slots.get(slot, EMPTY).running and not observed.weights.get(slot) and site.plan.kind == "deploy":
            await keep_logs(site, slot)
            await site.call("stop", lambda: site.target.stop(slot), slot=slot)
    except Fenced:
        raise
    except TargetProblem as problem:
        because = f"{because}; and {slot} could not be stopped: {problem}"
    return Next(State.ABORTED, because)


async def _smoke(site: Site) -> None:
    if not site.environment.smoke or alone(site):
        return
    address = (await site.observe()).slots.get(site.plan.slot, EMPTY).address
    if not address:
        await site.write("note", what="smoke", because=f"{site.plan.slot} has no address of its own to be tried at")
        return
    if site.plan.kind == "rollback" and site.last("intent", call="start") is None:
        return  # it was good and has run ever since: users wait for it.
    if site.last("done", call="smoke", which="before") is None:
        await site.write("intent", call="smoke", which="before", address=address)
        smoked = await site.smoke(address, "before")
        await site.write("done", call="smoke", which="before", ok=smoked.ok, because=smoked.because)
        if not smoked.ok:
            message = f"smoke: {smoked.because}"
            raise NotToBe(message)


async def _ask_gates(site: Site) -> None:
    """Wait until the bot says that the gates pass. It may be away: nobody has seen the release, so there is time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + ASK_FOR
    because = "the bot did not say whether the gates still pass"
    while loop.time() < until:
        number = len(site.journal.entries) + 1
        await site.write("intent", call="ask_gates", number=number)
        await asyncio.to_thread(ask, site.files, number)
        said = await _answer(site, number)
        if said is None:
            continue
        await site.write("done", call="ask_gates", number=number, word=said.word, because=said.because)
        because = said.because
        if said.word == "pass":
            return
        if said.word == "deny":
            break
        await asyncio.sleep(ASK_AGAIN)
    message = f"the gates, asked once more before the switch: {because}"
    raise NotToBe(message)


async def _answer(site: Site, number: int) -> Answered | None:
    """The bot's answer to a question; None if it does not come in time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ASK_AGAIN):
            while (said := await asyncio.to_thread(answered, site.files, number)) is None:  # noqa: ASYNC110 - a file.
                await asyncio.sleep(POLL)
            return said
    return None


def _before(site: Site) -> str:
    return site.plan.previous.short if site.plan.previous else "nothing"
