"""`/approve`: somebody says yes to exactly the release that waits."""

from __future__ import annotations

from bot.domain.commands.asked import Approve
from bot.domain.commands.authority import Refused
from bot.domain.deploy.approving import votes
from bot.domain.text import code, plain
from bot.flows.commands import voting
from bot.flows.commands.order import Done, Scene
from bot.flows.nudges import Consider


async def hindrance(scene: Scene, command: Approve, nth: int) -> Refused | None:
    """Why this person's yes would not count here."""
    if await scene.ctx.approvals.get(scene.name(nth)) is not None:
        return None  # it counted already, and a crash has us say so again.
    found = await _ballot(scene, command, nth)
    return found if isinstance(found, Refused) else None


async def carry_out(scene: Scene, command: Approve, nth: int) -> Done | Refused:
    """Remember it, have the gates looked at, and say what is missing still."""
    is_known = await scene.ctx.approvals.get(scene.name(nth)) is not None
    found = await _ballot(scene, command, nth)
    if isinstance(found, Refused):
        return Done() if is_known else found
    await scene.ctx.approvals.add(voting.vote(scene, found, nth, approves=True, glass=command.break_glass))
    scene.ctx.nudges.give(Consider(found.deployment.id))
    so_far = [f"{plain(answer.because, 600)}." for answer in await voting.tally(scene, found)]
    so_far += ["It may pass a freeze."] if command.break_glass and found.deployment.break_glass else []
    return Done(said=f"{code(found.deployment.short)} for {code(found.environment.name)}: {' '.join(so_far)}")


async def _ballot(scene: Scene, command: Approve, nth: int) -> voting.Ballot | Refused:
    found = await voting.ballot(scene, command.environment, at=command.at)
    if isinstance(found, Refused):
        return found
    deployment, actor = found.deployment, scene.order.actor
    if command.break_glass and deployment.requested_by.casefold() == actor.casefold():
        return Refused("own_glass", "it takes a second person to break the glass")
    if not found.gates:
        return found  # only the glass is asked about.
    given = voting.vote(scene, found, nth, approves=True)
    counted = [votes([given], deployment, gate, now=scene.now, authors=found.authors) for gate in found.gates]
    if any(one.approved for one in counted):
        return found
    why = "; ".join(dict.fromkeys(plain(said) for one in counted for said in one.others))
    return Refused("own_change", f"{why}; the environment's configuration says who is excluded")
