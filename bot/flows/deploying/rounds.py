"""Acting upon nudges, and the round that finds what no nudge told of: who waits, and who was left without a flow."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import WAITING, State
from bot.flows.context import Context
from bot.flows.deploying import following, protecting, recording, telling
from bot.flows.deploying.considering import consider
from bot.flows.deploying.keeping import keep_house
from bot.flows.deploying.lives import LIVES, NAME, flow_id
from bot.flows.deploying.spreading import spread
from bot.flows.nudges import Changed, Consider, ConsiderAll, Nudge, Start, Wake
from bot.github.errors import GitHubProblem

log = structlog.get_logger()

EVERY = 30
"""Seconds between two rounds."""

_UNDER_WAY = frozenset({"PENDING", "ENQUEUED"})


class Rounds:
    """The task that acts upon nudges, and the round."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._pump: asyncio.Task[None] | None = None
        self._acts: set[asyncio.Task[None]] = set()
        self._told: set[str] = set()

    async def start(self) -> None:
        """Take up what an earlier life left, then whatever is nudged."""
        self._pump = asyncio.create_task(self._forever())
        for deployment in await self._ctx.deployments.open():
            self._ctx.nudges.give(Changed(deployment.id))  # what it was told of last, nobody remembers.
        await self.go_round()

    async def stop(self) -> None:
        """Act upon nothing more; the next round finds it."""
        tasks = [*self._acts, *([self._pump] if self._pump else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def go_round(self) -> None:
        """Look at every deployment that has not ended. Safe to repeat."""
        try:
            for deployment in await self._ctx.deployments.open():
                if deployment.state in WAITING:
                    self._ctx.nudges.give(Consider(deployment.id))
                elif deployment.state is not State.HELD or following.is_wished(self._ctx, deployment):
                    await self._take_up(deployment)
            for job in await protecting.all_open(self._ctx):
                self._ctx.nudges.give(Consider(job))
            await telling.start_missing(self._ctx, self._told)
            for deployment in await recording.unrecorded(self._ctx):
                self._ctx.nudges.give(Changed(deployment.id))
            await keep_house(self._ctx)  # last: a target may take its time to answer.
        except SQLAlchemyError as error:
            log.error("round_postponed", because=type(error).__name__)  # noqa: TRY400 - the next one repeats it.

    async def _take_up(self, deployment: Deployment) -> None:
        """Start the flow that a deployment under way has lost, to a bug or a crash."""
        for life in range(1, LIVES + 1):
            status = await self._ctx.engine.status(flow_id(deployment.id, life))
            if status in _UNDER_WAY:
                return
            if status is None:
                if life > 1:
                    log.error("deployment_taken_up", number=deployment.number, life=life)
                await self._ctx.engine.start(NAME, flow_id(deployment.id, life), deployment.id)
                return
        log.error("deployment_given_up", number=deployment.number)

    async def _forever(self) -> None:
        while True:
            nudge = await self._ctx.nudges.take()
            act = asyncio.create_task(self._act(nudge))
            self._acts.add(act)
            act.add_done_callback(self._ended)

    def _ended(self, act: asyncio.Task[None]) -> None:
        self._acts.discard(act)
        self._ctx.nudges.done()
        if not act.cancelled() and (bug := act.exception()) is not None:
            log.error("nudge_failed", because=f"{type(bug).__name__}: {bug}", exc_info=bug)

    async def _act(self, nudge: Nudge) -> None:
        ctx = self._ctx
        try:
            match nudge:
                case Start(flow, flow_id, args):
                    await ctx.engine.start(flow, flow_id, args)
                case Consider(deployment_id) if protecting.is_job(deployment_id):
                    await protecting.look(ctx, deployment_id)
                case Consider(deployment_id):
                    await consider(ctx, deployment_id)
                case ConsiderAll(repo_id, environment):
                    for deployment in await ctx.deployments.open(repo_id, environment or None):
                        if deployment.state in WAITING:
                            ctx.nudges.give(Consider(deployment.id))
                    for job in await protecting.all_open(ctx, repo_id, environment or None):
                        ctx.nudges.give(Consider(job))
                case Wake(deployment_id):
                    await self._take_up(await ctx.deployment(deployment_id))
                case Changed(deployment_id):
                    await spread(ctx, deployment_id)
        except (GitHubProblem, SQLAlchemyError) as trouble:
            log.warning("nudge_postponed", nudge=type(nudge).__name__, because=str(trouble))
