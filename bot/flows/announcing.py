"""The first sign of life: the overall check waits on GitHub while commits are still on their way."""

from __future__ import annotations

from dataclasses import replace

import structlog

from bot.domain.checks import waiting
from bot.flows import record
from bot.flows.context import Context
from bot.flows.publish import publish_checks
from bot.github.errors import Paced
from bot.github.pulls import is_there
from bot.store.runs import Run
from runner.config import FILE as CONFIG

log = structlog.get_logger()

SIGNS = ("boxes", CONFIG)
"""One of them on the base means that a run will follow; a repository without any hears nothing."""


async def announce_early(ctx: Context, run: Run, base_sha: str) -> None:
    """Show that a run of a head will follow, as soon as GitHub says that its base has boxes. Safe to repeat.

    A run of a part says nothing yet: whether its selection means anything is not known, and a verdict stands already.
    """
    if run.selection != "all" or await ctx.runs.checks_of(run.id):
        return
    if not await _has_signs(ctx, run, base_sha):
        return
    try:
        await publish_checks(ctx, run, [waiting(record.note_of(replace(run, base_sha=base_sha)))])
    except Paced as patience:
        # The run need not wait for that; it is announced with its tiers then.
        log.info("announcement_postponed", because=str(patience))


async def _has_signs(ctx: Context, run: Run, base_sha: str) -> bool:
    mirror = ctx.workspaces.mirror(run.repo_id, run.repo)
    if await mirror.has(base_sha):
        return bool(await mirror.list(base_sha, SIGNS[0])) or await mirror.read(base_sha, SIGNS[1]) is not None
    github = ctx.installation(run)
    for sign in SIGNS:
        if await is_there(github, run.repo, sign, base_sha):
            return True
    return False
