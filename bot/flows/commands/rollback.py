"""`/rollback`: bring an environment back to its last good release, whoever else is away."""

from __future__ import annotations

from bot.domain.commands.asked import RollBack
from bot.domain.commands.authority import Refused
from bot.domain.deploy.deployment import Deployment
from bot.domain.text import code
from bot.flows.commands import under_way
from bot.flows.commands.deploy import linked, request_of
from bot.flows.commands.order import Done, Scene
from bot.flows.deploying.returning import BEFORE, Asked, roll_back


async def hindrance(scene: Scene, command: RollBack) -> Refused | None:
    """Nothing but a name that is none: GitHub is not asked for the configuration, so that it is in nobody's way."""
    return await under_way.unknown(scene, command.environment)


async def carry_out(scene: Scene, command: RollBack, nth: int) -> Done | Refused:
    """Have it go back; its first effect is a call to the router, which the answer does not wait for."""
    request = request_of(scene, command.environment, nth)
    match await roll_back(scene.ctx, request, because=command.because):
        case Asked(deployment) if deployment.state in BEFORE:
            return Done(said=f"Called off: {linked(scene, deployment)}. No user has seen it.")
        case Asked(deployment):
            return Done(said=f"Taken back: {linked(scene, deployment)}.")
        case Deployment() as deployment:
            back = f"{code(deployment.environment)} goes back to {code(deployment.short)}"
            return Done(said=f"{back}: {linked(scene, deployment)}.")
        case Refused() as refused:
            return refused
