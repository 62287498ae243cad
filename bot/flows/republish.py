"""The flow that shows anew what runs have found, when what is concluded from it has changed. No box runs for it."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.domain.run_states import RunState
from bot.engine import Flow
from bot.flows import conclude
from bot.flows.context import Context
from bot.flows.persevere import persevere
from bot.github.errors import Forbidden, NotFound, Unprocessable
from bot.github.pulls import get_pull, open_pulls

log = structlog.get_logger()

NAME = "republish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Republish:
    """What is shown anew: the open pull requests into `branch` ("" for every branch), or of those the one `pr`."""

    repo_id: int
    repo: str
    installation_id: int
    branch: str
    pr: int | None


@dataclass(frozen=True, slots=True)
class Republishing:
    """The flow, with what it works with."""

    ctx: Context

    async def __call__(self, flow: Flow, wanted: Republish) -> str:
        """Bring every check up to date; returns a few words about it."""
        ctx = self.ctx
        found = await persevere(flow, ctx.clock, "find", find, ctx, wanted)
        for run_id in found:
            await persevere(flow, ctx.clock, "show", show, ctx, run_id)
        log.info("checks_shown_anew", repo=wanted.repo, branch=wanted.branch, runs=len(found))
        return f"{len(found)} shown"


async def find(ctx: Context, wanted: Republish) -> tuple[str, ...]:
    """The finished runs that speak for the heads of now."""
    github = ctx.github.installation(wanted.installation_id)
    try:
        one = [await get_pull(github, wanted.repo, wanted.pr)] if wanted.pr is not None else None
        pulls = one or await open_pulls(github, wanted.repo)
    except (Forbidden, NotFound) as gone:
        log.warning("checks_not_shown_anew", repo=wanted.repo, because=str(gone))
        return ()
    found = []
    for pull in pulls:
        if pull.base_repo_id != wanted.repo_id or pull.state != "open" or wanted.branch not in {"", pull.base_ref}:
            continue
        runs = await ctx.runs.of_head(wanted.repo_id, pull.number, pull.head_sha)
        found += [run.id for run in runs if run.state is RunState.FINISHED][:1]
    return tuple(found)


async def show(ctx: Context, run_id: str) -> None:
    """Show one run anew. Safe to repeat; one whose repository is gone is passed over."""
    try:
        await conclude.show_again(ctx, run_id)
    except (Forbidden, NotFound, Unprocessable) as refused:
        log.warning("run_not_shown_anew", run=run_id, because=str(refused))
