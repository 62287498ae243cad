"""The ends of a run: what GitHub shows when it waits, when it is over, and when it never ran."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import assert_never

import structlog

from bot.domain import comment
from bot.domain.checks import (
    NAME,
    Check,
    cancelled,
    frozen,
    held_by,
    internal_error,
    refused,
    superseded,
    unable,
    with_tiers,
)
from bot.domain.progress import Progress
from bot.domain.report import RunState as Shown
from bot.domain.repro import Repro
from bot.domain.run_states import OPEN, RunState
from bot.domain.stopping import Cancelled, Superseded, from_text, in_words
from bot.domain.text import plain
from bot.domain.trust import Untrusted
from bot.flows import holds, record
from bot.flows.context import Context
from bot.flows.deploying import pushed
from bot.flows.execute import Executed, NothingToRun, Outcome, RunnerBroken, Stopped
from bot.flows.nudges import ConsiderAll
from bot.flows.publish import publish_checks, publish_comment
from bot.flows.requests import MERGE_GROUP
from bot.flows.showing import checks_of
from bot.flows.standing import Barred
from bot.github.comments import reply
from bot.github.errors import Forbidden, NotFound, Unprocessable
from bot.github.pulls import get_pull
from bot.store.runs import Run
from runner.execute.files import remove_tree

log = structlog.get_logger()

BEING_PROVED = "being proved"
"""In place of a conclusion: the boxes are green, and nothing may be before they have been proved."""


async def announce(ctx: Context, run_id: str) -> None:
    """Show that the run is about to begin: its checks, and the comment if there is one already."""
    run = await ctx.run(run_id)
    if run.stop_because:
        return
    state = await holds.state_of(ctx, run)
    shown = checks_of(ctx, run, state, Shown.QUEUED)
    is_waiting = NAME in await ctx.runs.checks_of(run.id)
    await publish_checks(ctx, run, shown[1:] if is_waiting else shown)
    if run.pr is not None and await ctx.runs.comment_of(run.repo_id, run.pr):
        await _comment_on(ctx, run, state, Shown.QUEUED)


async def conclude(ctx: Context, run_id: str, outcome: Outcome) -> str:
    """Show the verdict and close the run. Returns its conclusion."""
    run = await ctx.run(run_id)
    if isinstance(outcome, Stopped) and ctx.files(run).directory.is_dir():
        await record.keep(ctx, run)  # it may have been stopped before it did so itself
    match outcome:
        case Stopped():
            return await _conclude_stopped(ctx, run, await holds.state_of(ctx, run))
        case RunnerBroken():
            return await _conclude_broken(ctx, run)
        case NothingToRun():
            record.save_nothing_run(ctx.files(run), ctx.clock.now().timestamp())
        case Executed():
            pass
        case _:
            assert_never(outcome)
    state = await holds.state_of(ctx, run)
    record.save_verdicts(ctx.files(run), state)
    shown = checks_of(ctx, run, state, Shown.FINISHED)
    await publish_checks(ctx, run, await _gated(ctx, run, shown))
    if shown[0].conclusion == "action_required":
        record.save_shown(ctx.files(run), record.scrutiny(ctx.files(run)).weakened or ())
    await _comment_on(ctx, run, state, Shown.FINISHED)
    if shown[0].conclusion is None:
        return BEING_PROVED
    conclusion = str(shown[0].conclusion)
    tidy = conclusion != "success" and not run.prove
    await _close(ctx, run, RunState.FINISHED, conclusion, shown[0].title, tidy=tidy)
    return conclusion


async def show_again(ctx: Context, run_id: str) -> None:
    """Show a finished run as it is to be judged now: somebody answers for a box, or a freeze began or ended.

    Its verdicts stay as they are. Safe to repeat; a run whose record has no end is left as it is.
    """
    run = await ctx.run(run_id)
    state = await holds.state_of(ctx, run)
    if run.state is not RunState.FINISHED or state.end is None:
        return
    shown = checks_of(ctx, run, state, Shown.FINISHED)
    if shown[0].conclusion is None:
        return  # proofs are missing that nobody has asked for; a run that asks for them shows itself.
    conclusion = str(shown[0].conclusion)
    if conclusion != run.conclusion:
        await ctx.runs.update(run.id, conclusion=conclusion, because=shown[0].title[:1000])
    await publish_checks(ctx, run, await _gated(ctx, run, shown))
    await _comment_on(ctx, run, state, Shown.FINISHED)
    await _agree(ctx, await ctx.run(run_id))


async def conclude_proved(ctx: Context, run_id: str, outcome: Outcome) -> str:
    """Show what was proved of a green run's boxes; where proofs are required, this is its end. Safe to repeat."""
    run = await ctx.run(run_id)
    if run.state in OPEN:
        conclusion = await conclude(ctx, run_id, outcome)
    else:
        conclusion = run.conclusion
        if record.scrutiny(ctx.files(run)).proofs is not None:
            shown = checks_of(ctx, run, await holds.state_of(ctx, run), Shown.FINISHED)
            await publish_checks(ctx, run, await _gated(ctx, run, shown))
    await _tidy(ctx, run)
    return conclusion


