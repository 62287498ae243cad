"""Releases, and what is known of each in each environment. What is bad stays bad."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.deploy.release import Known, Release, Standing
from bot.store.models import releases, standings
from bot.store.rows import Rows


class Releases:
    """All releases that were ever deployed."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def add(self, release: Release, *, now: datetime) -> None:
        """Remember a release; one that is known is left as it is."""
        fields = {name: getattr(release, name) for name in Release.__slots__}
        await self._rows.insert_once(releases, {**fields, "id": release.id, "made_at": now})

    async def get(self, release_id: str) -> Release | None:
        """One by its id."""
        row = await self._rows.first(sa.select(releases).where(releases.c.id == release_id))
        return Release(**{name: row[name] for name in Release.__slots__}) if row else None

    async def stand(self, known: Known) -> None:
        """Say how a release stands in an environment. Bad stays bad; nothing else takes its place."""
        key = {
            "repo_id": known.release.repo_id,
            "environment": known.environment,
            "release_id": known.release.id,
        }
        values = {
            "standing": str(known.standing),
            "deployment": known.deployment,
            "because": known.because,
            "live_since": known.live_since,
            "at": known.at,
        }
        if await self._rows.insert_once(standings, {**key, **values}):
            return
        where = [standings.c[name] == value for name, value in key.items()]
        where.append(standings.c.standing != str(Standing.BAD))
        await self._rows.write(sa.update(standings).where(*where).values(**values))

    async def of(self, repo_id: int, environment: str) -> list[Known]:
        """Every release of an environment that stands somehow, newest first."""
        return await self._some(standings.c.repo_id == repo_id, standings.c.environment == environment)

    async def elsewhere(self, repo_id: int, environment: str) -> list[Known]:
        """Every release of the repository's other environments that stands somehow, newest first."""
        return await self._some(standings.c.repo_id == repo_id, standings.c.environment != environment)

    async def _some(self, *key: sa.ColumnElement[bool]) -> list[Known]:
        query = (
            sa.select(standings, releases)
            .join(releases, releases.c.id == standings.c.release_id)
            .where(*key)
            .order_by(standings.c.at.desc())
        )
        return [
            Known(
                release=Release(**{name: row[name] for name in Release.__slots__}),
                environment=row["environment"],
                standing=Standing(row["standing"]),
                deployment=row["deployment"],
                because=row["because"],
                live_since=row["live_since"],
                at=row["at"],
            )
            for row in await self._rows.all(query)
        ]
