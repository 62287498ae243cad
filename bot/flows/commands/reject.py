"""`/reject`: somebody says no, and what waits has ended."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.commands.asked import Reject
from bot.domain.commands.authority import Refused
from bot.domain.deploy.deployment import Approval
from bot.domain.deploy.states import IllegalEdge, State
from bot.domain.text import code, one_line
from bot.flows.commands import under_way, voting
from bot.flows.commands.order import Done, Scene
from bot.flows.deploying import protecting
from bot.flows.nudges import Changed, Consider, ConsiderAll


async def hindrance(scene: Scene, command: Reject, nth: int) -> Refused | None:
    """Why this person's no would not count here."""
    if await scene.ctx.approvals.get(scene.name(nth)) is not None:
        return None  # it counted already, and a crash has us say so again.
    found = await voting.ballot(scene, command.environment, at=command.at)
    return found if isinstance(found, Refused) else None


async def carry_out(scene: Scene, command: Reject, nth: int) -> Done | Refused:
    """Deny what waits. Whoever asks for it anew asks everybody anew: this no ends here, and so does an older yes."""
    no = await scene.ctx.approvals.get(scene.name(nth))
    if no is None:
        found = await voting.ballot(scene, command.environment, at=command.at)
        if isinstance(found, Refused):
            return found
        no = voting.vote(scene, found, nth, approves=False, because=command.because)
        if not protecting.is_job(no.deployment):
            no = replace(no, void_because=f"it was for deployment {found.deployment.number} alone")
        await scene.ctx.approvals.add(no)
    return await _deny(scene, no)


async def _deny(scene: Scene, no: Approval) -> Done | Refused:
    ctx = scene.ctx
    if protecting.is_job(no.deployment):
        ctx.nudges.give(Consider(no.deployment))
        return Done(said=f"The job that waits with {code(no.sha[:7])} for {code(no.environment)} is rejected.")
    because = one_line(f"rejected by @{no.by}: {no.because}", 500)
    try:
        deployment = await ctx.deployments.enter(no.deployment, State.DENIED, now=scene.now, because=because)
    except IllegalEdge:
        begun = await ctx.deployments.get(no.deployment)
        assert begun is not None, "it was voted on"
        return under_way.begun(begun)
    for given in await ctx.approvals.of(no.repo_id, no.environment, no.sha):
        if given.by.casefold() == no.by.casefold() and given.approves:
            await ctx.approvals.void(given.id, because=f"@{no.by} rejected it later")
    ctx.nudges.give(Changed(deployment.id))
    ctx.nudges.give(ConsiderAll(deployment.repo_id))
    return Done(said=f"Deployment {deployment.number} of {code(deployment.short)} is denied.")