async def refuse(ctx: Context, run_id: str, shown: tuple[Check, ...], because: str) -> None:
    """Show why nothing ran and close the run."""
    run = await ctx.run(run_id)
    await publish_checks(ctx, run, shown)
    await _say(ctx, run, because)
    await _close(ctx, run, RunState.REFUSED, str(shown[0].conclusion), because)


async def show_preview(ctx: Context, run_id: str, shown: tuple[Check, ...]) -> None:
    """Show what a change would configure where nothing is yet, and close the run: there was nothing to run."""
    run = await ctx.run(run_id)
    await publish_checks(ctx, run, shown)
    await _close(ctx, run, RunState.CANCELLED, "", "the base has no boxes")


async def bar(ctx: Context, run_id: str, barred: Barred) -> str:
    """Show that a run that was about to begin may not, and close it."""
    run = await ctx.run(run_id)
    untrusted = Untrusted(barred.because, barred.who_can, barred.line)
    shown = refused(untrusted, subject_note=record.note_of(run))
    await _give_up(ctx, run, shown)
    await _say(ctx, run, barred.because)
    await _close(ctx, run, RunState.REFUSED, str(shown[0].conclusion), barred.because)
    return "refused"


async def decline(ctx: Context, run_id: str, because: str) -> str:
    """Answer that a selection means nothing here; checks and comment stay as they are."""
    run = await ctx.run(run_id)
    if run.pr is not None:
        sentence = f"Nothing was started: {plain(because, 1000)}."
        await reply(
            ctx.installation(run), run.repo, run.pr, sentence, marker=f"<!-- interlock:declined={run.number} -->"
        )
    await _close(ctx, run, RunState.CANCELLED, "", because)
    return "declined"


async def pass_over(ctx: Context, run_id: str, because: str) -> None:
    """Close a run that nobody needs to hear of."""
    run = await ctx.run(run_id)
    superseded_by = isinstance(from_text(run.stop_because), Superseded)
    await _take_back(ctx, run, cancelled(because))
    await _close(ctx, run, RunState.SUPERSEDED if superseded_by else RunState.CANCELLED, "", because)


async def give_way(ctx: Context, run_id: str, head_sha: str) -> None:
    """Close a run whose pull request moved on before it began."""
    run = await ctx.run(run_id)
    await _take_back(ctx, run, superseded(head_sha))
    await _close(ctx, run, RunState.SUPERSEDED, "", in_words(Superseded(head_sha)))


