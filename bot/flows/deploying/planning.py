"""The step before anything is done: look at what is there, plan, and lay out all that the controller will need."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace

import structlog

from bot.deploy.files import DeployFiles
from bot.deploy.target import Capabilities, Observed, TargetProblem, TargetUnreachable
from bot.domain.deploy.choosing import Refused
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.plan import Plan, plan_from_json, plan_to_json
from bot.domain.deploy.planning import Can, World, difference, plan_of
from bot.domain.deploy.release import Release, Standing
from bot.domain.trust import TrustLevel
from bot.flows.context import Context
from bot.flows.deploying import plans
from bot.flows.deploying import terms as terms_of_deployment
from bot.flows.deploying.configured import subject_of
from bot.flows.deploying.targeting import open_for
from bot.flows.deploying.terms import Terms
from bot.github.supplies import Order, Wanted
from runner.execute.files import remove_tree
from runner.whole_file import write_whole

log = structlog.get_logger()

PAUSES = (1.0, 2.0, 5.0, 10.0, 15.0)
"""Seconds between two attempts to ask a target; for about half a minute it may be away."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The plan and the release's files lie there."""

    hash: str


@dataclass(frozen=True, slots=True)
class Unplanned:
    """Nothing will be done, and why."""

    because: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """The target does not answer now."""

    because: str


async def plan(ctx: Context, deployment_id: str) -> Planned | Unplanned | Unreachable:
    """Look, decide, and lay out. Safe to repeat: a plan that is written stays, since a controller may hold it.

    Raises:
        GitHubProblem: something of the release is not here yet, and GitHub did not give it.
    """
    deployment = await ctx.deployment(deployment_id)
    files = ctx.deploy_files(deployment)
    if files.plan.exists():
        written = plan_from_json(json.loads(files.plan.read_text(encoding="utf-8")))
        await _hand_token(files, written, deployment.token)
        return Planned(written.hash)
    terms = terms_of_deployment.read(ctx, deployment)
    release = await ctx.releases.get(deployment.release_id)
    assert terms is not None, deployment_id
    assert release is not None, deployment_id
    drafted = await draft(ctx, deployment, release, terms)
    if isinstance(drafted, Unplanned | Unreachable):
        return drafted
    if because := _other_than_expected(ctx, deployment, drafted):
        return Unplanned(because)
    if not runs_already(drafted):
        await lay_out(ctx, deployment, terms, files)
    await _lay_before(ctx, deployment, drafted, files)
    await asyncio.to_thread(_write, files, drafted)
    await ctx.deployments.note(deployment_id, plan_hash=drafted.hash)
    log.info("deployment_planned", number=deployment.number, plan=drafted.hash[:12], calls=len(drafted.calls))
    return Planned(drafted.hash)


async def draft(ctx: Context, deployment: Deployment, release: Release, terms: Terms) -> Plan | Unplanned | Unreachable:
    """What would be done in the world as it is; nothing is changed by it."""
    environment = terms.environment(deployment.environment)
    observed = await observe(ctx, deployment, terms)
    if isinstance(observed, Unplanned | Unreachable):
        return observed
    seen, can = observed
    live = seen.slots[seen.live].release if seen.live and seen.live in seen.slots else ""
    previous = await ctx.releases.get(live) if live else None
    planned = plan_of(
        deployment,
        environment,
        release,
        previous=previous,
        world=World(
            slots={slot: state.release if state.running else "" for slot, state in seen.slots.items()},
            weights=dict(seen.weights),
        ),
        can=Can(strategies=can.strategies, idle_address=can.idle_address, keeps_old=can.keeps_old),
        settings=terms.section,
        token=deployment.token,
        no_return=await no_return_to(ctx, deployment, previous),
    )
    if isinstance(planned, Refused):
        return Unplanned(f"{planned.because} ({planned.way_out})" if planned.way_out else planned.because)
    return planned


