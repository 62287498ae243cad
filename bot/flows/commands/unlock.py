"""`/unlock`: let others into an environment again."""

from __future__ import annotations

from bot.domain.commands.asked import Unlock
from bot.domain.commands.authority import Need, Refused, may
from bot.domain.deploy.deployment import Lock
from bot.domain.deploy.locking import held_by
from bot.domain.text import code, plain
from bot.flows.commands import under_way
from bot.flows.commands.order import Done, Scene
from bot.flows.nudges import ConsiderAll


async def hindrance(scene: Scene, command: Unlock) -> Refused | None:
    """Why it cannot be unlocked: nobody holds it, or somebody does whose lock is not this person's to end."""
    held = await _held(scene, command)
    if held is None:
        unknown = await under_way.unknown(scene, command.environment)
        return unknown or Refused("not_locked", f"nobody holds {code(command.environment)}")
    if scene.order.at_machine or held.by.casefold() == scene.order.actor.casefold():
        return None
    if not isinstance(may(scene.permission, Need.MAINTAIN), Refused):
        return None
    return Refused("not_yours", f"{plain(held_by(held), 600)}; only people who maintain the repository can end that")


async def carry_out(scene: Scene, command: Unlock) -> Done:
    """End it; what waits is looked at again."""
    held = await _held(scene, command)
    await scene.ctx.locks.release(scene.order.repo_id, command.environment)
    scene.ctx.nudges.give(ConsiderAll(scene.order.repo_id, command.environment))
    whose = f" It was {plain(held_by(held), 600)}." if held and held.by != scene.order.actor else ""
    return Done(said=f"{code(command.environment)} is not locked any more.{whose}")


async def _held(scene: Scene, command: Unlock) -> Lock | None:
    return await scene.ctx.locks.of(scene.order.repo_id, command.environment, scene.now)
