"""Between deployments: what users have is kept running, and what stays of earlier ones is kept for its time.

That is the slot before, and the files that slots run from. Journals, plans and records are small, and stay.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import structlog

from bot.deploy.target import KeptTarget, TargetProblem
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import FINAL, WAITING, State
from bot.flows.context import Context
from bot.flows.deploying import leasing, terms
from bot.flows.deploying.targeting import open_for
from bot.flows.deploying.terms import Terms
from bot.flows.nudges import ConsiderAll
from runner.execute.files import remove_tree

log = structlog.get_logger()

TREES_KEPT = 3
"""Deployments of an environment, the newest that users had, whose files stay: what is live, and ways back from it."""


async def keep_house(ctx: Context) -> None:
    """Bring back what has died, stop slots that were kept for long enough, remove files that none runs from.

    Safe to repeat.
    """
    newest: dict[tuple[int, str], list[Deployment]] = {}
    for deployment in await ctx.deployments.newest(limit=500):
        newest.setdefault((deployment.repo_id, deployment.environment), []).append(deployment)
    for of_environment in newest.values():
        await _look_after(ctx, of_environment)
        await _remove_trees(ctx, of_environment)


async def _look_after(ctx: Context, known: list[Deployment]) -> None:
    """Tend the target of an environment in which nothing is under way, with its lease, so that nothing begins."""
    if any(one.state not in FINAL | WAITING for one in known):
        return
    last = next((one for one in known if one.state is State.SUCCEEDED), None)
    by = terms.read(ctx, last) if last else None
    if last is None or by is None or await leasing.acquire(ctx, last) is None:
        return
    last = await ctx.deployment(last.id)
    try:
        target = open_for(ctx, last, by)
        await target.tend()
        await _stop_kept(ctx, last, by, target)
    except (TargetProblem, OSError) as problem:
        log.warning("environment_not_tended", environment=last.environment, because=str(problem))
    finally:
        await leasing.release(ctx, last)
        ctx.nudges.give(ConsiderAll(last.repo_id, last.environment))  # one may have been kept from beginning.


async def _stop_kept(ctx: Context, last: Deployment, by: Terms, target: KeptTarget) -> None:
    """Stop the slot before, when the last success is older than it was to be kept."""
    done = ctx.deploy_files(last).directory / "kept.stopped"
    keep = timedelta(seconds=by.environment(last.environment).rollback.keep_old)
    if done.exists() or last.finished_at is None or ctx.clock.now() < last.finished_at + keep:
        return
    observed = await target.observe()
    for slot, state in observed.slots.items():
        if state.running and not observed.weights.get(slot) and any(observed.weights.values()):
            await target.stop(slot)
            log.info("kept_slot_stopped", environment=last.environment, slot=slot, release=state.release)
    await asyncio.to_thread(done.touch)


async def _remove_trees(ctx: Context, known: list[Deployment]) -> None:
    """Remove the files of deployments that ended, but for those of the newest that users had."""
    had = [one for one in known if one.state is State.SUCCEEDED]
    stay = {one.release_id for one in had[:TREES_KEPT]}
    for deployment in known:
        tree = ctx.deploy_files(deployment).tree
        if deployment.state in FINAL and deployment.release_id not in stay and tree.is_dir():
            await asyncio.to_thread(remove_tree, str(tree))
