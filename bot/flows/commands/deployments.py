"""The deployments of a pull request, as whoever asks about it is told of them."""

from __future__ import annotations

from dataclasses import replace

import structlog

from bot.domain.deploy.comment import Told
from bot.domain.deploy.states import WAITING
from bot.flows.commands.order import Scene
from bot.flows.deploying.commenting import newest, told_of
from bot.flows.deploying.considering import gates_of
from bot.github.errors import Forbidden, NotFound, UnexpectedAnswer

log = structlog.get_logger()


async def of_pull(scene: Scene, *, gates: bool = False) -> tuple[Told, ...]:
    """The newest of each environment; with `gates`, those that wait have their gates asked at this moment."""
    known = await scene.ctx.deployments.of_pull(scene.order.repo_id, scene.pull.number)
    told = [await told_of(scene.ctx, one, known) for one in newest(known)]
    return tuple([await _asked(scene, one) for one in told] if gates else told)


async def _asked(scene: Scene, told: Told) -> Told:
    if told.deployment.state not in WAITING:
        return told
    try:
        return replace(told, gates=await gates_of(scene.ctx, told.deployment))
    except (Forbidden, NotFound, UnexpectedAnswer) as unknown:
        log.warning("gates_not_asked", number=told.deployment.number, because=str(unknown))
        return told
