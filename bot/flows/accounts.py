"""The App comes and goes, and repositories move: runs end, names follow, and what is gone is left alone.

What GitHub tells is a hint here as everywhere. Deliveries come late or twice, so whether the App is installed
somewhere, and what a repository is called, is read from the API before anything is ended or removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from bot.domain.deliveries import CancelLost, InstallationChanged, RepositoryChanged
from bot.domain.desired import LOSING_ACCESS
from bot.domain.stopping import Cancelled
from bot.domain.subject import Subject
from bot.flows.context import Context
from bot.flows.requests import MERGE_GROUP
from bot.github.errors import Forbidden, NotFound, Unprocessable
from bot.github.installations import installation_now, repositories_now
from bot.github.pulls import branch_head, repository
from bot.store.accounts import AccountState, KnownInstallation, KnownRepository
from bot.store.runs import Run
from runner.execute.files import remove_tree

log = structlog.get_logger()


async def refusal(ctx: Context, installation_id: int, repo_id: int, repo: str) -> str:
    """Why a delivery about a repository is not acted on; "" when the repository is one of the installation's.

    GitHub is asked once for each repository: it sells a token for it to its own installation alone.
    """
    known = await ctx.accounts.installation(installation_id)
    if known is not None and known.state is not AccountState.ACTIVE:
        return f"the installation is {known.state}"
    row = await ctx.accounts.repository(repo_id)
    if row and row.installation_id == installation_id and row.state is AccountState.ACTIVE:
        return ""
    try:
        await ctx.github.token(installation_id, repository_id=repo_id, permissions={"metadata": "read"})
    except (Forbidden, NotFound, Unprocessable):
        log.warning("delivery_refused", reason="not_of_the_installation", repo_id=repo_id)
        return "the repository is not one of the installation's"
    await _save_repository(ctx, installation_id, repo_id, repo, AccountState.ACTIVE)
    return ""


async def installation_changed(ctx: Context, action: InstallationChanged) -> bool:
    """Remember what became of an installation or of its repositories. Safe to repeat.

    Returns:
        Whether there may be open pull requests now that nobody has told of.
    """
    now = await installation_now(ctx.github, action.installation_id)
    known = KnownInstallation(
        id=action.installation_id,
        account=(now.account if now else "") or action.account,
        state=_state(now.suspended) if now else AccountState.REMOVED,
        changed_at=ctx.clock.now(),
    )
    await ctx.accounts.save_installation(known)
    log.info("installation_changed", how=action.how[:40], state=str(known.state))
    if known.state is not AccountState.ACTIVE:
        ctx.github.bar(known.id)
        await _end(ctx, [run for run in await ctx.runs.all_open() if run.installation_id == known.id])
        return False
    ctx.github.unbar(known.id)
    if action.how == "renamed":
        await _follow_account(ctx, known)
        return False
    if action.how == "removed":
        await _forget_removed(ctx, action)
        return False
    for repo_id, name in action.repositories:
        await _save_repository(ctx, known.id, repo_id, name, AccountState.ACTIVE)
    return True


async def seen_active(ctx: Context, installation_id: int) -> None:
    """GitHub lists an installation as active: where we hold it to be gone or suspended, look anew. Safe to repeat."""
    known = await ctx.accounts.installation(installation_id)
    if known is not None and known.state is not AccountState.ACTIVE:
        back = InstallationChanged(installation_id=installation_id, account=known.account, how="seen")
        await installation_changed(ctx, back)


async def repository_changed(ctx: Context, action: RepositoryChanged) -> bool:
    """Remember what a repository is called now, or that it is gone. Safe to repeat; returns as above."""
    try:
        # GitHub leads from an old name to the new one, and may have given the old one to somebody else.
        now = await repository(ctx.github.installation(action.installation_id), action.repo)
    except (Forbidden, NotFound):
        now = None
    if now is None or now.id != action.repo_id:
        if action.how == "deleted" or now is None:
            await _forget(ctx, action.installation_id, action.repo_id, action.repo)
        return False
    state = AccountState.SUSPENDED if now.archived else AccountState.ACTIVE
    await _save_repository(ctx, action.installation_id, now.id, now.full_name, state)
    await ctx.runs.move(now.id, repo=now.full_name, installation_id=action.installation_id)
    log.info("repository_changed", how=action.how[:40], repo=now.full_name, state=str(state))
    if now.archived:
        await _end(ctx, [run for run in await ctx.runs.all_open() if run.repo_id == now.id])
        return False
    return action.how == "unarchived"


async def cancel_lost(ctx: Context, action: CancelLost) -> None:
    """End the runs of a branch for commits that it does not have any more. Safe to repeat."""
    runs = [
        run
        for run in await ctx.runs.all_open()
        if (run.repo_id, run.pr, run.base_ref) == (action.repo_id, None, action.branch) and run.cause != MERGE_GROUP
    ]
    if not runs:
        return
    try:
        tip = await branch_head(ctx.github.installation(action.installation_id), action.repo, action.branch)
    except NotFound:
        tip = ""
    for run in runs:
        if not tip or not await _has(ctx, run, tip):
            await ctx.stop(run.id, Cancelled(action.because))


async def bar_the_lost(ctx: Context) -> None:
    """After a start: speak for nobody who has shown us the door."""
    for known in await ctx.accounts.installations():
        if known.state is not AccountState.ACTIVE:
            ctx.github.bar(known.id)


async def _has(ctx: Context, run: Run, tip: str) -> bool:
    if run.head_sha == tip:
        return True
    subject = Subject(
        installation_id=run.installation_id,
        repo_id=run.repo_id,
        repo=run.repo,
        pr=None,
        base_ref=run.base_ref,
        base_sha=tip,
        head_sha=tip,
    )
    mirror = await ctx.workspaces.fetch(subject)
    return await mirror.contains(tip, run.head_sha)


def _state(suspended: bool) -> AccountState:
    return AccountState.SUSPENDED if suspended else AccountState.ACTIVE


async def _save_repository(ctx: Context, installation_id: int, repo_id: int, name: str, state: AccountState) -> None:
    await ctx.accounts.save_repository(
        KnownRepository(id=repo_id, installation_id=installation_id, name=name, state=state, changed_at=ctx.clock.now())
    )


async def _follow_account(ctx: Context, known: KnownInstallation) -> None:
    for repo in await ctx.accounts.repositories_of(known.id):
        name = f"{known.account}/{repo.name.partition('/')[2]}"
        await _save_repository(ctx, known.id, repo.id, name, repo.state)
        await ctx.runs.move(repo.id, repo=name, installation_id=known.id)


async def _forget_removed(ctx: Context, action: InstallationChanged) -> None:
    """Forget what was removed, unless it has come back since."""
    there = await repositories_now(ctx.github, action.installation_id)
    for repo_id, name in action.repositories:
        if repo_id not in there:
            await _forget(ctx, action.installation_id, repo_id, name)


async def _forget(ctx: Context, installation_id: int, repo_id: int, name: str) -> None:
    """End what runs for a repository, and remove what was kept of it: it is not ours to keep any more."""
    await _save_repository(ctx, installation_id, repo_id, name, AccountState.REMOVED)
    await _end(ctx, [run for run in await ctx.runs.all_open() if run.repo_id == repo_id])
    await ctx.workspaces.drop(repo_id)
    for kept in ctx.kept_of(repo_id):
        if kept.is_dir():
            await asyncio.to_thread(remove_tree, str(kept))
    log.info("repository_forgotten", repo=name)


async def _end(ctx: Context, runs: Iterable[Run]) -> None:
    for run in runs:
        await ctx.stop(run.id, Cancelled(LOSING_ACCESS))
