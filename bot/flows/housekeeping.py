"""What is kept of the past, and for how long: enough to know what was heard already, and to look into a mistake."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.flows.context import Context

log = structlog.get_logger()

EVERY = timedelta(hours=1)
"""Between two rounds."""

BODIES_KEPT = timedelta(days=7)
"""For this long after it came a delivery can be read again; GitHub itself shows it for three days."""

DELIVERIES_KEPT = timedelta(days=60)
"""For this long a delivery's id is known, and a second one of the same id has no effect; GitHub repeats none so old."""

FLOWS_KEPT = timedelta(days=60)
"""For this long the engine knows a flow that has ended."""


async def tidy(ctx: Context) -> None:
    """Let go of what is older. What is open stays, however old it is."""
    now = ctx.clock.now()
    try:
        emptied = await ctx.inbox.empty(before=now - BODIES_KEPT)
        forgotten = await ctx.inbox.forget(before=now - DELIVERIES_KEPT)
        flows = await ctx.engine.forget(before=now - FLOWS_KEPT)
    except SQLAlchemyError as error:
        log.error("tidying_postponed", because=type(error).__name__)  # noqa: TRY400 - the next round repeats it.
        return
    if emptied or forgotten or flows:
        log.info("tidied", emptied=emptied, forgotten=forgotten, flows=flows)
