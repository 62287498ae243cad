"""The merge queue's heads."""

from __future__ import annotations

from bot.domain.deliveries import CancelGroup
from bot.domain.run_states import OPEN
from bot.domain.stopping import Cancelled
from bot.flows.context import Context


async def cancel(ctx: Context, action: CancelGroup) -> None:
    """End what runs for a head that the queue needs no more. Safe to repeat."""
    for run in await ctx.runs.of_head(action.repo_id, None, action.head_sha):
        if run.state in OPEN:
            await ctx.stop(run.id, Cancelled(action.because))