async def _take_back(ctx: Context, run: Run, shown: tuple[Check, ...]) -> None:
    """End what was announced of a run before anybody knew that it would not begin; mostly nothing was."""
    if await ctx.runs.checks_of(run.id):
        try:
            await publish_checks(ctx, run, shown)
        except (Forbidden, NotFound, Unprocessable) as refused:
            log.warning("announcement_left", because=str(refused))


async def admit_failure(ctx: Context, run_id: str, incident: str) -> None:
    """Say that Interlock itself failed; a check that hangs for ever would be worse."""
    run = await ctx.run(run_id)
    if run.state not in {*OPEN, RunState.FINISHED}:
        log.error("failure_after_the_end", run=run_id, state=str(run.state), incident=incident)
        return  # people saw how it ended; what failed came after that.
    if not await ctx.welcome(run):
        if run.state in OPEN:
            await _close(ctx, run, RunState.CANCELLED, "cancelled", "the App has no access to the repository any more")
        return
    try:
        await _give_up(ctx, run, internal_error(incident, subject_note=record.note_of(run)))
        await _say(ctx, run, "Interlock itself failed; its check names the incident")
    except (Forbidden, NotFound, Unprocessable) as refused:
        # The App was uninstalled or the repository is gone: there is nobody to tell, and asking for ever is no help.
        log.warning("failure_not_shown", run=run_id, because=str(refused))
    await _close(ctx, run, RunState.FINISHED, "action_required", "Interlock failed")


async def _conclude_stopped(ctx: Context, run: Run, state: Progress) -> str:
    note = record.note_of(run)
    match from_text(run.stop_because):
        case Superseded(by_sha) as stop:
            shown, closed_as = superseded(by_sha, progress=state, subject_note=note), RunState.SUPERSEDED
        case Cancelled(by) as stop:
            shown, closed_as = cancelled(by, progress=state, subject_note=note), RunState.CANCELLED
        case None:
            message = f"{run.id} was stopped, and its row does not say why"
            raise AssertionError(message)
    welcome = await ctx.welcome(run)
    # A run that was stopped before it was announced shows nothing: its head may never have had a check.
    if welcome and await ctx.runs.checks_of(run.id):
        await publish_checks(ctx, run, shown)
    if ctx.files(run).directory.is_dir():
        record.save_verdicts(ctx.files(run), state)
    if welcome and closed_as is RunState.CANCELLED:
        await _say(ctx, run, in_words(stop))
    await _close(ctx, run, closed_as, "cancelled", in_words(stop))
    return "cancelled"


async def _conclude_broken(ctx: Context, run: Run) -> str:
    because = "the runner crashed several times"
    hint = f"whoever runs Interlock finds the runner's last words in its log, under run {run.number}"
    await _give_up(ctx, run, unable(because, hint=hint, subject_note=record.note_of(run)))
    await _say(ctx, run, because)
    await _close(ctx, run, RunState.FINISHED, "action_required", because)
    return "action_required"


async def _give_up(ctx: Context, run: Run, shown: tuple[Check, ...]) -> None:
    """Show that a run will have no verdict; the checks that were announced for it must not be left open."""
    announced = await ctx.runs.checks_of(run.id)
    overall, *tiers = with_tiers(shown[0], await holds.state_of(ctx, run))
    await publish_checks(ctx, run, [overall, *(tier for tier in tiers if tier.name in announced)])


async def _comment_on(ctx: Context, run: Run, state: Progress, shown: Shown) -> None:
    if run.pr is not None and await _is_newest(ctx, run):
        said = comment.render(
            state,
            head_sha=run.head_sha,
            run_url=ctx.links.url(run.number),
            state=shown,
            scrutiny=record.scrutiny(ctx.files(run)),
            repro=Repro.of(record.subject(run), state),
            hold=await holds.hold_of(ctx, [run]),
        )
        await publish_comment(ctx, run, said)


