"""What stays of earlier deployments: the slot before, as long as it is to be kept, and the files that it runs from.

Journals, plans and records are small, and stay.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from bot.deploy.target import TargetProblem
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import FINAL, WAITING, State
from bot.flows.context import Context
from bot.flows.deploying import leasing, terms
from bot.flows.deploying.targeting import open_for
from runner.execute.files import remove_tree

log = structlog.get_logger()

TREES_KEPT = 3
"""Deployments of an environment, the newest that users had, whose files stay: what is live, and ways back from it."""


async def keep_house(ctx: Context) -> None:
    """Stop slots that were kept for long enough, and remove the files that no slot runs from. Safe to repeat."""
    newest: dict[tuple[int, str], list[Deployment]] = {}
    for deployment in await ctx.deployments.newest(limit=500):
        newest.setdefault((deployment.repo_id, deployment.environment), []).append(deployment)
    for of_environment in newest.values():
        await _stop_kept(ctx, of_environment)
        await _remove_trees(ctx, of_environment)


async def _stop_kept(ctx: Context, known: list[Deployment]) -> None:
    """Stop the slot before, when the last success is older than it was to be kept, and nothing is under way."""
    if any(one.state not in FINAL | WAITING for one in known):
        return
    last = next((one for one in known if one.state is State.SUCCEEDED), None)
    by = terms.read(ctx, last) if last else None
    if last is None or by is None or last.finished_at is None:
        return
    environment = by.environment(last.environment)
    done = ctx.deploy_files(last).directory / "kept.stopped"
    until = last.finished_at + timedelta(seconds=environment.rollback.keep_old)
    if done.exists() or ctx.clock.now() < until or await leasing.acquire(ctx, last) is None:
        return
    last = await ctx.deployment(last.id)
    try:
        target = open_for(ctx, last, by)
        observed = await target.observe()
        for slot, state in observed.slots.items():
            if state.running and not observed.weights.get(slot) and any(observed.weights.values()):
                await target.stop(slot)
                log.info("kept_slot_stopped", environment=last.environment, slot=slot, release=state.release)
        await asyncio.to_thread(done.touch)
    except TargetProblem as problem:
        log.warning("kept_slot_not_stopped", environment=last.environment, because=str(problem))
    finally:
        await leasing.release(ctx, last)


async def _remove_trees(ctx: Context, known: list[Deployment]) -> None:
    """Remove the files of deployments that ended, but for those of the newest that users had."""
    had = [one for one in known if one.state is State.SUCCEEDED]
    stay = {one.release_id for one in had[:TREES_KEPT]}
    for deployment in known:
        tree = ctx.deploy_files(deployment).tree
        if deployment.state in FINAL and deployment.release_id not in stay and tree.is_dir():
            await asyncio.to_thread(remove_tree, str(tree))
