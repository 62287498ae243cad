"""Whether a deployment that waits may begin. Asked again whenever something may have changed, and every half minute.

Nothing waits in a flow for that: the row holds the last answers. When all pass, the flow is started that does the rest.
Whatever cannot be read does not pass.
"""

from __future__ import annotations

import asyncio
from typing import assert_never

import structlog

from bot.domain.commands.authority import Refused
from bot.domain.deploy.answers import Deny, Gate, Pass, Wait, gates_to_text, verdict
from bot.domain.deploy.approving import void
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.gate_facts import GateFacts, PullRequest
from bot.domain.deploy.gates import evaluate
from bot.domain.deploy.states import WAITING, IllegalEdge, State
from bot.flows.context import Context
from bot.flows.deploying import leasing, terms
from bot.flows.deploying.configured import configured
from bot.flows.deploying.facts import gather
from bot.flows.deploying.lives import NAME, flow_id
from bot.flows.nudges import Changed, ConsiderAll, Start

log = structlog.get_logger()


async def consider(ctx: Context, deployment_id: str) -> None:
    """Evaluate the gates of a deployment that waits, and let it go on if they pass. Safe to repeat, anywhere.

    Raises:
        GitHubProblem: GitHub did not answer; the deployment waits on.
    """
    deployment = await ctx.deployment(deployment_id)
    key = (deployment.repo_id, deployment.environment)
    async with ctx.looking.setdefault(key, asyncio.Lock()):
        deployment = await ctx.deployment(deployment_id)
        if deployment.state in WAITING:
            await _consider(ctx, deployment)


async def gates_of(ctx: Context, deployment: Deployment) -> tuple[Gate, ...]:
    """Every gate of a deployment and what it answers at this moment, before it begins and right before the switch.

    Raises:
        GitHubProblem: GitHub did not answer.
    """
    return (await _look(ctx, deployment)).gates


class _Looked:
    """What one look found. `overtaken` says what the deployment was asked for and is not any more; "" for nothing."""

    def __init__(self, gates: tuple[Gate, ...], facts: GateFacts | None = None, overtaken: str = "") -> None:
        self.gates = gates
        self.facts = facts
        self.overtaken = overtaken


async def _look(ctx: Context, deployment: Deployment) -> _Looked:
    known = await configured(ctx, deployment)
    if isinstance(known, Refused):
        return _Looked((Gate("configuration", Wait(known.because, "it is mended on the default branch")),))
    environment = known.environment(deployment.environment)
    if isinstance(environment, Refused):
        gone = Deny(f"there is no environment {deployment.environment} any more", "the default branch has to have it")
        return _Looked((Gate("configuration", gone),))
    release = await ctx.releases.get(deployment.release_id)
    assert release is not None, deployment.id
    if environment.digest != deployment.config:
        said = f"its configuration is {environment.digest[:7]} now, and this was asked for by {deployment.config[:7]}"
        return _Looked((Gate("configuration", Deny(said, "ask for it again")),), overtaken=said)
    facts = await gather(ctx, deployment, environment, known, release)
    gates = evaluate(facts, now=ctx.clock.now())
    pull = facts.origin.pull
    is_strange = not deployment.ref and not (isinstance(pull, PullRequest) and not pull.is_fork)
    await terms.keep(ctx, deployment, known, is_strange=is_strange)
    return _Looked(gates, facts, _moved(facts))


def _moved(facts: GateFacts) -> str:
    """That a pull request has another head by now, naming both; "" when it has not."""
    pull, deployment = facts.origin.pull, facts.deployment
    if not isinstance(pull, PullRequest) or not pull.is_open or pull.head == deployment.sha:
        return ""
    return f"the head of #{pull.number} is {pull.head[:7]} now, and this is {deployment.short}"


async def _consider(ctx: Context, deployment: Deployment) -> None:
    now = ctx.clock.now()
    if now >= deployment.expires_at:
        last = f": {deployment.because}" if deployment.because else ""
        await _end(ctx, deployment, State.EXPIRED, f"its gates did not pass in time{last}")
        return
    looked = await _look(ctx, deployment)
    if looked.facts is not None:
        await _void(ctx, looked.facts)
    text = gates_to_text(looked.gates)
    if text != deployment.gates:
        await ctx.deployments.note(deployment.id, gates=text)
        ctx.nudges.give(Changed(deployment.id))
    if looked.overtaken:
        await _end(ctx, deployment, State.SUPERSEDED, looked.overtaken)
        return
    answer = verdict(looked.gates)
    match answer:
        case Deny():
            await _end(ctx, deployment, State.DENIED, _said(answer))
        case Wait():
            await _wait(ctx, deployment, _said(answer))
        case Pass():
            await _let_go(ctx, deployment)
        case _:
            assert_never(answer)


def _said(answer: Deny | Wait) -> str:
    return f"{answer.because} ({answer.way_out})" if answer.way_out else answer.because


async def _wait(ctx: Context, deployment: Deployment, because: str) -> None:
    if deployment.state is not State.GATED:
        await ctx.deployments.enter(deployment.id, State.GATED, now=ctx.clock.now(), because=because)
        ctx.nudges.give(Changed(deployment.id))
    elif because != deployment.because:
        await ctx.deployments.note(deployment.id, because=because)


async def _let_go(ctx: Context, deployment: Deployment) -> None:
    """Take the lease, and start what does the rest. Without the lease it waits: somebody else is at work there."""
    await _wait(ctx, deployment, "its gates pass")
    if await leasing.acquire(ctx, deployment) is None:
        return
    try:
        await ctx.deployments.enter(deployment.id, State.LOCKED, now=ctx.clock.now(), because="every gate passes")
    except IllegalEdge:  # it was superseded at this very moment.
        await leasing.release(ctx, deployment)
        return
    log.info("deployment_begins", number=deployment.number, environment=deployment.environment, sha=deployment.sha)
    ctx.nudges.give(Changed(deployment.id))
    ctx.nudges.give(Start(NAME, flow_id(deployment.id), deployment.id))


async def _end(ctx: Context, deployment: Deployment, state: State, because: str) -> None:
    try:
        await ctx.deployments.enter(deployment.id, state, now=ctx.clock.now(), because=because[:2000])
    except IllegalEdge as elsewhere:
        log.info("deployment_not_ended", number=deployment.number, because=str(elsewhere))
        return
    log.info("deployment_ended", number=deployment.number, state=str(state), because=because[:200])
    ctx.nudges.give(Changed(deployment.id))
    ctx.nudges.give(ConsiderAll(deployment.repo_id, deployment.environment))


async def _void(ctx: Context, facts: GateFacts) -> None:
    """Take back for good what was said of something else than what is to be deployed now."""
    if isinstance(facts.approvals, tuple):
        for voided in void(facts.approvals, facts.deployment):
            await ctx.approvals.void(voided.approval.id, because=voided.because)