async def _say(ctx: Context, run: Run, sentence: str) -> None:
    """Put one sentence into the pull request's comment; what stood there spoke of a verdict that will not come."""
    if run.pr is not None and await _is_newest(ctx, run):
        await publish_comment(ctx, run, comment.render_sentence(sentence, head_sha=run.head_sha))


async def _others_of_head(ctx: Context, run: Run) -> list[Run]:
    """The newest run of each other open pull request with this head. Hardly ever is there one.

    For a push it is every one. The merge queue's heads are its own, so nobody proposes them.
    """
    if run.cause == MERGE_GROUP:
        return []
    others = []
    for other in await ctx.runs.of_other_pulls(run.repo_id, run.head_sha, run.pr):
        assert other.pr is not None, other.id
        with contextlib.suppress(NotFound):
            pull = await get_pull(ctx.installation(run), run.repo, other.pr)
            if pull.state == "open" and pull.head_sha == run.head_sha:
                others.append(other)
    return others


async def _gated(ctx: Context, run: Run, shown: tuple[Check, ...]) -> tuple[Check, ...]:
    """What is concluded from a run's own checks, when all that holds its head is counted in."""
    others = await _others_of_head(ctx, run)
    hold = await holds.hold_of(ctx, [run, *others])
    held = _held(shown, others)
    return (frozen(held[0], hold), *held[1:]) if hold else held


def _held(shown: tuple[Check, ...], others: Sequence[Run]) -> tuple[Check, ...]:
    """Green for one base is not green for all: the overall check waits for the others, and is red when one is."""
    waiting = [other.pr for other in others if other.state in OPEN]
    red = [other.pr for other in others if other.state not in OPEN and other.conclusion != "success"]
    first = (red or waiting or [None])[0]
    if shown[0].conclusion != "success" or first is None:
        return shown
    return (held_by(shown[0], first, waits=not red), *shown[1:])


async def _agree(ctx: Context, ended: Run) -> None:
    """Let each green run among those of one head show what the others say by now. The last one to end sees them all."""
    others = await _others_of_head(ctx, ended)
    if ended.pr is not None:
        others += (await ctx.runs.of_head(ended.repo_id, None, ended.head_sha))[:1]
    for known in [*others, ended] if others else []:
        run = await ctx.run(known.id)
        if run.state is not RunState.FINISHED or run.conclusion != "success":
            continue
        shown = checks_of(ctx, run, await holds.state_of(ctx, run), Shown.FINISHED)
        held = await _gated(ctx, run, shown)
        if shown[0].conclusion == "success" and held[0].status == "completed":
            await publish_checks(ctx, run, held)


async def _close(ctx: Context, run: Run, state: RunState, conclusion: str, because: str, *, tidy: bool = True) -> None:
    await ctx.runs.enter(run.id, state, conclusion=conclusion, because=because[:1000], finished_at=ctx.clock.now())
    log.info("run_finished", number=run.number, state=str(state), conclusion=conclusion, because=because[:200])
    if tidy:
        await _tidy(ctx, run)
    if (due := pushed.started(await ctx.run(run.id))) is not None:
        ctx.nudges.give(due)
    ctx.nudges.give(ConsiderAll(run.repo_id))
    try:
        await _agree(ctx, run)
    except (Forbidden, NotFound, Unprocessable) as refused:
        log.warning("other_checks_not_updated", because=str(refused))


async def _tidy(ctx: Context, run: Run) -> None:
    """Remove the trees of a run that nobody executes or proves any more; the record stays."""
    files = ctx.files(run)
    for tree in (files.tree, files.base, files.scratch):
        if tree.is_dir():
            await asyncio.to_thread(remove_tree, str(tree))


async def _is_newest(ctx: Context, run: Run) -> bool:
    """Whether the comment belongs to this run: an older head must not overwrite what a newer one said."""
    if run.pr is None:
        return False
    newest = await ctx.runs.newest_of(run.repo_id, run.pr)
    return newest is None or newest.number <= run.number or newest.head_sha == run.head_sha
