"""The step in which the controller works and the bot attends: the row follows, the lease is kept, the gates answer.

The controller is a process of its own. If this step is cut off, by a drain or a crash, that one goes on; the step's
next life finds it, or starts another that goes on from the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.deploy.journal import Entry
from bot.deploy.supervise import Terms, carry_out, controller_environ
from bot.deploy.target import Unbuildable
from bot.domain.deploy.answers import Answer, Wait, gates_from_text
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.gates import again
from bot.flows.context import Context
from bot.flows.deploying import following, leasing
from bot.flows.deploying.considering import gates_of
from bot.flows.deploying.targeting import secrets_for
from bot.flows.deploying.terms import read as read_terms
from bot.github.errors import GitHubProblem

log = structlog.get_logger()


async def carry(ctx: Context, deployment_id: str) -> str:
    """Have the deployment carried out; the state in which the controller has left it. Safe to repeat."""
    deployment = await ctx.deployment(deployment_id)
    terms = Terms(
        gates=_Gates(ctx, deployment_id).ask,
        on_entries=_Row(ctx, deployment_id).follow,
        clock=ctx.clock,
        environ={
            **controller_environ(sandbox=ctx.sandbox.asked, image=ctx.sandbox.image),
            **ctx.allowance.environ(),
        },
        secrets=_secrets(ctx, deployment),
    )
    lease = asyncio.create_task(leasing.keep(ctx, deployment))
    try:
        ended = await carry_out(
            ctx.deploy_files(deployment), ctx.place(deployment.repo_id, deployment.environment), terms
        )
    finally:
        lease.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await lease
    log.info("controller_ended", number=deployment.number, state=str(ended.state), because=ended.because[:200])
    return str(ended.state)


def _secrets(ctx: Context, deployment: Deployment) -> Mapping[str, str]:
    """What the target may need. Without them a release does not start; the way back needs none."""
    by = read_terms(ctx, deployment)
    assert by is not None, "it was planned by them"
    try:
        return secrets_for(ctx, deployment, by)
    except Unbuildable as unusable:
        log.error("secrets_unusable", number=deployment.number, because=str(unusable))  # noqa: TRY400 - it says all.
        return {}


class _Row:
    """Lets the row follow."""

    def __init__(self, ctx: Context, deployment_id: str) -> None:
        self._ctx = ctx
        self._id = deployment_id

    async def follow(self, new: Sequence[Entry]) -> None:
        """Take note of what the journal has now."""
        await following.keep_up(self._ctx, self._id, new)


class _Gates:
    """Answers the controller, which asks once more right before the switch."""

    def __init__(self, ctx: Context, deployment_id: str) -> None:
        self._ctx = ctx
        self._id = deployment_id

    async def ask(self) -> Answer:
        """What the gates say now. What cannot be read does not pass; the controller asks again."""
        try:
            deployment = await self._ctx.deployment(self._id)
            gates = await gates_of(self._ctx, deployment)
        except (GitHubProblem, SQLAlchemyError) as trouble:
            log.warning("gates_unknown", deployment=self._id, because=str(trouble))
            return Wait("whether the gates still pass cannot be read", "it is asked again")
        return again(gates_from_text(deployment.gates), gates)
