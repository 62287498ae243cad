"""Telling of a change: whoever tells people of deployments has a flow of its own, which follows the row.

None of them holds a deployment up, and each of them may come late: what they tell is read when they tell it.
"""

from __future__ import annotations

from bot.domain.deploy.states import FINAL
from bot.flows.context import Context
from bot.flows.deploying import commenting, incidents, noticing, recording, telling


async def spread(ctx: Context, deployment_id: str) -> None:
    """Start what tells of it. Safe to repeat."""
    deployment = await ctx.deployment(deployment_id)
    await telling.start(ctx, deployment_id)
    await ctx.engine.start(commenting.NAME, commenting.flow_id(deployment_id), deployment_id)
    await noticing.tell_of(ctx, deployment)
    await incidents.follow_up(ctx, deployment)
    if deployment.state in FINAL:
        # The last of all: whoever has a record has been told of, and the round looks at those that have none.
        await recording.keep(ctx, deployment_id)