async def no_return_to(ctx: Context, deployment: Deployment, previous: Release | None) -> str:
    """Why nobody is sent back to what is live now: it has shown itself bad, here or elsewhere; "" if it has not."""
    if previous is None:
        return ""
    here = await ctx.releases.of(deployment.repo_id, deployment.environment)
    elsewhere = await ctx.releases.elsewhere(deployment.repo_id, deployment.environment)
    bad = any(
        known.standing is Standing.BAD and known.release.artifact == previous.artifact for known in (*here, *elsewhere)
    )
    return f"{previous.short}, which was live before it, is bad as well" if bad else ""


async def observe(
    ctx: Context, deployment: Deployment, terms: Terms
) -> tuple[Observed, Capabilities] | Unplanned | Unreachable:
    """What is there now, and what the target can do."""
    try:
        target = open_for(ctx, deployment, terms)
        return await target.observe(), target.capabilities
    except TargetUnreachable as away:
        return Unreachable(f"the target does not answer: {away}")
    except TargetProblem as cannot:
        return Unplanned(str(cannot))


def runs_already(planned: Plan) -> bool:
    """Whether nothing has to be started for a plan: the release to go back to still runs."""
    return not any(call.verb == "start" for call in planned.calls)


async def lay_out(ctx: Context, deployment: Deployment, terms: Terms, files: DeployFiles) -> None:
    """Write the release's files, exactly as they were committed. What is here already is not asked of GitHub.

    Raises:
        GitHubProblem: as fetches do.
    """
    mirror = ctx.workspaces.mirror(deployment.repo_id, deployment.repo)
    subject = subject_of(deployment, deployment.ref, deployment.sha)
    if files.tree.exists():
        await asyncio.to_thread(remove_tree, str(files.tree))
    files.directory.mkdir(parents=True, exist_ok=True)
    if await mirror.has(deployment.sha):
        await mirror.export(deployment.sha, files.tree)
    else:
        async with ctx.workspaces.job(subject):
            mirror = await ctx.workspaces.fetch(subject)
            await mirror.export(deployment.sha, files.tree)
    # The head of a pull request says itself what it points to, so it gets nothing that needs a token.
    trust = TrustLevel.T0 if deployment.ref else TrustLevel.T2
    wanted = Wanted(submodules=terms.submodules, lfs=terms.lfs)
    left = await ctx.supplies.lay(
        Order(subject=subject, commit=deployment.sha, tree=files.tree, wanted=wanted, trust=trust)
    )
    for note in left:
        log.warning("release_not_whole", number=deployment.number, because=note)


async def _lay_before(ctx: Context, deployment: Deployment, drafted: Plan, files: DeployFiles) -> None:
    """Point to the files of the release before, for a target that has to start it again on the way back."""
    if drafted.previous is None or files.before.is_symlink():
        return
    for other in await ctx.deployments.of_environment(deployment.repo_id, deployment.environment):
        tree = ctx.deploy_files(other).tree
        if other.release_id == drafted.previous.id and other.id != deployment.id and tree.is_dir():
            files.before.symlink_to(tree)
            return


def _other_than_expected(ctx: Context, deployment: Deployment, drafted: Plan) -> str:
    """What has changed since the dry run whose plan must be carried out; "" when nothing has, or none was named."""
    if not deployment.plan_hash or drafted.hash.startswith(deployment.plan_hash):
        return ""
    promised = plans.read(ctx.data_dir, deployment.plan_hash)
    said = "; ".join(difference(drafted, promised)) if promised else "that plan is not known here"
    return f"the plan is {drafted.hash[:12]} and not {deployment.plan_hash[:12]}, as was expected: {said}"


async def _hand_token(files: DeployFiles, written: Plan, token: int) -> None:
    """Whoever takes a deployment up has a newer token: its controller is to have it as well."""
    if written.token != token:
        await asyncio.to_thread(_write, files, replace(written, token=token))


def _write(files: DeployFiles, planned: Plan) -> None:
    files.directory.mkdir(parents=True, exist_ok=True)
    write_whole(str(files.plan), [json.dumps(plan_to_json(planned))])
