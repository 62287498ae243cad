"""Bringing a release up in a slot, the new one or, when it has died meanwhile, the one before."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bot.deploy.site import EMPTY, POLL, Site
from bot.deploy.target import Dead, NotYet, Ready, TargetUnreachable, Unbuildable
from bot.domain.deploy.release import Release, digest
from runner.shapes import seconds

IN_A_ROW = 2
"""A slot is ready when it says so this often: one that answers once and dies is not."""

PATIENCE = 305.0
"""Seconds that a slot gets to become ready. Targets have a limit of their own, and say more when it is reached."""

MARGIN = 0.5
"""Seconds that are left to the target to say so."""

TRIES = 3
"""How often a call to a target that cannot be reached is made."""

TAIL = 100
"""Lines of what a slot printed that are kept."""


class DidNotStart(Exception):
    """The release does not answer in its slot. The message says why; what the slot printed is in the journal."""


async def bring_up(site: Site, slot: str, release: Release, tree: Path, *, purpose: str) -> None:
    """Start a release in a slot, unless this deployment has done so already, and wait until it answers.

    Args:
        site: where.
        slot: one without traffic, unless nothing can run beside it.
        release: which.
        tree: its files.
        purpose: `new` or `back`; with the deployment and the slot it makes the nonce.

    Raises:
        DidNotStart: it does not.
        Fenced: as every call.
    """
    nonce = nonce_of(site, slot, purpose)
    found = (await site.observe()).slots.get(slot, EMPTY)
    if not (found.running and found.nonce == nonce):
        await _start(site, slot, release, tree, nonce)
    try:
        await wait_ready(site, slot)
    except DidNotStart:
        await keep_logs(site, slot)
        raise


def nonce_of(site: Site, slot: str, purpose: str) -> str:
    """What tells this deployment's start in a slot from every other; the same after a crash."""
    return digest([site.plan.deployment, slot, purpose])[:16]


async def wait_ready(site: Site, slot: str) -> None:
    """Wait until a slot answers for itself.

    Raises:
        DidNotStart: it does not, or not in time.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + _patience(site)
    ready, because = 0, "nothing was heard of it"
    while ready < IN_A_ROW:
        try:
            said = await site.target.ready(slot)
        except TargetUnreachable as unreachable:
            said = NotYet(str(unreachable))
        match said:
            case Ready():
                ready += 1
            case NotYet(because=because):
                ready = 0
            case Dead(because=because, tail=tail):
                await site.write("seen", what="dead", slot=slot, because=because, tail=tail)
                message = f"{slot} is dead: {because}"
                raise DidNotStart(message)
        if loop.time() > until:
            message = f"{slot} was not ready within {_patience(site):g} s: {because}"
            raise DidNotStart(message)
        await asyncio.sleep(POLL)
    await site.write("seen", what="ready", slot=slot)


async def keep_logs(site: Site, slot: str) -> None:
    """Keep the end of what a slot printed: in the journal, and beside it."""
    try:
        tail = await site.target.logs(slot, TAIL)
    except TargetUnreachable as unreachable:
        tail = f"(the target could not be asked: {unreachable})"
    site.files.logs.mkdir(exist_ok=True)
    (site.files.logs / f"slot-{slot}.log").write_text(site.redactor.text(tail), encoding="utf-8")
    await site.write("note", what="logs", slot=slot, tail=tail)


async def _start(site: Site, slot: str, release: Release, tree: Path, nonce: str) -> None:
    facts = {"slot": slot, "release": release.id, "nonce": nonce}
    for left in reversed(range(TRIES)):
        try:
            await site.call("start", lambda: site.target.start(slot, release, tree, nonce), **facts)
        except Unbuildable as unbuildable:
            raise DidNotStart(str(unbuildable)) from unbuildable
        except TargetUnreachable as unreachable:
            if not left:
                message = f"the target cannot be reached: {unreachable}"
                raise DidNotStart(message) from unreachable
            await asyncio.sleep(site.dice.uniform(0.1, 0.5))
        else:
            return


def _patience(site: Site) -> float:
    option = site.environment.target.options.get("start_timeout")
    return seconds(option) + MARGIN if isinstance(option, int | float | str) else PATIENCE
