"""Where the App is installed, and which repositories it sees there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.github.app import AppItself, Installation
from bot.github.errors import UnexpectedAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledOn:
    """The App on an account."""

    id: int
    is_suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A repository that an installation sees. Nothing can be pushed to an archived one."""

    id: int
    full_name: str
    is_archived: bool


class _Installation(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    suspended_at: str | None = None


class _Repository(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    id: int
    full_name: str
    archived: bool = False


_Model = TypeVar("_Model", bound=BaseModel)


async def installations(app: AppItself) -> list[InstalledOn]:
    """Every installation of the App, by number."""
    path = "/app/installations"
    found = [_read(_Installation, said, path) async for said in app.paginate(path, again=True)]
    return sorted(
        (InstalledOn(id=one.id, is_suspended=bool(one.suspended_at)) for one in found), key=lambda one: one.id
    )


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
