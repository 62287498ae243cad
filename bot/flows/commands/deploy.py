"""`/deploy`: ask for a commit to be put into an environment, or for what that would do."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.commands.asked import Deploy
from bot.domain.commands.authority import Refused
from bot.domain.deploy.comment import plan_told
from bot.domain.deploy.deployment import Deployment
from bot.domain.text import code
from bot.flows.commands.order import Done, Scene
from bot.flows.deploying.dry_running import dry_run
from bot.flows.deploying.request import Request
from bot.flows.deploying.wanting import resolve, want


async def hindrance(scene: Scene, command: Deploy, nth: int) -> Refused | None:
    """Why nothing of this kind can go there: the environment, the commit, or who may choose it."""
    if scene.order.pr is not None and scene.pull.state != "open" and not scene.pull.merged:
        return Refused("closed", "the pull request is closed, and was not merged")
    if await scene.ctx.deployments.get(scene.name(nth)) is not None:
        return None  # it was asked for already, and a crash has us say so again.
    found = await resolve(scene.ctx, _request(scene, command, nth))
    return found if isinstance(found, Refused) else None


async def carry_out(scene: Scene, command: Deploy, nth: int) -> Done | Refused:
    """Make the deployment, which then waits at its gates; or only tell the plan."""
    request = _request(scene, command, nth)
    if command.dry_run:
        plan = await dry_run(scene.ctx, request)
        return plan if isinstance(plan, Refused) else Done(said=plan_told(plan, expected=command.expect))
    deployment = await want(scene.ctx, request)
    if isinstance(deployment, Refused):
        return deployment
    said = f"{code(deployment.short)} goes to {code(deployment.environment)} when its gates let it"
    return Done(said=f"{said}: {linked(scene, deployment)}.")


def linked(scene: Scene, deployment: Deployment) -> str:
    """`deployment 12`, with a link where there is a page."""
    url = scene.ctx.links.deployment_url(deployment.number)
    name = f"{'rollback' if deployment.kind == 'rollback' else 'deployment'} {deployment.number}"
    return f"[{name}]({url})" if url else name


def request_of(scene: Scene, environment: str, nth: int) -> Request:
    """What somebody asks of an environment; it has the order's name, so that a repeat asks for nothing more."""
    order = scene.order
    return Request(
        id=scene.name(nth),
        repo_id=order.repo_id,
        repo=order.repo,
        installation_id=order.installation_id,
        environment=environment,
        pr=order.pr,
        requested_by=order.actor,
        cause="api" if order.at_machine else "command",
    )


def _request(scene: Scene, command: Deploy, nth: int) -> Request:
    request = request_of(scene, command.environment, nth)
    return replace(request, sha=command.at, expect=command.expect, break_glass=command.break_glass)
