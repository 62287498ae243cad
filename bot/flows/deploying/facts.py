"""What the gates want to know of a deployment, read from GitHub, the runs and the store at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

from bot.domain.deploy.approving import entitled
from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.environment import AfterGate, ApprovalsGate, BoxesGate, Environment, SoakedGate
from bot.domain.deploy.gate_facts import Boxes, BreakGlass, GateFacts, Origin, PullRequest, Reviewers, Unknown
from bot.domain.deploy.release import Known, Release
from bot.domain.progress import BoxState, Progress
from bot.flows import holds, record
from bot.flows.context import Context
from bot.flows.deploying import schema
from bot.flows.deploying.configured import Configured, subject_of
from bot.flows.deploying.entitling import as_who
from bot.flows.deploying.wanting import pushers_of
from bot.github.environments import reviewers
from bot.github.errors import CommitNotFound, NotFound
from bot.github.pulls import branch_head, get_pull
from bot.store.runs import Run
from runner.errors import BadSelection, NothingSelected
from runner.model import BoxId
from runner.select import select

APPROVALS_KEPT = timedelta(days=14)
"""Approvals that are older are not even told of: none counts for so long."""

NOBODY_KNOWS = Unknown("nobody knows who pushed this", "a commit that comes with a pull request has an author")


async def gather(
    ctx: Context, deployment: Deployment, environment: Environment, known: Configured, release: Release
) -> GateFacts:
    """Everything that the gates look at.

    Raises:
        GitHubProblem: GitHub did not answer; nothing passes then.
    """
    required, sources = await _reviewers(ctx, deployment), sources_of(environment)
    if isinstance(required, Reviewers):
        sources |= set(required.sources)
    approvals = await _approvals(ctx, deployment, sources)
    return GateFacts(
        deployment=deployment,
        environment=environment,
        release=release,
        origin=await _origin(ctx, deployment, environment, known),
        boxes=await _boxes(ctx, deployment, environment),
        standings=await _standings(ctx, deployment, environment),
        approvals=approvals,
        authors=await pushers_of(ctx, deployment) if deployment.author else NOBODY_KNOWS,
        reviewers=required,
        freezes=tuple(await ctx.freezes.standing(deployment.repo_id)),
        branch=deployment.ref or known.default_branch,
        glass=_glass(deployment, approvals, sources),
        lock=await ctx.locks.of(deployment.repo_id, deployment.environment, ctx.clock.now()),
        others=tuple(await ctx.deployments.open(deployment.repo_id, deployment.environment)),
        schema_version=await schema.version(ctx, deployment, release),
    )


def sources_of(environment: Environment) -> set[str]:
    """Who may approve here; where the configuration asks for nobody's approval, those who would by default."""
    gates = [gate for gate in environment.gates if isinstance(gate, ApprovalsGate)] or [ApprovalsGate()]
    return {source for gate in gates for source in gate.sources}


async def _reviewers(ctx: Context, deployment: Deployment) -> Reviewers | Unknown:
    github = ctx.github.installation(deployment.installation_id)
    return await reviewers(github, deployment.repo, deployment.environment)


async def _approvals(ctx: Context, deployment: Deployment, sources: set[str]) -> tuple[Approval, ...] | Unknown:
    """All of this environment; of those for this commit it is read anew what who gave them is now."""
    since = ctx.clock.now() - APPROVALS_KEPT
    given = await ctx.approvals.since(deployment.repo_id, deployment.environment, since)
    read: dict[str, tuple[str, ...]] = {}
    for one in given:
        if one.sha != deployment.sha or one.void_because or one.by in read:
            continue
        now = await as_who(ctx, deployment, one.by, sources)
        if isinstance(now, Unknown):
            return now
        read[one.by] = now
    return tuple(replace(one, as_who=read[one.by]) if one.by in read else one for one in given)


