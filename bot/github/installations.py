"""Where the App is installed, as GitHub says now."""

from __future__ import annotations

from dataclasses import dataclass

from bot.github.app import GitHubApp
from bot.github.errors import NotFound
from bot.github.payload_parts import Account, Lenient, Name, Number


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationFacts:
    """The App on an account: its login, and whether GitHub lets us speak there."""

    account: str
    suspended: bool


class _Installation(Lenient):
    account: Account = Account()
    suspended_at: Name | None = None


class _Id(Lenient):
    id: Number


async def installation_now(app: GitHubApp, installation_id: int) -> InstallationFacts | None:
    """The installation; None when the App is not installed there any more. Asked as the App itself."""
    try:
        said = (await app.itself().get(f"/app/installations/{installation_id}")).json
    except NotFound:
        return None
    read = _Installation.model_validate(said)
    return InstallationFacts(account=read.account.login, suspended=read.suspended_at is not None)


async def repositories_now(app: GitHubApp, installation_id: int) -> frozenset[int]:
    """The numbers of all repositories that the installation covers.

    Raises:
        NotFound: it is gone.
        Forbidden: it is suspended.
    """
    pages = app.installation(installation_id).paginate("/installation/repositories", key="repositories")
    return frozenset([_Id.model_validate(item).id async for item in pages])
