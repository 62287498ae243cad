"""The lease of an environment: who holds it may change what runs there, and everybody with an older one is refused."""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.deploy.deployment import Deployment, Lease
from bot.domain.deploy.locking import LEASE_SECONDS, RENEW_SECONDS, lease_key
from bot.flows.context import Context

log = structlog.get_logger()


async def acquire(ctx: Context, deployment: Deployment) -> Lease | None:
    """The lease of a deployment's environment, if nobody else has it; the deployment remembers its token."""
    lease = await ctx.leases.acquire(_key(deployment), deployment.id, now=ctx.clock.now(), seconds=LEASE_SECONDS)
    if lease is not None and lease.token != deployment.token:
        await ctx.deployments.note(deployment.id, token=lease.token)
    return lease


async def claim(ctx: Context, deployment_id: str) -> bool:
    """Have the lease for what follows; whether it was to be had."""
    deployment = await ctx.deployment(deployment_id)
    return await acquire(ctx, deployment) is not None


async def keep(ctx: Context, deployment: Deployment) -> None:
    """Renew the lease until cancelled.

    A database that is away stops nothing: if somebody else takes the lease meanwhile, the target refuses our token.
    """
    while True:
        try:
            await acquire(ctx, deployment)
        except SQLAlchemyError as error:
            log.warning("lease_not_renewed", number=deployment.number, because=type(error).__name__)
        await asyncio.sleep(RENEW_SECONDS)


async def release(ctx: Context, deployment: Deployment) -> None:
    """Let go of it."""
    await ctx.leases.release(_key(deployment), deployment.id, now=ctx.clock.now())


def _key(deployment: Deployment) -> str:
    return lease_key(deployment.repo_id, deployment.environment)
