"""The flow that tells GitHub of a deployment: its statuses in order, each once, however long GitHub was away.

Nothing waits for it. It is started at each change and tells whatever was not told by then, so that several of them do
no harm: the first one tells, the others find nothing left. Which statuses there are follows from the row and the
journal; how many of them were told stands in the row, and what GitHub shows is looked at before each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakValueDictionary

import structlog

from bot.deploy import journal
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import FINAL, State
from bot.domain.deploy.statuses import Said, Stop, is_production, statuses
from bot.engine import Flow
from bot.flows.context import Context
from bot.flows.persevere import persevere
from bot.github import deployments
from bot.github.app import Installation
from bot.github.deployments import Status, Wanted
from bot.github.errors import Forbidden, NotFound, Unprocessable

log = structlog.get_logger()

NAME = "tell"

LIVES = 5
"""Flows that telling one thing may use up: each has waited for GitHub for hours."""

LOOKED_AT = 50
"""The newest deployments, among which a round finds what was not told."""

_GIVEN_UP = frozenset({"ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED"})

ENDED = "success"
"""What GitHub goes on showing of an earlier deployment until somebody says otherwise."""


class Telling:
    """The flow, with what it works with and whose turn it is."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def __call__(self, flow: Flow, deployment_id: str) -> str:
        """Tell what is new; returns a few words about it."""
        return await persevere(flow, self._ctx.clock, "tell", self._tell, deployment_id)

    async def _tell(self, deployment_id: str) -> str:
        """Tell all that was not told yet. Safe to repeat at any point."""
        turn = self._turns.setdefault(deployment_id, asyncio.Lock())
        async with turn:
            deployment = await self._ctx.deployments.get(deployment_id)
            assert deployment is not None, deployment_id
            try:
                return f"{await tell(self._ctx, deployment)} told"
            except (Forbidden, NotFound, Unprocessable) as refused:
                # The App may not (the sets below `deploy`), or what it is about is gone: no deployment waits for that.
                log.warning("deployment_not_told", number=deployment.number, because=str(refused))
                return "refused"


async def start(ctx: Context, deployment_id: str) -> bool:
    """Have GitHub told what is new, if anything is; whether nothing is left to tell, now or later.

    Safe to repeat, and from within a step. A flow that failed gets another, but not for ever.
    """
    deployment = await ctx.deployments.get(deployment_id)
    assert deployment is not None, deployment_id
    known = len(await wanted(ctx, deployment))
    if deployment.told >= known:
        return deployment.state in FINAL
    for life in range(1, LIVES + 1):
        flow_id = f"tell:{deployment_id}:{known}" if life == 1 else f"tell:{deployment_id}:{known}~{life}"
        status = await ctx.engine.status(flow_id)
        if status is None:
            await ctx.engine.start(NAME, flow_id, deployment_id)
        if status not in _GIVEN_UP:
            return False
    log.error("deployment_never_told", number=deployment.number)
    return True


async def start_missing(ctx: Context, done: set[str]) -> None:
    """Find what nobody was told of because a crash came first, among the newest deployments.

    Args:
        ctx: the adapters.
        done: ids of those that need not be looked at any more; it grows.
    """
    for deployment in await ctx.deployments.newest(limit=LOOKED_AT):
        if deployment.id not in done and await start(ctx, deployment.id):
            done.add(deployment.id)


async def wanted(ctx: Context, deployment: Deployment) -> tuple[Said, ...]:
    """Everything that GitHub shall have been told by now."""
    return statuses(deployment, await asyncio.to_thread(_stops, ctx, deployment))


async def tell(ctx: Context, deployment: Deployment) -> int:
    """Tell GitHub what it was not told yet; how many statuses that were.

    Raises:
        GitHubProblem: what was told so far is remembered; a repeat goes on from there.
    """
    github, all_of_it = ctx.github.installation(deployment.installation_id), await wanted(ctx, deployment)
    if deployment.told >= len(all_of_it):
        return 0
    repo = await _name_now(ctx, deployment)
    number = deployment.github_id or await deployments.ensure_deployment(github, repo, _wanted(deployment))
    if not deployment.github_id:
        await ctx.deployments.note(deployment.id, github_id=number)
    for nth, one in enumerate(all_of_it[deployment.told :], start=deployment.told):
        # Looked at each time: a crash may have come between what was said and its being remembered.
        if len(await deployments.said(github, repo, number)) <= nth:
            await deployments.say(github, repo, number, await _status(ctx, deployment, one))
        if one.state == ENDED:
            await _end_earlier(github, repo, deployment, number)
        await ctx.deployments.note(deployment.id, told=nth + 1)
        log.info("deployment_told", number=deployment.number, state=one.state, github_id=number)
    return len(all_of_it) - deployment.told


def _stops(ctx: Context, deployment: Deployment) -> Sequence[Stop]:
    try:
        entries = journal.read(ctx.deploy_files(deployment))
    except journal.JournalDamaged as damage:
        log.warning("journal_not_told", number=deployment.number, because=str(damage))
        return ()
    states = [entry.data for entry in entries if entry.kind == "state"]
    return [Stop(State(facts["state"]), str(facts.get("because", ""))) for facts in states]


async def _name_now(ctx: Context, deployment: Deployment) -> str:
    """A repository may be called otherwise since it was deployed."""
    place = await ctx.place_of(deployment.repo_id)
    return place[0] if place else deployment.repo


def _wanted(deployment: Deployment) -> Wanted:
    by = f", asked for by {deployment.requested_by}" if deployment.requested_by else ""
    what = "a way back" if deployment.kind == "rollback" else "deployment"
    return Wanted(
        our_id=deployment.id,
        sha=deployment.sha,
        environment=deployment.environment,
        description=f"Interlock {what} {deployment.number}{by}",
        production=is_production(deployment.environment),
        transient=deployment.pr is not None and not deployment.ref,
    )


async def _status(ctx: Context, deployment: Deployment, said: Said) -> Status:
    shows_it = said.state in {"in_progress", ENDED}
    return Status(
        state=said.state,
        description=said.description,
        log_url=ctx.links.deployment_url(deployment.number),
        environment_url=await asyncio.to_thread(_open_url, ctx.deploy_files(deployment).plan) if shows_it else "",
    )


def _open_url(plan: Path) -> str:
    """Where users find the environment, as the configuration said when it was planned."""
    try:
        url = json.loads(plan.read_text(encoding="utf-8"))["settings"].get("url")
    except (OSError, ValueError, KeyError, AttributeError):
        return ""
    return url if isinstance(url, str) else ""


async def _end_earlier(github: Installation, repo: str, deployment: Deployment, number: int) -> None:
    """Say of what users no longer see that it is over. GitHub does so itself, but not for production.

    Environments of others' deployments that are transient are not this one: their own owners end them.
    """
    over = f"deployment {deployment.number} took its place"
    for one in await deployments.earlier(github, repo, deployment.environment, than=number):
        if one.state == ENDED and (one.is_ours or not one.is_transient):
            await deployments.say(github, repo, one.id, Status(state="inactive", description=over))
