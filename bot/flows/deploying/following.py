"""The row of a deployment follows its journal: the journal is on the disk of whoever carries it out, and is right."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bot.deploy.journal import Entry, JournalDamaged, read
from bot.deploy.wishes import pending
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import IllegalEdge, State
from bot.flows.context import Context
from bot.flows.nudges import Changed

log = structlog.get_logger()


async def catch_up(ctx: Context, deployment_id: str) -> Deployment:
    """Bring the row to where the journal is, through every state in between. Safe to repeat."""
    deployment = await ctx.deployment(deployment_id)
    for entry in ahead(entries_of(ctx, deployment), deployment.state):
        state, because = State(entry.data["state"]), str(entry.data.get("because", ""))
        try:
            deployment = await ctx.deployments.enter(deployment_id, state, now=entry.at, because=because)
        except IllegalEdge as odd:
            # The row went another way than the journal, by a bug of ours: the journal is what was done.
            log.error("row_differs_from_journal", number=deployment.number, because=str(odd))  # noqa: TRY400
            deployment = await ctx.deployments.correct(deployment_id, state, now=entry.at, because=because)
        log.info("deployment_moved", number=deployment.number, state=str(state), because=because[:200])
        ctx.nudges.give(Changed(deployment_id))
    return deployment


async def keep_up(ctx: Context, deployment_id: str, new: Sequence[Entry]) -> None:
    """Follow what the journal has that it had not before. A database that is away leaves the row behind for a while."""
    if any(entry.kind == "state" for entry in new):
        try:
            await catch_up(ctx, deployment_id)
        except SQLAlchemyError as error:
            log.warning("row_left_behind", deployment=deployment_id, because=type(error).__name__)


def entries_of(ctx: Context, deployment: Deployment) -> tuple[Entry, ...]:
    """A deployment's journal; nothing of one that is damaged, which is told."""
    try:
        return read(ctx.deploy_files(deployment))
    except JournalDamaged as damage:
        log.error("journal_damaged", number=deployment.number, because=str(damage))  # noqa: TRY400 - it says all.
        return ()


def is_wished(ctx: Context, deployment: Deployment) -> bool:
    """Whether somebody wishes something that no controller has heard yet."""
    return bool(pending(ctx.deploy_files(deployment), entries_of(ctx, deployment)))


def ahead(entries: Sequence[Entry], here: State) -> Sequence[Entry]:
    """The edges of a journal that a row has not taken yet. A state may come twice: the row was in its last."""
    edges = [entry for entry in entries if entry.kind == "state"]
    for place in range(len(edges) - 1, -1, -1):
        if edges[place].data["state"] == here:
            return edges[place + 1 :]
    return edges
