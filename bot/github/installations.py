"""Where the App is installed and which repositories it sees there, as GitHub says now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from bot.github.app import AppItself, GitHubApp, Installation
from bot.github.errors import NotFound, UnexpectedAnswer
from bot.github.payload_parts import Account, Lenient, Name, Number


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationFacts:
    """The App on an account: its login, and whether GitHub lets us speak there."""

    account: str
    suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledOn:
    """One of the App's installations."""

    id: int
    is_suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A repository that an installation sees. Nothing can be pushed to an archived one."""

    id: int
    full_name: str
    is_archived: bool


class _Installation(Lenient):
    account: Account = Account()
    suspended_at: Name | None = None


class _Id(Lenient):
    id: Number


class _Listed(_Id):
    suspended_at: Name | None = None


class _Repository(_Id):
    full_name: Name
    archived: bool = False


_Model = TypeVar("_Model", bound=Lenient)


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


async def installations(app: AppItself) -> list[InstalledOn]:
    """Every installation of the App, by number."""
    path = "/app/installations"
    found = [_read(_Listed, said, path) async for said in app.paginate(path, again=True)]
    listed = (InstalledOn(id=one.id, is_suspended=one.suspended_at is not None) for one in found)
    return sorted(listed, key=lambda one: one.id)


async def repositories(gh: Installation) -> list[Covered]:
    """Every repository that an installation sees, by number."""
    path = "/installation/repositories"
    found = [_read(_Repository, said, path) async for said in gh.paginate(path, key="repositories", again=True)]
    covered = (Covered(id=one.id, full_name=one.full_name, is_archived=one.archived) for one in found)
    return sorted(covered, key=lambda one: one.id)


def _read(model: type[_Model], said: object, path: str) -> _Model:
    try:
        return model.model_validate(said)
    except ValidationError as bad:
        message = f"GitHub answered GET {path} without a usable {bad.errors()[0]['loc']}"
        raise UnexpectedAnswer(message) from None
