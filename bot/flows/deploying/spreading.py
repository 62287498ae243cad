"""Telling of a change: whoever tells people of deployments has a flow of its own, which follows the row.

None of them holds a deployment up, and each of them may come late: what they tell is read when they tell it.
"""

from __future__ import annotations

from bot.domain.deploy.states import FINAL
from bot.flows.context import Context
from bot.flows.deploying import commenting, recording, telling


async def spread(ctx: Context, deployment_id: str) -> None:
    """Start what tells of it. Safe to repeat."""
    deployment = await ctx.deployment(deployment_id)
    await telling.start(ctx, deployment_id)
    await ctx.engine.start(commenting.NAME, commenting.flow_id(deployment_id), deployment_id)
    if deployment.state in FINAL:
        await recording.keep(ctx, deployment_id)
