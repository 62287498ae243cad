"""The step of a run that executes boxes, and shows how far it is while it does."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from bot.domain.progress import Progress
from bot.domain.report import RunState as Shown
from bot.domain.run_states import OPEN, RunState
from bot.flows import holds, record
from bot.flows.child import ChildCrashed, ChildPlan
from bot.flows.child import execute as run_child
from bot.flows.comparing import comparison
from bot.flows.context import Context
from bot.flows.publish import publish_checks
from bot.flows.reusing import reused_from
from bot.flows.showing import checks_of
from bot.flows.standing import Barred, Stands, Stopping, Unsure, still_stands
from bot.flows.terms import terms_of
from bot.github.errors import GitHubProblem
from bot.ops.processes import end_orphan
from bot.store.runs import Run
from runner.events import Event
from runner.verdict import EXIT_NOTHING_SELECTED

log = structlog.get_logger()

CHILDREN = 3
"""Children that one run may use up; a runner that crashes that often will not get better."""

UPDATE_EVERY = 2.0
"""Seconds between two updates of a running run's checks: GitHub allows 80 content writes a minute for everything."""


@dataclass(frozen=True, slots=True)
class Executed:
    """The child wrote its record to the end."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Somebody wanted the run to stop; the reason is in its row."""


@dataclass(frozen=True, slots=True)
class NothingToRun:
    """The selection matches no box now (`failed`, and none is red); earlier verdicts stand."""


@dataclass(frozen=True, slots=True)
class RunnerBroken:
    """The runner itself crashed again and again; the log has the end of what it printed."""


Outcome = Executed | Stopped | NothingToRun | RunnerBroken


async def execute_run(ctx: Context, run_id: str) -> Outcome | Stopping | Barred | Unsure:
    """Run what has no verdict yet. Safe to repeat: the record of an earlier life is read, not made again.

    Whether the code may run is asked once more when its turn has come; without a yes nothing is executed.
    """
    # Before the row is read: a wish that comes between the two finds the event.
    stop = ctx.stops.setdefault(run_id, asyncio.Event())
    run = await ctx.run(run_id)
    if run.stop_because:
        stop.set()
    # Whatever becomes of the run now: it may have been stopped before this life of the bot took it up again.
    await end_orphan(ctx.files(run).child, record.process_id(ctx, run))
    try:
        await _wait_for_turn(ctx, run, stop)
        async with _seat(ctx, stop) as seated:
            if not seated:
                return Stopped()
            standing = await still_stands(ctx, run)
            if not isinstance(standing, Stands):
                return standing
            await record.keep(ctx, run)
            if run.prove:
                return NothingToRun()  # every verdict stays; what is asked for comes after.
            return await _execute(ctx, run, stop)
    finally:
        ctx.stops.pop(run_id, None)


async def _execute(ctx: Context, run: Run, stop: asyncio.Event) -> Outcome:
    await ctx.runs.enter(run.id, RunState.RUNNING)
    files = ctx.files(run)
    history = _history(ctx, run)
    terms = terms_of(ctx, run)
    there = {box.id for box in record.boxes(files)}  # a newer base may not have what somebody answered for.
    plan = ChildPlan(
        run_id=record.process_id(ctx, run),
        selection=run.selection,
        done=[files.directory / record.KEPT] if reused_from(files) else [],
        history=history,
        terms=terms,
        excused=[str(box) for box in await holds.excused(ctx, run) if box in there],
    )
    log.info("run_started", number=run.number, repo=run.repo, pr=run.pr, sha=run.head_sha)
    async with comparison(files, terms.cache), _Updates(ctx, run) as updates:
        while True:
            try:
                finished = await run_child(files, plan, on_events=updates.feed, stop=stop)
            except ChildCrashed as crash:
                if crash.code == EXIT_NOTHING_SELECTED:
                    return NothingToRun()
                log.error("runner_crashed", number=run.number, code=crash.code, tail=crash.tail[-2000:])  # noqa: TRY400 - not our stack.
                if len(files.records()) >= CHILDREN:
                    return RunnerBroken()
                continue
            break
    if finished is None:
        return Stopped()
    shared = ctx.history(run.repo_id, run.trust)
    if history.is_file():
        await asyncio.to_thread(shutil.copyfile, history, shared)
    return Executed()


def _history(ctx: Context, run: Run) -> Path:
    """The run's own file of durations and last verdicts, begun from the pull request's last run or the repository's."""
    own = ctx.files(run).directory / record.HISTORY
    if not own.exists():
        shared = ctx.history(run.repo_id, run.trust)
        shared.parent.mkdir(parents=True, exist_ok=True)
        if shared.is_file():
            shutil.copyfile(shared, own)
    return own


async def _wait_for_turn(ctx: Context, run: Run, stop: asyncio.Event) -> None:
    """Let an earlier run of the same head end first: this one keeps its verdicts."""
    while not stop.is_set():
        others = await ctx.runs.of_head(run.repo_id, run.pr, run.head_sha)
        if not any(other.number < run.number and other.state in OPEN for other in others):
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=0.2)


@contextlib.asynccontextmanager
async def _seat(ctx: Context, stop: asyncio.Event) -> AsyncIterator[bool]:
    """A seat among the runs that execute at once; False when the run was stopped while it waited."""
    waiting = asyncio.ensure_future(ctx.seats.acquire())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
        yield not stop.is_set()
    finally:
        stopped.cancel()
        if waiting.done() and not waiting.cancelled():
            ctx.seats.release()


class _Updates:
    """Shows progress while the run lives: coalesced, and never in the run's way when GitHub is."""

    def __init__(self, ctx: Context, run: Run) -> None:
        self._ctx = ctx
        self._run = run
        self._progress = Progress()
        self._dirty = asyncio.Event()
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> _Updates:
        self._progress = await holds.state_of(self._ctx, self._run)
        self._task = asyncio.create_task(self._publish())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        self._dirty.set()
        if self._task:
            await self._task  # a create that is under way is not cut off: its answer must be remembered.

    async def feed(self, events: Sequence[Event]) -> None:
        """Take note of new events."""
        if events:
            self._progress = self._progress.fold(events)
            self._dirty.set()

    async def _publish(self) -> None:
        while True:
            await self._dirty.wait()
            if self._over.is_set():
                return
            self._dirty.clear()
            shown = checks_of(self._ctx, self._run, self._progress, Shown.RUNNING)
            try:
                await publish_checks(self._ctx, self._run, shown, passing=True)
            except GitHubProblem as error:
                log.warning("progress_not_shown", because=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), timeout=UPDATE_EVERY)
