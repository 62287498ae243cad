"""Bringing open pull requests to what they should have, whatever was heard or missed.

`bot.domain.desired` says what a pull request should have; here GitHub is asked how it stands, and runs are opened or
ended by the same ids that deliveries use, so nothing that is answered runs twice. A round goes through every repository
of every installation, as far as its share of calls reaches; the next one goes on where it ended.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

import structlog

from bot.codec import StepFailed
from bot.domain.checks import NAME as CHECK
from bot.domain.deliveries import CancelRuns
from bot.domain.desired import CLOSING, Fine, Known, Look, Pull, Start, Stop, desired
from bot.engine import Flow
from bot.flows import accounts, on_commit
from bot.flows.context import Context
from bot.flows.requests import open_run
from bot.github.app import Installation
from bot.github.checks import is_shown
from bot.github.errors import Forbidden, GitHubProblem, NotFound
from bot.github.installations import installations, repositories
from bot.github.pulls import PullFacts, get_pull, open_pulls
from bot.store.runs import Run

log = structlog.get_logger()

NAME = "reconcile"
EVERY = timedelta(minutes=10)
EVERYWHERE = "everywhere"

MOST_STARTS = 20
"""Runs that one round opens: an App that comes to a busy organisation must not fill its own queue for hours."""

MOST_LOOKS = 300
"""Pull requests that are looked at for one installation in one round."""

SHARE_KEPT = 0.2
"""Of an installation's calls in an hour; below it a round leaves them to what people wait for."""

_NEXT = "reconcile:next:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository, and who speaks for it."""

    installation_id: int
    repo_id: int
    repo: str

    def speaker(self, ctx: Context) -> Installation:
        """Whoever may ask GitHub about it."""
        return ctx.github.installation(self.installation_id)


@dataclass(slots=True)
class _Round:
    """What is left to do in a round, and what it has found."""

    starts: int = MOST_STARTS
    looks: int = MOST_LOOKS
    runs: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the rest is left to the next one."""
        return self.looks <= 0 or len(self.runs) >= self.starts


class Reconcile:
    """The flow, with what it works with and what it has seen on GitHub in this process's life."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._shown: set[str] = set()

    async def __call__(self, flow: Flow, where: str) -> str:
        """One round; `where` is an installation's number, or everywhere. Returns a few words about it."""
        try:
            runs = await flow.step("look", self.look, where)
        except (StepFailed, GitHubProblem) as trouble:
            # The next round comes anyway; waiting here would only make two of them meet.
            log.warning("reconciling_postponed", because=str(trouble))
            return "postponed"
        for run_id in runs:
            await flow.start(on_commit.NAME, run_id, run_id)
        return f"{len(runs)} runs were missing"

    async def look(self, where: str) -> tuple[str, ...]:
        """Look at open pull requests; the ids of runs to start. Safe to repeat."""
        found: list[str] = []
        for installation in await installations(self._ctx.github.itself()):
            if installation.is_suspended or where not in {EVERYWHERE, str(installation.id)}:
                continue
            now = _Round(starts=MOST_STARTS - len(found))
            try:
                await accounts.seen_active(self._ctx, installation.id)
                await self._look_at(installation.id, now)
            except GitHubProblem as trouble:
                # The others' repositories have nothing to do with it.
                log.warning("installation_not_reconciled", installation=installation.id, because=str(trouble))
            found += now.runs
        return tuple(found)

    async def _look_at(self, installation_id: int, now: _Round) -> None:
        ctx, gh = self._ctx, self._ctx.github.installation(installation_id)
        mark = f"{_NEXT}{installation_id}"
        first = int(await ctx.marks.get(mark) or 0)
        covered = [repo for repo in await repositories(gh) if not repo.is_archived]
        for repo in sorted(covered, key=lambda repo: (repo.id < first, repo.id)):
            if now.is_over or gh.share_left < SHARE_KEPT:
                await ctx.marks.set(mark, str(repo.id))
                log.info("reconciling_continues_later", installation=installation_id, at=repo.full_name)
                return
            with contextlib.suppress(NotFound, Forbidden):  # it went away meanwhile, or lets us see nothing.
                place = Place(installation_id=installation_id, repo_id=repo.id, repo=repo.full_name)
                await self._look_at_repository(place, now)
        if first:
            await ctx.marks.set(mark, "")

    async def _look_at_repository(self, place: Place, now: _Round) -> None:
        ctx = self._ctx
        pulls = await open_pulls(place.speaker(ctx), place.repo)
        for pull in pulls:
            if now.is_over:
                return
            now.looks -= 1
            if run_id := await self._bring(place, pull):
                now.runs.append(run_id)
        running = {run.pr for run in await ctx.runs.all_open() if run.repo_id == place.repo_id and run.pr}
        for number in sorted(running - {pull.number for pull in pulls}):
            now.runs += await end_if_closed(ctx, place, number)

    async def _bring(self, place: Place, pull: PullFacts) -> str:
        """The run that a pull request lacks, made; "" when it lacks none."""
        ctx = self._ctx
        runs = await ctx.runs.of_pull(place.repo_id, pull.number)
        known = [_known(run) for run in runs]
        wish = desired(_pull(pull), known)
        if isinstance(wish, Look):
            answered = next(run for run in runs if run.head_sha == pull.head_sha and run.selection == "all")
            shown = answered.id in self._shown or await is_shown(
                place.speaker(ctx), place.repo, name=CHECK, head_sha=pull.head_sha
            )
            if shown:
                self._shown.add(answered.id)
            wish = desired(_pull(pull), [replace(run, is_shown=shown) for run in known])
        if not isinstance(wish, Start):
            return ""
        run = await _open(ctx, place, pull, wish)
        log.warning("run_was_missing", repo=place.repo, pr=pull.number, sha=pull.head_sha, run=run.id)
        return run.id


