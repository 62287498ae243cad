"""`/boxes cancel`: end what runs."""

from __future__ import annotations

from bot.flows.commands.order import Done, Scene


async def carry_out(scene: Scene) -> Done:
    """Ask every run of the pull request to stop, whatever its head; the checks say by whom."""
    await scene.ctx.cancel(scene.order.repo_id, scene.pull.number, by=scene.order.by)
    return Done()
