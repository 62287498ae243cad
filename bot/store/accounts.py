"""The accounts that have installed the App, and their repositories, as GitHub last told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.models import installations, repositories
from bot.store.rows import Rows


class AccountState(StrEnum):
    """Whether we may speak for it."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownInstallation:
    """The App on an account."""

    id: int
    account: str
    state: AccountState
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRepository:
    """A repository; its id survives every rename."""

    id: int
    installation_id: int
    name: str
    state: AccountState
    changed_at: datetime


class Accounts:
    """What is known of installations and repositories."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def save_installation(self, known: KnownInstallation) -> None:
        """Remember an installation as it is now."""
        fields = {name: getattr(known, name) for name in KnownInstallation.__slots__}
        await self._rows.upsert(installations, {**fields, "state": str(known.state)})

    async def save_repository(self, known: KnownRepository) -> None:
        """Remember a repository as it is now."""
        fields = {name: getattr(known, name) for name in KnownRepository.__slots__}
        await self._rows.upsert(repositories, {**fields, "state": str(known.state)})

    async def installation(self, installation_id: int) -> KnownInstallation | None:
        """An installation, or None when GitHub never told of it."""
        row = await self._rows.first(sa.select(installations).where(installations.c.id == installation_id))
        return KnownInstallation(**{**row, "state": AccountState(row["state"])}) if row else None

    async def installations(self) -> list[KnownInstallation]:
        """Every installation that was ever told of."""
        rows = await self._rows.all(sa.select(installations).order_by(installations.c.id))
        return [KnownInstallation(**{**row, "state": AccountState(row["state"])}) for row in rows]

    async def repository(self, repo_id: int) -> KnownRepository | None:
        """A repository, or None when GitHub never told of it."""
        row = await self._rows.first(sa.select(repositories).where(repositories.c.id == repo_id))
        return KnownRepository(**{**row, "state": AccountState(row["state"])}) if row else None

    async def named(self, name: str) -> KnownRepository | None:
        """The repository that was last told to have this `owner/name`; GitHub gives a name to one at a time."""
        query = sa.select(repositories).where(sa.func.lower(repositories.c.name) == name.lower())
        row = await self._rows.first(query.order_by(repositories.c.changed_at.desc()))
        return KnownRepository(**{**row, "state": AccountState(row["state"])}) if row else None

    async def repositories_of(self, installation_id: int) -> list[KnownRepository]:
        """The repositories of an installation, by name."""
        query = sa.select(repositories).where(repositories.c.installation_id == installation_id)
        rows = await self._rows.all(query.order_by(repositories.c.name))
        return [KnownRepository(**{**row, "state": AccountState(row["state"])}) for row in rows]
