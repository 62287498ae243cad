"""The App comes and goes, and repositories move: what GitHub tells of it is remembered."""

from __future__ import annotations

from bot.domain.deliveries import InstallationChanged, RepositoryChanged
from bot.flows.context import Context
from bot.store.accounts import AccountState, KnownInstallation, KnownRepository

_STATES = {
    "deleted": AccountState.REMOVED,
    "suspend": AccountState.SUSPENDED,
    "removed": AccountState.REMOVED,
}


async def installation_changed(ctx: Context, action: InstallationChanged) -> None:
    """Remember what became of an installation or of its repositories. Safe to repeat."""
    now = ctx.clock.now()
    state = _STATES.get(action.how, AccountState.ACTIVE)
    if action.how not in {"added", "removed"}:
        await ctx.accounts.save_installation(
            KnownInstallation(id=action.installation_id, account=action.account, state=state, changed_at=now)
        )
    for repo_id, name in action.repositories:
        await ctx.accounts.save_repository(
            KnownRepository(id=repo_id, installation_id=action.installation_id, name=name, state=state, changed_at=now)
        )


async def repository_changed(ctx: Context, action: RepositoryChanged) -> None:
    """Remember what a repository is called now, or that it is gone. Safe to repeat."""
    state = AccountState.REMOVED if action.how == "deleted" else AccountState.ACTIVE
    await ctx.accounts.save_repository(
        KnownRepository(
            id=action.repo_id,
            installation_id=action.installation_id,
            name=action.repo,
            state=state,
            changed_at=ctx.clock.now(),
        )
    )
