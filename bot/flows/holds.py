"""What people decided about a run besides its boxes' verdicts: who answers for which box, and what is frozen.

The one place where `conclude` learns of either. Verdicts are never changed by it, so that what held a pull request can
be lifted without running a box again. What cannot be read holds: nothing is green by a failing database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.freeze import Freeze, holding, over, sentence
from bot.domain.progress import Excused, Progress
from bot.flows import record
from bot.flows.context import Context
from bot.flows.requests import MERGE_GROUP
from bot.store.runs import Run
from runner.model import BoxId

log = structlog.get_logger()

UNKNOWN = "whether it may be merged now cannot be read"


async def state_of(ctx: Context, run: Run) -> Progress:
    """The state of a run, with the boxes that somebody answers for."""
    return record.progress(ctx.files(run), kept=record.kept(ctx, run), excused=await excused(ctx, run))


async def excused(ctx: Context, run: Run) -> Mapping[BoxId, Excused]:
    """The boxes that do not gate on the head of this run in its pull request; the last word about a box counts.

    A push has another head, so it has none of these. What cannot be read excuses nobody.
    """
    if run.pr is None:
        return {}
    try:
        given = await ctx.excuses.of_head(run.repo_id, run.pr, run.head_sha)
    except SQLAlchemyError as error:
        log.error("excuses_unreadable", because=type(error).__name__)  # noqa: TRY400 - the run is judged without.
        return {}
    return {BoxId.read(text): Excused(e.by, e.because) for e in given for text in e.selection.split(",") if text}


async def hold_of(ctx: Context, runs: Iterable[Run]) -> str:
    """Why none of these runs may let its head be merged now, as a sentence for a check's title; "" for no reason.

    Several runs are those of one head: GitHub shows one check for all, so what holds one of them holds the head.
    """
    for run in runs:
        if run.pr is None and run.cause != MERGE_GROUP:
            continue  # what was pushed to a branch is in it already.
        if said := await hold_on(ctx, run.repo_id, run.base_ref):
            return said
    return ""


async def hold_on(ctx: Context, repo_id: int, branch: str) -> str:
    """Why nothing may be merged into a branch now, as above; "" for no reason."""
    try:
        freeze = holding(await ctx.freezes.standing(repo_id), branch=branch, now=ctx.clock.now())
    except SQLAlchemyError as error:
        log.error("freezes_unreadable", because=type(error).__name__)  # noqa: TRY400 - the check says it.
        return UNKNOWN
    return sentence(freeze) if freeze else ""


async def lapsed(ctx: Context, now: datetime) -> tuple[Freeze, ...]:
    """Freezes whose end has come and that nobody has acted upon yet."""
    return over(await ctx.freezes.all_standing(), now)
