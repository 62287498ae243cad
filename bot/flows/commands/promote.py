"""`/promote`: let a release that is held stay, or a canary go on."""

from __future__ import annotations

from bot.domain.commands.asked import Promote
from bot.domain.commands.authority import Refused
from bot.domain.deploy.states import State
from bot.domain.text import code
from bot.flows.commands import under_way
from bot.flows.commands.deploy import linked, request_of
from bot.flows.commands.order import Done, Scene
from bot.flows.deploying.returning import promote


async def hindrance(scene: Scene, command: Promote) -> Refused | None:
    """Why there is nothing to let go on."""
    found = await under_way.going(scene, command.environment)
    return found if isinstance(found, Refused) else None


async def carry_out(scene: Scene, command: Promote, nth: int) -> Done | Refused:
    """Tell whoever carries it out."""
    asked = await promote(scene.ctx, request_of(scene, command.environment, nth))
    if isinstance(asked, Refused):
        return asked
    deployment = asked.deployment
    what = "is accepted" if deployment.state is State.HELD else "goes on"
    return Done(said=f"{code(deployment.short)} {what} in {code(deployment.environment)}: {linked(scene, deployment)}.")
