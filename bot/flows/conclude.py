"""The ends of a run: what GitHub shows when it waits, when it is over, and when it never ran."""

from __future__ import annotations

import asyncio

import structlog

from bot.domain import comment
from bot.domain.checks import Check, cancelled, checks, internal_error, superseded, unable
from bot.domain.progress import Progress
from bot.domain.report import RunState as Shown
from bot.domain.text import plain
from bot.flows import record
from bot.flows.context import Context
from bot.flows.execute import NothingToRun, Outcome, RunnerBroken, Stopped
from bot.flows.publish import publish_checks, publish_comment
from bot.github.comments import reply
from bot.store.runs import Run, RunState
from runner.events import RunFinished
from runner.execute.files import remove_tree

log = structlog.get_logger()

SUPERSEDED = "superseded:"
"""How `stop_because` begins when a newer head is the reason; its SHA follows."""


async def announce(ctx: Context, run_id: str) -> None:
    """Show that the run is about to begin: its checks, and the comment if there is one already."""
    run = await _get(ctx, run_id)
    if run.stop_because:
        return
    state = _state_of(ctx, run)
    await publish_checks(ctx, run, _checks(ctx, run, state, Shown.QUEUED))
    if run.pr is not None and await ctx.runs.comment_of(run.repo_id, run.pr) and await _is_newest(ctx, run):
        await publish_comment(ctx, run, _comment(ctx, run, run.pr, state, Shown.QUEUED))


async def conclude(ctx: Context, run_id: str, outcome: Outcome) -> str:
    """Show the verdict and close the run. Returns its conclusion."""
    run = await _get(ctx, run_id)
    state = _state_of(ctx, run)
    if isinstance(outcome, Stopped):
        return await _conclude_stopped(ctx, run, state)
    if isinstance(outcome, RunnerBroken):
        return await _conclude_broken(ctx, run, outcome)
    if isinstance(outcome, NothingToRun):
        now = ctx.clock.now().timestamp()
        state = state.fold([RunFinished(exit_code=0, green=True, seconds=0.0, counts={}, at=now)])
    record.save_verdicts(ctx.files(run), state)
    shown = _checks(ctx, run, state, Shown.FINISHED)
    await publish_checks(ctx, run, shown)
    if run.pr is not None and await _is_newest(ctx, run):
        await publish_comment(ctx, run, _comment(ctx, run, run.pr, state, Shown.FINISHED))
    conclusion = str(shown[0].conclusion)
    await _close(ctx, run, RunState.FINISHED, conclusion, shown[0].title)
    return conclusion


async def refuse(ctx: Context, run_id: str, shown: tuple[Check, ...], because: str) -> None:
    """Show why nothing ran and close the run."""
    run = await _get(ctx, run_id)
    await publish_checks(ctx, run, shown)
    if run.pr is not None and await _is_newest(ctx, run):
        body = comment.render_sentence(because, pr=run.pr, head_sha=run.head_sha)
        await publish_comment(ctx, run, body)
    await _close(ctx, run, RunState.REFUSED, str(shown[0].conclusion), because)


async def decline(ctx: Context, run_id: str, because: str) -> str:
    """Answer that a selection means nothing here; checks and comment stay as they are."""
    run = await _get(ctx, run_id)
    if run.pr is not None:
        sentence = f"Nothing was started: {plain(because, 1000)}."
        await reply(
            ctx.installation(run), run.repo, run.pr, sentence, marker=f"<!-- interlock:declined={run.number} -->"
        )
    await _close(ctx, run, RunState.CANCELLED, "", because)
    return "declined"


async def pass_over(ctx: Context, run_id: str, because: str) -> None:
    """Close a run that nobody needs to hear of."""
    run = await _get(ctx, run_id)
    state = RunState.SUPERSEDED if because.startswith(SUPERSEDED) else RunState.CANCELLED
    await _close(ctx, run, state, "", because)


async def give_way(ctx: Context, run_id: str, head_sha: str) -> None:
    """Close a run whose pull request moved on before it began."""
    run = await _get(ctx, run_id)
    await _close(ctx, run, RunState.SUPERSEDED, "", f"{SUPERSEDED}{head_sha}")


async def admit_failure(ctx: Context, run_id: str, incident: str) -> None:
    """Say that Interlock itself failed; a check that hangs for ever would be worse."""
    run = await _get(ctx, run_id)
    await publish_checks(ctx, run, internal_error(incident, subject_note=record.note_of(run)))
    await _close(ctx, run, RunState.FINISHED, "failure", "interlock failed")


async def _conclude_stopped(ctx: Context, run: Run, state: Progress) -> str:
    run = await _get(ctx, run.id)
    note = record.note_of(run)
    if run.stop_because.startswith(SUPERSEDED):
        by = run.stop_because.removeprefix(SUPERSEDED)
        shown, closed_as = superseded(by, progress=state, subject_note=note), RunState.SUPERSEDED
    else:
        shown, closed_as = cancelled(run.stop_because, progress=state, subject_note=note), RunState.CANCELLED
    # A run that was stopped before it was announced shows nothing: its head may never have had a check.
    if await ctx.runs.checks_of(run.id):
        await publish_checks(ctx, run, shown)
    if ctx.files(run).directory.is_dir():
        record.save_verdicts(ctx.files(run), state)
    if closed_as is RunState.CANCELLED and run.pr is not None and await _is_newest(ctx, run):
        sentence = f"cancelled by {run.stop_because}"
        await publish_comment(ctx, run, comment.render_sentence(sentence, pr=run.pr, head_sha=run.head_sha))
    await _close(ctx, run, closed_as, "cancelled", run.stop_because)
    return "cancelled"


async def _conclude_broken(ctx: Context, run: Run, broken: RunnerBroken) -> str:
    shown = unable("the runner crashed several times", hint=broken.tail, subject_note=record.note_of(run))
    await publish_checks(ctx, run, shown)
    await _close(ctx, run, RunState.FINISHED, "action_required", "the runner crashed several times")
    return "action_required"


async def _close(ctx: Context, run: Run, state: RunState, conclusion: str, because: str) -> None:
    await ctx.runs.update(
        run.id, state=state, conclusion=conclusion, because=because[:1000], finished_at=ctx.clock.now()
    )
    log.info("run_finished", number=run.number, state=str(state), conclusion=conclusion, because=because[:200])
    files = ctx.files(run)
    for tree in (files.tree, files.base):
        if tree.is_dir():
            await asyncio.to_thread(remove_tree, str(tree))


def _state_of(ctx: Context, run: Run) -> Progress:
    return record.progress(ctx.files(run), kept=record.kept(ctx, run))


def _checks(ctx: Context, run: Run, state: Progress, shown: Shown) -> tuple[Check, ...]:
    return checks(state, subject_note=record.note_of(run), run_url=ctx.links.url(run.number), state=shown)


def _comment(ctx: Context, run: Run, pr: int, state: Progress, shown: Shown) -> str:
    return comment.render(state, pr=pr, head_sha=run.head_sha, run_url=ctx.links.url(run.number), state=shown)


async def _is_newest(ctx: Context, run: Run) -> bool:
    """Whether the comment belongs to this run: an older head must not overwrite what a newer one said."""
    if run.pr is None:
        return False
    newest = await ctx.runs.newest_of(run.repo_id, run.pr)
    return newest is None or newest.number <= run.number or newest.head_sha == run.head_sha


async def _get(ctx: Context, run_id: str) -> Run:
    run = await ctx.runs.get(run_id)
    assert run is not None, run_id
    return run
