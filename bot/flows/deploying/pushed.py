"""A commit of a branch is green: the environments that follow this branch get it.

Asked for at the end of each run of a push, and again when a branch moves to a commit whose run has ended. What counts
is where the branches stand now, not what the run was told.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.domain.commands.authority import Refused
from bot.domain.run_states import OPEN, RunState
from bot.engine import Flow
from bot.flows.context import Context
from bot.flows.deploying.configured import Configured, configured, subject_of
from bot.flows.deploying.request import Request
from bot.flows.deploying.wanting import want
from bot.flows.nudges import Start
from bot.flows.persevere import persevere
from bot.github.errors import Forbidden, NotFound, Unprocessable
from bot.github.pulls import branch_head
from bot.store.runs import Run

log = structlog.get_logger()

NAME = "deploy_pushed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pushed:
    """A commit of a repository."""

    installation_id: int
    repo_id: int
    repo: str
    sha: str


@dataclass(frozen=True, slots=True)
class DeployPushed:
    """The flow, with what it works with."""

    ctx: Context

    async def __call__(self, flow: Flow, pushed: Pushed) -> str:
        """Ask for every deployment that the commit is due; returns a few words about it."""
        try:
            wanted = await persevere(flow, self.ctx.clock, "want", want_all, self.ctx, pushed)
        except (Forbidden, NotFound, Unprocessable) as gone:
            log.warning("push_not_deployed", repo=pushed.repo, because=str(gone))
            return "gone"
        return ", ".join(wanted) or "nothing to deploy"


def started(run: Run) -> Start | None:
    """The flow that a run's end starts; None for one that says nothing about a branch.

    What a merge queue proposes is not on a branch when its run ends; it is when the queue has merged it, and that push
    finds this run.
    """
    if run.pr is not None or run.state in OPEN or run.conclusion != "success":
        return None
    args = Pushed(installation_id=run.installation_id, repo_id=run.repo_id, repo=run.repo, sha=run.head_sha)
    return Start(NAME, f"{NAME}:{run.id}", args)


async def want_all(ctx: Context, pushed: Pushed) -> tuple[str, ...]:
    """Ids of the deployments that were asked for. Safe to repeat: each commit is asked for once."""
    if not await is_green(ctx, pushed.repo_id, pushed.sha):
        return ()
    known = await configured(ctx, pushed)
    if isinstance(known, Refused):
        log.warning("push_not_deployed", repo=pushed.repo, because=known.because)
        return ()
    wanted = []
    for name in await _followers(ctx, pushed, known):
        request = Request(
            id=f"push:{pushed.repo_id}:{pushed.sha}:{name}",
            repo_id=pushed.repo_id,
            repo=pushed.repo,
            installation_id=pushed.installation_id,
            environment=name,
            sha=pushed.sha,
            cause="push",
        )
        answer = await want(ctx, request)
        if not isinstance(answer, Refused):
            wanted.append(answer.id)
    return tuple(wanted)


async def is_green(ctx: Context, repo_id: int, sha: str) -> bool:
    """Whether the newest run of a pushed commit that has ended is green."""
    runs = await ctx.runs.of_head(repo_id, None, sha)
    ended = [run for run in runs if run.state is RunState.FINISHED]
    return bool(ended) and ended[0].conclusion == "success"


async def _followers(ctx: Context, pushed: Pushed, known: Configured) -> list[str]:
    """Names of the environments that follow a branch on whose line the commit is."""
    branches = {branch for environment in known.environments.values() for branch in environment.branches}
    having = {branch for branch in sorted(branches) if await _is_on_line(ctx, pushed, branch)}
    return [name for name, environment in known.environments.items() if having & set(environment.branches)]


async def _is_on_line(ctx: Context, pushed: Pushed, branch: str) -> bool:
    """Whether a branch stands at a commit, or stood there: a later push does not take an earlier one's turn."""
    try:
        tip = await branch_head(ctx.github.installation(pushed.installation_id), pushed.repo, branch)
    except NotFound:
        return False
    if tip == pushed.sha:
        return True
    await ctx.workspaces.fetch(subject_of(pushed, branch, tip))
    mirror = await ctx.workspaces.fetch(subject_of(pushed, branch, pushed.sha))
    return await mirror.is_on_line(tip, pushed.sha)
