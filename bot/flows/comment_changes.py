"""Comments that somebody edits or deletes: nothing is carried out, and what they permitted holds no more."""

from __future__ import annotations

from bot.domain.deliveries import CommentChanged
from bot.flows.context import Context
from bot.store.audit import Entry


async def note(ctx: Context, action: CommentChanged) -> None:
    """Take back the permits of a comment, and write down who changed it. Safe to repeat."""
    because = f"its comment was {action.how} by @{action.by}"
    if not await ctx.permits.void(action.repo_id, action.comment_id, because=because):
        return
    entry = Entry(
        id=f"comment:{action.repo_id}:{action.comment_id}:{action.how}",
        at=ctx.clock.now(),
        actor=action.by,
        action="ok-to-test",
        decision="noted",
        reason=f"comment_{action.how}",
        repo_id=action.repo_id,
        repo=action.repo,
        pr=action.pr,
        detail=f"the permit of @{action.author} is void: {because}",
    )
    await ctx.audit.write(entry)
