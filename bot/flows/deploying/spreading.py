"""Telling of a change: whoever tells people of deployments has a flow of its own, which follows the row.

None of them holds a deployment up, and each of them may come late: what they tell is read when they tell it.
"""

from __future__ import annotations

from bot.flows.context import Context
from bot.flows.deploying import telling


async def spread(ctx: Context, deployment_id: str) -> None:
    """Start what tells of it. Safe to repeat."""
    await telling.start(ctx, deployment_id)
