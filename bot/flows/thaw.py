"""The end of a freeze that nobody lifted: its pull requests are shown as their verdicts say, and no box runs for it."""

from __future__ import annotations

import structlog

from bot.flows import holds, republish
from bot.flows.context import Context
from bot.flows.nudges import ConsiderAll

log = structlog.get_logger()

LOOK_EVERY = 5
"""Seconds between two looks; a freeze ends so much late at most."""


async def thaw(ctx: Context) -> None:
    """Let go of what is over. Safe to repeat, and after a crash in the middle."""
    for freeze in await holds.lapsed(ctx, ctx.clock.now()):
        assert freeze.until, "it is over"
        place = await ctx.place_of(freeze.repo_id)
        if place is not None:
            repo, installation_id = place
            shown = republish.Republish(
                repo_id=freeze.repo_id, repo=repo, installation_id=installation_id, branch=freeze.branch, pr=None
            )
            # Started before the row says that the freeze is over: a crash in between starts it again, by the same id.
            await ctx.engine.start(republish.NAME, f"republish:{freeze.id}:over", shown)
        await ctx.freezes.lift(freeze.id, by="", at=freeze.until)
        ctx.nudges.give(ConsiderAll(freeze.repo_id))
        log.info("freeze_ended", repo_id=freeze.repo_id, branch=freeze.branch)