async def end_if_closed(ctx: Context, place: Place, pr: int) -> tuple[str, ...]:
    """End the runs of a pull request that is closed; of one that is open, the runs to start that it lacks.

    Whoever says that it was closed may speak of yesterday: GitHub is asked. Safe to repeat.
    """
    try:
        pull = await get_pull(place.speaker(ctx), place.repo, pr)
    except NotFound:
        await ctx.cancel(place.repo_id, pr, by=CLOSING)
        return ()
    if pull.base_repo_id != place.repo_id:
        return ()
    wish = desired(_pull(pull), [_known(run) for run in await ctx.runs.of_pull(place.repo_id, pr)])
    match wish:
        case Stop():
            await ctx.cancel(place.repo_id, pr, by=CLOSING)
            return ()
        case Start():
            return ((await _open(ctx, place, pull, wish)).id,)
        case Look() | Fine():
            return ()
        case _:
            assert_never(wish)


async def closed(ctx: Context, action: CancelRuns) -> tuple[str, ...]:
    """A delivery says that a pull request was closed; see `end_if_closed`."""
    place = Place(installation_id=action.installation_id, repo_id=action.repo_id, repo=action.repo)
    return await end_if_closed(ctx, place, action.pr)


async def _open(ctx: Context, place: Place, pull: PullFacts, wish: Start) -> Run:
    return await open_run(
        ctx,
        installation_id=place.installation_id,
        repo_id=place.repo_id,
        repo=place.repo,
        pr=pull.number,
        head_sha=pull.head_sha,
        base_ref=pull.base_ref,
        again=wish.again,
        delivery="reconciled",
    )


def _pull(pull: PullFacts) -> Pull:
    return Pull(is_open=pull.state == "open", head_sha=pull.head_sha, base_ref=pull.base_ref)


def _known(run: Run) -> Known:
    return Known(
        head_sha=run.head_sha,
        base_ref=run.base_ref,
        selection=run.selection,
        state=str(run.state),
        because=run.because,
        stop_because=run.stop_because,
    )
