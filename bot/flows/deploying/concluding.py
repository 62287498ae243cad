"""The end of a deployment: what is known of the release now, who may go next, and whether the environment is frozen."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from bot.deploy.journal import Entry
from bot.deploy.wishes import Wish
from bot.domain.deploy.choosing import WITHIN, must_freeze
from bot.domain.deploy.deployment import Deployment, Lock
from bot.domain.deploy.plan import plan_from_json
from bot.domain.deploy.release import Known, Release, Standing
from bot.domain.deploy.states import FINAL, IllegalEdge, State
from bot.flows.context import Context
from bot.flows.deploying import leasing
from bot.flows.deploying.following import catch_up, entries_of
from bot.flows.nudges import Changed, ConsiderAll

log = structlog.get_logger()

FROZEN_FOR = timedelta(days=30)
"""How long an environment stays frozen that nobody frees; by then somebody has looked."""


async def conclude(ctx: Context, deployment_id: str) -> str:
    """Write down what the deployment has shown. Safe to repeat. Returns its state."""
    deployment = await catch_up(ctx, deployment_id)
    if deployment.state in FINAL:
        entries = entries_of(ctx, deployment)
        await _stand(ctx, deployment, entries)
        await _freeze_if_due(ctx, deployment)
        log.info("deployment_ended", number=deployment.number, state=str(deployment.state))
    await leasing.release(ctx, deployment)
    ctx.nudges.give(Changed(deployment.id))
    ctx.nudges.give(ConsiderAll(deployment.repo_id))
    return str(deployment.state)


async def abort(ctx: Context, deployment_id: str, because: str) -> str:
    """End a deployment that was never begun: no user has seen it. Safe to repeat."""
    try:
        deployment = await ctx.deployments.enter(
            deployment_id, State.ABORTED, now=ctx.clock.now(), because=because[:2000]
        )
    except IllegalEdge as begun:
        log.error("deployment_not_aborted", because=str(begun))  # noqa: TRY400 - whoever began it goes on.
        return str(begun.here)
    log.warning("deployment_aborted", number=deployment.number, because=because[:200])
    await leasing.release(ctx, deployment)
    ctx.nudges.give(Changed(deployment_id))
    ctx.nudges.give(ConsiderAll(deployment.repo_id))
    return str(deployment.state)


async def freeze(ctx: Context, deployment: Deployment, because: str) -> None:
    """Keep everything out of an environment until a person lets it in again; the way back stays open."""
    now = ctx.clock.now()
    frozen = Lock(
        repo_id=deployment.repo_id,
        environment=deployment.environment,
        by="",
        pr=None,
        because=because,
        since=now,
        until=now + FROZEN_FOR,
    )
    await ctx.locks.put(frozen)
    log.error("environment_frozen", repo=deployment.repo, environment=deployment.environment, because=because)


async def _stand(ctx: Context, deployment: Deployment, entries: tuple[Entry, ...]) -> None:
    """Say how the release stands here. Only the watch makes one bad: a person may have gone back for any reason."""
    release = await ctx.releases.get(deployment.release_id)
    if release is None:
        return
    live_since = _at(entries, State.BAKING)
    match deployment.state:
        case State.SUCCEEDED:
            standing = Standing.GOOD
        case State.ROLLED_BACK | State.ROLLBACK_FAILED if not by_wish(entries):
            standing = Standing.BAD
        case State.ROLLED_BACK | State.ROLLBACK_FAILED:
            standing = Standing.UNKNOWN
        case _:
            return
    if deployment.kind == "rollback" and standing is not Standing.GOOD:
        return  # it was good before, and going back to it failed for another reason.
    at = deployment.finished_at or ctx.clock.now()
    here = Known(
        release=release,
        environment=deployment.environment,
        standing=standing,
        deployment=deployment.id,
        because=deployment.because[:1000],
        live_since=live_since,
        at=at,
    )
    await ctx.releases.stand(here)
    if deployment.kind == "rollback" and (left := await _left(ctx, deployment)) is not None and left.id != release.id:
        # Whoever went back from it had a reason, so it is no way back any more; nor is it shown to be bad.
        because = f"#{deployment.number} went back from it"
        await ctx.releases.stand(replace(here, release=left, standing=Standing.UNKNOWN, because=because))


async def _left(ctx: Context, deployment: Deployment) -> Release | None:
    """What users had before a way back."""
    plan = plan_from_json(json.loads(ctx.deploy_files(deployment).plan.read_text(encoding="utf-8")))
    return plan.previous


async def _freeze_if_due(ctx: Context, deployment: Deployment) -> None:
    """Two automatic rollbacks within an hour, or one that failed: a person must look before anything else goes out."""
    if deployment.state is State.ROLLBACK_FAILED:
        await freeze(ctx, deployment, f"going back from #{deployment.number} failed: {deployment.because}"[:500])
        return
    if deployment.state is not State.ROLLED_BACK:
        return
    back: dict[int, datetime] = {}
    for other in await ctx.deployments.of_environment(deployment.repo_id, deployment.environment, limit=50):
        if other.state is State.ROLLED_BACK and other.finished_at and not by_wish(entries_of(ctx, other)):
            back[other.number] = other.finished_at
    now = deployment.finished_at or ctx.clock.now()
    if deployment.number in back and must_freeze(back.values(), now=now):
        recent = sorted(number for number, at in back.items() if now - WITHIN < at <= now)
        said = " and ".join(f"#{number}" for number in recent)
        await freeze(ctx, deployment, f"{said} were rolled back within an hour")


def by_wish(entries: tuple[Entry, ...]) -> bool:
    """Whether somebody asked for the way back, so that it says nothing about the release."""
    return any(entry.kind == "wish" and str(entry.data["name"]).startswith(Wish.ROLLBACK) for entry in entries)


def _at(entries: tuple[Entry, ...], state: State) -> datetime | None:
    """When a state was first entered."""
    return next((entry.at for entry in entries if entry.kind == "state" and entry.data["state"] == state), None)
