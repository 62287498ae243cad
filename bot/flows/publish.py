"""Showing a run on GitHub: its check runs and the pull request's one comment. Repeating any of it changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import structlog

from bot.domain.checks import Check
from bot.domain.comment import marker
from bot.flows.context import Context
from bot.github.checks import ensure_check, update_check
from bot.github.comments import upsert_sticky
from bot.store.runs import Run, StoredCheck

log = structlog.get_logger()


async def publish_checks(ctx: Context, run: Run, checks: Iterable[Check]) -> None:
    """Bring the run's check runs to what `checks` says; those that show it already cost no call."""
    known = await ctx.runs.checks_of(run.id)
    github = ctx.installation(run)
    for wanted in checks:
        # GitHub appends annotations and never takes one back, so they are sent when no more can come.
        check = wanted if wanted.status == "completed" else replace(wanted, annotations=())
        digest = hashlib.sha256(repr(check).encode()).hexdigest()
        stored = known.get(check.name)
        if stored is not None and stored.digest == digest:
            continue
        if stored is None:
            check_run_id = await ensure_check(
                github,
                run.repo,
                name=check.name,
                head_sha=run.head_sha,
                external_id=run.id,
                check=check,
                details_url=ctx.links.url(run.number),
            )
            stored = StoredCheck(name=check.name, check_run_id=check_run_id, sent_annotations=0, digest="")
            # Saved before it is filled: after a crash here the same check run is filled, and no second one is made.
            await ctx.runs.save_check(run.id, stored)
        sent = await update_check(
            github, run.repo, stored.check_run_id, check, sent_annotations=stored.sent_annotations
        )
        await ctx.runs.save_check(run.id, replace(stored, sent_annotations=sent, digest=digest))


async def publish_comment(ctx: Context, run: Run, body: str) -> None:
    """Put `body` into the pull request's one comment."""
    if run.pr is None:
        return
    known = await ctx.runs.comment_of(run.repo_id, run.pr)
    comment_id = await upsert_sticky(
        ctx.installation(run),
        run.repo,
        run.pr,
        body,
        marker=marker(run.pr),
        app_slug=await ctx.github.slug(),
        known_id=known,
    )
    if comment_id != known:
        await ctx.runs.save_comment(run.repo_id, run.pr, comment_id)
