"""Comments that somebody edits or deletes: nothing is carried out, and what they permitted may hold no more."""

from __future__ import annotations

import hashlib

import structlog

from bot.domain.commands.registry import words_of
from bot.domain.deliveries import CommentChanged
from bot.flows.context import Context
from bot.flows.nudges import ConsiderAll
from bot.store.audit import Entry

log = structlog.get_logger()


async def note(ctx: Context, action: CommentChanged) -> None:
    """Take back the permit of a comment, and write down who changed it. Safe to repeat.

    A permit that its own author's comment still stands for is kept when that author mends a word. Changed by somebody
    else, or gone, the comment shows no longer who let what run: then nothing new begins by it. What runs already, runs
    on; a push, a close or `/boxes cancel` ends it.
    """
    await _refuse_commands(ctx, action)
    await _void_approvals(ctx, action)
    known = await ctx.permits.by_comment(action.repo_id, action.comment_id)
    if not known:
        return
    by_author = action.how == "edited" and action.by == known[0].by
    if not by_author:
        because = f"@{action.by} has {action.how} the comment that let it run"
        await ctx.permits.void(action.repo_id, action.comment_id, because=because)
        log.warning("permit_withdrawn", pr=action.pr, comment=action.comment_id, how=action.how, by=action.by)
    for permit in known:
        stands = "stands" if by_author else "is void"
        entry = Entry(
            id=f"comment:{action.repo_id}:{action.comment_id}:{action.how}:{action.by}"[:200],
            at=ctx.clock.now(),
            actor=action.by,
            action="ok-to-test",
            decision="noted",
            reason=f"comment_{action.how}",
            repo_id=action.repo_id,
            repo=action.repo,
            pr=action.pr,
            head_sha=permit.head_sha,
            detail=f"the permit of @{permit.by} {stands}: its comment was {action.how} by @{action.by}",
        )
        await ctx.audit.write(entry)


async def _void_approvals(ctx: Context, action: CommentChanged) -> None:
    """Take back what a comment approved, whoever changed it: nobody can see any more what was said of which release."""
    because = f"@{action.by} has {action.how} its comment"
    voided = await ctx.approvals.void_of_comment(action.repo_id, action.comment_id, because=because)
    if not voided:
        return
    log.warning("approval_voided", pr=action.pr, comment=action.comment_id, how=action.how, by=action.by)
    entry = Entry(
        id=f"approval:{action.repo_id}:{action.comment_id}:{action.how}:{action.by}"[:200],
        at=ctx.clock.now(),
        actor=action.by,
        action="approve",
        decision="noted",
        reason="approval_void",
        repo_id=action.repo_id,
        repo=action.repo,
        pr=action.pr,
        detail=f"the approval of @{action.author} is void: its comment was {action.how} by @{action.by}",
    )
    await ctx.audit.write(entry)
    ctx.nudges.give(ConsiderAll(action.repo_id))


async def _refuse_commands(ctx: Context, action: CommentChanged) -> None:
    """Write down the commands that somebody edited into a comment: whoever wonders why nothing happens finds them."""
    if action.how != "edited":
        return
    text = hashlib.sha256(action.body.encode("utf-8", "replace")).hexdigest()[:12]
    for nth, command in enumerate(await ctx.commands_of(action.body)):
        entry = Entry(
            id=f"{action.source}:{action.repo_id}:{action.comment_id}:edited:{text}.{nth}",
            at=ctx.clock.now(),
            actor=action.by,
            action=words_of(command),
            decision="refused",
            reason="edited",
            repo_id=action.repo_id,
            repo=action.repo,
            pr=action.pr,
            detail=f"@{action.by} edited it into a comment of @{action.author}; only new ones are carried out",
        )
        await ctx.audit.write(entry)
