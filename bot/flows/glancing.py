"""A look at a stranger's change before anybody lets it run: what it would weaken. Nothing of it is executed."""

from __future__ import annotations

import asyncio

import structlog

from bot.domain.scrutiny import Weakening, weakened_list
from bot.domain.subject import Subject
from bot.domain.trust import TrustLevel
from bot.flows import record
from bot.flows.comparing import compare, weakened
from bot.flows.configuring import put_in_force
from bot.flows.context import Context
from bot.github.errors import CommitNotFound, GitFailed
from bot.github.git import Conflict
from bot.github.repo_config import OrganisationDefault
from bot.store.runs import Run
from runner.execute.files import remove_tree

log = structlog.get_logger()


async def glance(ctx: Context, run: Run, subject: Subject, default: OrganisationDefault | None = None) -> str:
    """What the head weakens of its base, as Markdown for the check; "" when it weakens nothing. Safe to repeat.

    What it names is remembered: the permit of somebody who has read it covers that. One look at a time is enough, since
    strangers can ask for as many as they like.
    """
    async with ctx.glances:
        found = await _look(ctx, run, subject, default)
    record.save_shown(ctx.files(run), found)
    return weakened_list(found)


async def _look(ctx: Context, run: Run, subject: Subject, default: OrganisationDefault | None) -> tuple[Weakening, ...]:
    files = ctx.files(run)
    if files.directory.exists():
        await asyncio.to_thread(remove_tree, str(files.directory))
    files.directory.mkdir(parents=True)
    await put_in_force(ctx, run, subject, default)
    try:
        workspace = await ctx.workspaces.prepare(subject, files.directory)
        if isinstance(workspace, Conflict):
            return ()  # nothing can run on it either; there will be another head.
        await compare(files, ctx.cache(run.repo_id, TrustLevel.T2))
    except (GitFailed, CommitNotFound) as failure:
        log.warning("glance_failed", number=run.number, because=str(failure))
        return (_unknown("its files cannot be laid out"),)
    finally:
        for tree in (files.tree, files.base):
            if tree.is_dir():
                await asyncio.to_thread(remove_tree, str(tree))
    return weakened(files) or ()


def _unknown(why: str) -> Weakening:
    says = f"what this change weakens could not be found out: {why}"
    return Weakening(box="", says=says, file="", line=0, gone=True, unknown=True)
