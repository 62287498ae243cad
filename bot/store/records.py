"""Which record each deployment left, and in what order: the half of the chain that is not on the disk beside it."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.record import Link
from bot.store.models import records
from bot.store.rows import Rows


class Records:
    """All records. Rows are only added."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def of(self, deployment_id: str) -> Link | None:
        """The record of a deployment."""
        return _link(await self._rows.first(sa.select(records).where(records.c.deployment == deployment_id)))

    async def last(self, repo_id: int, environment: str) -> Link | None:
        """The newest record of an environment."""
        key = (records.c.repo_id == repo_id, records.c.environment == environment)
        return _link(await self._rows.first(sa.select(records).where(*key).order_by(records.c.place.desc())))

    async def claim(self, deployment: Deployment, link: Link) -> bool:
        """Put a record into its place; False when that is taken, or the deployment has one: nothing was changed."""
        values = {
            "repo_id": deployment.repo_id,
            "environment": deployment.environment,
            "place": link.place,
            "deployment": deployment.id,
            "number": link.number,
            "hash": link.hash,
        }
        return await self._rows.insert_once(records, values)


def _link(row: dict[str, object] | None) -> Link | None:
    return Link(place=int(str(row["place"])), number=int(str(row["number"])), hash=str(row["hash"])) if row else None
