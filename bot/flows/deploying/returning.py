"""The way back. It waits for nobody: neither for GitHub, nor for a person's approval, nor for a release to be fetched.

While a deployment is under way its controller is asked, by a file. Afterwards it is a deployment of its own, to the
newest good release; as long as that one still runs, it is one call to the router.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from bot.deploy.wishes import Wish, wish
from bot.domain.commands.authority import Refused
from bot.domain.deploy.choosing import way_back
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.release import Known, Release
from bot.domain.deploy.states import WAITING, State
from bot.flows.context import Context
from bot.flows.deploying import leasing, schema, terms
from bot.flows.deploying.concluding import freeze
from bot.flows.deploying.lives import NAME, flow_id
from bot.flows.deploying.request import Request
from bot.flows.nudges import Changed, Start, Wake
from bot.store.audit import Entry

log = structlog.get_logger()

BEFORE = frozenset({State.LOCKED, State.PREPARING, State.SMOKING})
"""In these no user has the release: it is called off rather than taken back."""

EXPIRES = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A deployment that is under way was asked to go back, or was called off."""

    deployment: Deployment


async def roll_back(ctx: Context, request: Request, *, because: str = "") -> Deployment | Asked | Refused:
    """Bring an environment back to the newest release that is known to be good. Safe to repeat.

    Args:
        ctx: the adapters.
        request: the environment, and who asks; its commit does not matter.
        because: what they said.
    """
    if (made := await ctx.deployments.get(request.id)) is not None:
        return made
    for deployment in await ctx.deployments.open(request.repo_id, request.environment):
        if deployment.state not in WAITING:
            return await _ask(ctx, deployment, request, because)
    live = await _live(ctx, request)
    if live is None:
        return Refused("nothing_live", "nothing was deployed there by Interlock")
    current = await ctx.releases.get(live.release_id)
    known = tuple(await ctx.releases.of(request.repo_id, request.environment))
    elsewhere = await ctx.releases.elsewhere(request.repo_id, request.environment)
    version = await _schema_version(ctx, live, known)
    chosen = way_back(known, current=current, schema_version=version, elsewhere=elsewhere)
    if not isinstance(chosen, Release):
        await freeze(ctx, live, f"there is no way back from #{live.number}: {chosen.because}")
        way_out = f"; {chosen.way_out}" if chosen.way_out else ""
        return Refused("no_way_back", f"{chosen.because}, so the environment is frozen now{way_out}")
    return await _go(ctx, request, live, chosen, because)


async def promote(ctx: Context, request: Request) -> Asked | Refused:
    """Let a release that is held stay, or a canary take its next step. Safe to repeat."""
    for deployment in await ctx.deployments.open(request.repo_id, request.environment):
        if deployment.state in {State.HELD, State.BAKING}:
            _wish(ctx, deployment, Wish.PROMOTE, request, "")
            ctx.nudges.give(Wake(deployment.id))
            await _write_down(ctx, request, deployment, "promote")
            return Asked(deployment)
    return Refused("nothing_held", "no deployment is held there, and none is a canary under way")


async def _ask(ctx: Context, deployment: Deployment, request: Request, because: str) -> Asked:
    _wish(ctx, deployment, Wish.ABORT if deployment.state in BEFORE else Wish.ROLLBACK, request, because)
    ctx.nudges.give(Wake(deployment.id))
    await _write_down(ctx, request, deployment, "rollback")
    return Asked(deployment)


def _wish(ctx: Context, deployment: Deployment, what: Wish, request: Request, because: str) -> None:
    key = "".join(each if each.isalnum() else "-" for each in request.id)
    wish(ctx.deploy_files(deployment), what, request.requested_by, because=because, key=key)


async def _schema_version(ctx: Context, live: Deployment, known: Iterable[Known]) -> int | None:
    """The version that the database has; None where no release cares, and where nobody can say."""
    caring = next((one.release for one in known if one.release.names_schemas), None)
    version = await schema.version(ctx, live, caring) if caring else None
    return version if isinstance(version, int) else None


async def _live(ctx: Context, request: Request) -> Deployment | None:
    """The deployment that has brought what users have now; one that could not be taken back is with them still."""
    for deployment in await ctx.deployments.of_environment(request.repo_id, request.environment):
        stays = deployment.state is State.ROLLBACK_FAILED and deployment.kind == "deploy"
        if stays or deployment.state is State.SUCCEEDED:
            return deployment
    return None


async def _go(ctx: Context, request: Request, live: Deployment, chosen: Release, because: str) -> Deployment:
    """Make the deployment that goes back, and begin it: no gate that people close holds it."""
    now = ctx.clock.now()
    last = next(
        (
            other
            for other in await ctx.deployments.of_environment(request.repo_id, request.environment)
            if other.release_id == chosen.id
        ),
        live,
    )
    deployment = await ctx.deployments.add(
        Deployment(
            id=request.id,
            number=0,
            repo_id=request.repo_id,
            repo=live.repo,
            installation_id=live.installation_id,
            environment=request.environment,
            kind="rollback",
            state=State.REQUESTED,
            sha=chosen.sha,
            ref=last.ref,
            artifact=chosen.artifact,
            config=chosen.config,
            config_sha=live.config_sha,
            release_id=chosen.id,
            pr=live.pr,
            author=last.author,
            requested_by=request.requested_by,
            cause=request.cause,
            because=because[:1000],
            created_at=now,
            changed_at=now,
            expires_at=now + EXPIRES,
        )
    )
    by = terms.read(ctx, live)
    assert by is not None, "what was deployed had them"
    terms.put(ctx, deployment, by)
    await _write_down(ctx, request, deployment, "rollback")
    said = f"asked for by {request.requested_by or 'Interlock'}" + (f": {because}" if because else "")
    await ctx.deployments.enter(deployment.id, State.GATED, now=now, because="the way back is always open")
    deployment = await ctx.deployments.enter(deployment.id, State.LOCKED, now=now, because=said[:1000])
    await leasing.acquire(ctx, deployment)
    log.warning("rollback_begins", number=deployment.number, environment=request.environment, sha=chosen.sha)
    ctx.nudges.give(Changed(deployment.id))
    ctx.nudges.give(Start(NAME, flow_id(deployment.id), deployment.id))
    return deployment


async def _write_down(ctx: Context, request: Request, deployment: Deployment, what: str) -> None:
    await ctx.audit.write(
        Entry(
            id=f"{what}:{request.id}",
            at=ctx.clock.now(),
            actor=request.requested_by or "interlock",
            action=f"{what} {request.environment}",
            decision="allowed",
            repo_id=deployment.repo_id,
            repo=deployment.repo,
            pr=request.pr,
            head_sha=deployment.sha,
            detail=f"#{deployment.number}",
        )
    )