def _glass(deployment: Deployment, approvals: tuple[Approval, ...] | Unknown, sources: set[str]) -> BreakGlass | None:
    """Whether somebody breaks the glass, and who stands by them: another one, who may approve here."""
    if not deployment.break_glass:
        return None
    by = deployment.requested_by
    seconds = [
        one.by
        for one in ([] if isinstance(approvals, Unknown) else approvals)
        if one.break_glass and one.approves and not one.void_because and one.deployment == deployment.id
        if one.by.casefold() != by.casefold() and entitled(one.as_who, one.by, sources)
    ]
    return BreakGlass(by=by, because=deployment.break_glass, second=seconds[0] if seconds else "")


async def _origin(ctx: Context, deployment: Deployment, environment: Environment, known: Configured) -> Origin:
    github = ctx.github.installation(deployment.installation_id)
    branches = dict.fromkeys((known.default_branch, *environment.branches))
    having = {branch for branch in branches if await _has(ctx, deployment, branch, known)}
    pull = None
    if deployment.pr is not None and not deployment.ref:
        try:
            facts = await get_pull(github, deployment.repo, deployment.pr)
        except NotFound:
            pull_gone = Unknown(f"GitHub does not show #{deployment.pr} any more")
            return Origin(default_branch=known.default_branch, branches=frozenset(having), pull=pull_gone)
        pull = PullRequest(
            number=facts.number, head=facts.head_sha, is_fork=facts.head_is_fork, is_open=facts.state == "open"
        )
    return Origin(default_branch=known.default_branch, branches=frozenset(having), pull=pull, typed=deployment.typed)


async def _has(ctx: Context, deployment: Deployment, branch: str, known: Configured) -> bool:
    github = ctx.github.installation(deployment.installation_id)
    try:
        tip = known.tip if branch == known.default_branch else await branch_head(github, deployment.repo, branch)
        await ctx.workspaces.fetch(subject_of(deployment, branch, tip))
        mirror = await ctx.workspaces.fetch(subject_of(deployment, branch, deployment.sha))
        return await mirror.contains(tip, deployment.sha)
    except (NotFound, CommitNotFound):
        return False


async def _boxes(ctx: Context, deployment: Deployment, environment: Environment) -> Mapping[str, Boxes | Unknown]:
    selections = [gate.selection for gate in environment.gates if isinstance(gate, BoxesGate)]
    if not selections:
        return {}
    pr = None if deployment.ref else deployment.pr
    for run in await ctx.runs.of_head(deployment.repo_id, pr, deployment.sha):
        if await asyncio.to_thread(record.listed, ctx.files(run)):
            return {selection: await _selected(ctx, run, selection) for selection in selections}
    return {}


async def _selected(ctx: Context, run: Run, selection: str) -> Boxes | Unknown:
    if run.conclusion == "action_required":
        return Unknown(f"a person has to act on the run of {run.head_sha[:7]}: {run.because}", "see its check")
    known = record.boxes(ctx.files(run))
    try:
        chosen = [box.id for box in select(selection, known, failed=[])]
    except NothingSelected:
        chosen = []
    except BadSelection as wrong:
        return Unknown(f"the gate's selection cannot be read: {wrong}", "correct it on the default branch")
    return boxes_of(await holds.state_of(ctx, run), chosen, sha=run.head_sha, evidence=ctx.links.url(run.number))


def boxes_of(state: Progress, chosen: Iterable[BoxId], *, sha: str, evidence: str) -> Boxes:
    """How the chosen boxes of a run stand."""
    chosen = tuple(chosen)
    boxes = [state.by_id[box] for box in chosen if box in state.by_id]
    return Boxes(
        sha=sha,
        total=len(chosen),
        not_green=tuple(_said(box) for box in boxes if box.result is not None and not box.counts_as_green),
        open=len(chosen) - sum(box.result is not None for box in boxes),
        evidence=evidence,
    )


def _said(box: BoxState) -> str:
    assert box.result is not None
    return f"{box.box} {box.title} is {box.result.verdict}"


async def _standings(ctx: Context, deployment: Deployment, environment: Environment) -> Mapping[str, tuple[Known, ...]]:
    names = [deployment.environment]
    names += [gate.environment for gate in environment.gates if isinstance(gate, AfterGate | SoakedGate)]
    return {name: tuple(await ctx.releases.of(deployment.repo_id, name)) for name in dict.fromkeys(names)}
