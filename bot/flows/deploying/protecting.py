"""Answering for our rule on GitHub's environments: a job of a workflow waits, and the gates say whether it may go on.

Nothing is deployed by us then, the workflow does that; only the gates are ours, and they are asked for the commit that
GitHub names. A job that waits is a row. It is looked at whenever something may have changed, and answered once: yes, or
no, at the latest when its time is over, which is before GitHub gives up: a job that waits keeps others waiting.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import structlog

from bot.domain.commands.authority import Refused
from bot.domain.deliveries import AskGates
from bot.domain.deploy.answers import Deny, Gate, Wait
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.environment import Environment
from bot.domain.deploy.gate_facts import Reviewers
from bot.domain.deploy.gates import evaluate
from bot.domain.deploy.rule import GITHUB_WAITS, Decided, Nothing, Tell, answer, last_moment
from bot.domain.deploy.states import State
from bot.domain.text import one_line
from bot.flows.context import Context
from bot.flows.deploying.configured import Configured, configured
from bot.flows.deploying.facts import gather
from bot.flows.deploying.wanting import author_of, release_of
from bot.flows.nudges import Consider
from bot.github.environments import answer_rule, run_of
from bot.github.errors import Forbidden, NotFound
from bot.store.audit import Entry
from bot.store.protections import Protection

log = structlog.get_logger()

PREFIX = "protection:"
"""Before a row's id, where a deployment's id might stand as well."""

_NOT_OURS = "add it there, or take Interlock's rule off the environment"
_MENDED = "it is mended on the default branch"


async def ask(ctx: Context, asked: AskGates, delivery_id: str) -> None:
    """Remember what GitHub asked, and have it looked at. Safe to repeat; a redelivery asks nothing new.

    The address that it wants the answer at is only looked at: one that is not our GitHub's own for this repository is
    refused, and nothing is sent anywhere.
    """
    run = run_of(asked.callback, api_url=ctx.github.api_url, repo=asked.repo)
    if run is None:
        log.warning("foreign_callback", repo=asked.repo, environment=asked.environment)
        await _audit_foreign(ctx, asked, delivery_id)
        return
    now = ctx.clock.now()
    row = Protection(
        id=f"{asked.repo_id}:{asked.deployment_id or f'{run}:{asked.environment}'}"[:200],
        repo_id=asked.repo_id,
        repo=asked.repo,
        installation_id=asked.installation_id,
        environment=asked.environment,
        workflow_run=run,
        sha=asked.sha,
        ref=asked.branch,
        pr=asked.pr,
        requested_by=asked.requested_by,
        asked_at=now,
        due_at=last_moment(now, None),
    )
    if await ctx.protections.add(row):
        log.info("rule_asked", protection=row.id, environment=row.environment, sha=row.sha, workflow_run=run)
    ctx.nudges.give(Consider(PREFIX + row.id))


async def look(ctx: Context, protection_id: str) -> None:
    """Ask the gates for a job that waits, and answer if they say so. Safe to repeat, and by many at once.

    Raises:
        GitHubProblem: GitHub did not answer; the job waits on, and is looked at again.
    """
    protection_id = protection_id.removeprefix(PREFIX)
    row = await ctx.protections.get(protection_id)
    if row is None:
        return
    async with ctx.looking.setdefault((row.repo_id, row.environment), asyncio.Lock()):
        row = await ctx.protections.get(protection_id)
        if row is not None and row.answered_at is None:
            await _look(ctx, row)


def is_job(deployment_id: str) -> bool:
    """Whether the id of a deployment is that of a job of a workflow, which has no row among the deployments."""
    return deployment_id.startswith(PREFIX)


async def all_open(ctx: Context, repo_id: int | None = None, environment: str | None = None) -> tuple[str, ...]:
    """Ids of the jobs that wait, to be looked at."""
    return tuple(PREFIX + row.id for row in await ctx.protections.open(repo_id, environment))


async def awaiting(ctx: Context, repo_id: int, environment: str) -> Deployment | None:
    """The newest job that waits to go into an environment, as the deployment that people approve or reject.

    Raises:
        GitHubProblem: GitHub did not answer.
    """
    for row in sorted(await ctx.protections.open(repo_id, environment), key=lambda one: one.asked_at, reverse=True):
        known = await configured(ctx, row)
        found = known if isinstance(known, Refused) else known.environment(environment)
        if isinstance(known, Configured) and isinstance(found, Environment):
            return await _deployment(ctx, row, found)
    return None


async def gates_of(ctx: Context, row: Protection) -> tuple[tuple[Gate, ...], Environment | None]:
    """Every gate of a job that waits, and what it answers at this moment; the environment, if it can be read.

    Raises:
        GitHubProblem: GitHub did not answer.
    """
    known = await configured(ctx, row)
    if isinstance(known, Refused):
        return (Gate("configuration", Wait(known.because, _MENDED)),), None
    environment = known.environment(row.environment)
    if isinstance(environment, Refused):
        # A name that is not there may be a slip in the file: whatever is let in by one would pass unseen.
        said = f"the default branch's configuration has no environment {one_line(row.environment, 100)}"
        return (Gate("configuration", Deny(said, _NOT_OURS)),), None
    deployment = await _deployment(ctx, row, environment)
    release = await release_of(ctx, row, environment, row.sha)
    facts = await gather(ctx, deployment, environment, known, release)
    # GitHub asks its own reviewers itself, beside us.
    return evaluate(replace(facts, reviewers=Reviewers()), now=ctx.clock.now()), environment


async def _look(ctx: Context, row: Protection) -> None:
    gates, environment = await gates_of(ctx, row)
    now = ctx.clock.now()
    due_at = last_moment(row.asked_at, environment.expires if environment else None)
    said = answer(gates, sha=row.sha, now=now, due_at=due_at, told=row.told, comments=row.comments)
    try:
        match said:
            case Decided():
                await _decide(ctx, row, said)
            case Tell(comment, key):
                github = ctx.github.installation(row.installation_id)
                await answer_rule(github, row.repo, row.workflow_run, row.environment, state=None, comment=comment)
                await ctx.protections.tell(row.id, key)
            case Nothing():
                pass
    except NotFound as gone:
        log.info("rule_not_asked_any_more", protection=row.id, because=str(gone))
        await ctx.protections.close(row.id, now=now)
    except Forbidden as refused:
        log.error("rule_not_answered", protection=row.id, because=str(refused))  # noqa: TRY400 - a person has to look.
        if now >= row.asked_at + GITHUB_WAITS:
            await ctx.protections.close(row.id, now=now)


async def _decide(ctx: Context, row: Protection, said: Decided) -> None:
    """Send the answer. GitHub takes one and refuses every other, so that a crash or a lost answer makes no second."""
    unsure = row.answer  # sent before, and nobody knows whether it arrived.
    if said.state != unsure:
        await ctx.protections.send(row.id, said.state, because=said.comment)
    github = ctx.github.installation(row.installation_id)
    came = await answer_rule(
        github, row.repo, row.workflow_run, row.environment, state=said.state, comment=said.comment
    )
    if came == "said_before" and unsure not in {"", said.state}:
        said = _as_taken(row)
        await ctx.protections.send(row.id, said.state, because=said.comment)
    if await ctx.protections.close(row.id, now=ctx.clock.now()):
        await _void_rejections(ctx, row)
        log.info("rule_answered", protection=row.id, state=said.state, came=came, because=said.comment[:200])
        await _audit(ctx, row, said)


def _as_taken(row: Protection) -> Decided:
    """The answer that GitHub has, which was sent before and is not what the gates say by now."""
    if row.answer == "approved":
        return Decided("approved", row.because, "gates_pass")
    return Decided("rejected", row.because, "gate_denied")


async def _void_rejections(ctx: Context, row: Protection) -> None:
    """A no was for this job alone: one that is tried again asks everybody again."""
    for said in await ctx.approvals.of(row.repo_id, row.environment, row.sha):
        if said.deployment == PREFIX + row.id and not said.approves:
            await ctx.approvals.void(said.id, because="it was for one job of a workflow, which has its answer")


async def _deployment(ctx: Context, row: Protection, environment: Environment) -> Deployment:
    """The job as the gates know deployments. It has no row of its own, so that nobody carries it out."""
    release = await release_of(ctx, row, environment, row.sha)
    return Deployment(
        id=PREFIX + row.id,
        number=0,
        repo_id=row.repo_id,
        repo=row.repo,
        installation_id=row.installation_id,
        environment=environment.name,
        kind="deploy",
        state=State.GATED,
        sha=row.sha,
        ref="" if row.pr is not None else row.ref,
        artifact=release.artifact,
        config=environment.digest,
        release_id=release.id,
        pr=row.pr,
        author=await author_of(ctx, row, row.ref, row.sha),
        requested_by=row.requested_by,
        cause="api",
        created_at=row.asked_at,
        changed_at=row.asked_at,
        expires_at=last_moment(row.asked_at, environment.expires),
    )


async def _audit_foreign(ctx: Context, asked: AskGates, delivery_id: str) -> None:
    await ctx.audit.write(
        Entry(
            id=f"rule:{delivery_id}",
            at=ctx.clock.now(),
            actor=asked.requested_by or "ghost",
            action=f"protection rule {one_line(asked.environment, 60)}",
            decision="refused",
            reason="foreign_callback",
            repo_id=asked.repo_id,
            repo=asked.repo,
            head_sha=asked.sha,
            detail=f"nothing was sent to {one_line(asked.callback, 200)}",
        )
    )


async def _audit(ctx: Context, row: Protection, said: Decided) -> None:
    await ctx.audit.write(
        Entry(
            id=f"rule:{row.id}",
            at=ctx.clock.now(),
            actor="interlock",
            action=f"protection rule {one_line(row.environment, 60)}",
            decision="allowed" if said.state == "approved" else "refused",
            reason=said.reason,
            repo_id=row.repo_id,
            repo=row.repo,
            pr=row.pr,
            head_sha=row.sha,
            detail=said.comment,
        )
    )
