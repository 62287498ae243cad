"""Asking for a run: the row that stands for it is made here, once for each fact, however often GitHub tells it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.domain.run_states import GIVEN_UP, OPEN
from bot.flows.context import Context
from bot.store.runs import Run

MERGE_GROUP = "merge_group"
"""The cause of a run that the merge queue asked for."""


def run_id(repo_id: int, pr: int | None, head_sha: str, *, again: str = "") -> str:
    """The id of a run and of its flow.

    Deliveries that tell the same fact lead to the same id, so the second starts nothing. `again` sets a run apart that
    somebody asked for: it is the id of the comment or delivery that did.
    """
    place = f"pr{pr}" if pr is not None else "push"
    return f"run:{repo_id}:{place}:{head_sha}" + (f":{again}" if again else "")


async def open_run(
    ctx: Context,
    *,
    installation_id: int,
    repo_id: int,
    repo: str,
    pr: int | None,
    head_sha: str,
    base_ref: str,
    selection: str = "all",
    again: str = "",
    delivery: str = "",
    cause: str = "",
    prove: str = "",
) -> Run:
    """The run of a head, made if it is not there. Safe to repeat.

    A run that somebody asked for (`again`) continues the newest finished run of the same head: verdicts of boxes
    that it does not select stay in force.
    """
    wanted = run_id(repo_id, pr, head_sha, again=again)
    earlier = await ctx.runs.of_head(repo_id, pr, head_sha)
    if not again and earlier and (not _is_answered(earlier, base_ref) or await _is_overtaken(ctx, earlier[0])):
        wanted = run_id(repo_id, pr, head_sha, again=f"anew{len(earlier)}")
    kept_from = next((run.id for run in earlier if run.id != wanted and again), "")
    return await ctx.runs.create(
        wanted,
        now=ctx.clock.now(),
        installation_id=installation_id,
        repo_id=repo_id,
        repo=repo,
        pr=pr,
        head_sha=head_sha,
        base_ref=base_ref,
        base_sha="",
        selection=selection,
        kept_from=kept_from,
        delivery=delivery,
        cause=cause or next((run.cause for run in earlier if run.cause), "push" if pr is None else "pull_request"),
        prove=prove,
    )


def _is_answered(earlier: Sequence[Run], base_ref: str) -> bool:
    """Whether one of the runs of a head, newest first, answers for all its boxes on this base, or is about to.

    A run that was given up is no answer: the pull request was closed and reopened, or its branch was moved away and
    back. Neither is one for another base: the pull request was pointed at another branch.
    """
    whole = [run for run in earlier if run.selection == "all" and run.state not in GIVEN_UP]
    return bool(whole) and whole[0].base_ref == base_ref


async def _is_overtaken(ctx: Context, newest: Run) -> bool:
    """Whether another pull request, or a push, has spoken for this head since its own last run ended.

    What those show counts in every open pull request with their head. One that was closed meanwhile, or whose head was
    another, was not counted, and GitHub goes on to show what they said, be that for a base that asks for less.
    """
    if newest.pr is None or newest.state in OPEN:
        return False
    others = await ctx.runs.of_other_pulls(newest.repo_id, newest.head_sha, newest.pr)
    others += await ctx.runs.of_head(newest.repo_id, None, newest.head_sha)
    return any(other.number > newest.number for other in others)


async def request_run(ctx: Context, older_id: str, head_sha: str) -> str:
    """The run for the newer head of an older run's pull request; returns its id."""
    older = await ctx.run(older_id)
    newer = await open_run(
        ctx,
        installation_id=older.installation_id,
        repo_id=older.repo_id,
        repo=older.repo,
        pr=older.pr,
        head_sha=head_sha,
        base_ref=older.base_ref,
        delivery=older.delivery,
        cause=older.cause,
    )
    return newer.id
