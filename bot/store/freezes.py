"""Windows in which nothing is merged."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.freeze import Freeze
from bot.store.models import freezes
from bot.store.rows import Rows


class Freezes:
    """All freezes that were ever made."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def add(self, freeze: Freeze) -> bool:
        """Remember a freeze; False when this command made it already."""
        return await self._rows.insert_once(freezes, {name: getattr(freeze, name) for name in Freeze.__slots__})

    async def standing(self, repo_id: int) -> list[Freeze]:
        """Those that nobody has lifted, oldest first; whether one is over is a matter of the time."""
        query = sa.select(freezes).where(freezes.c.repo_id == repo_id, freezes.c.lifted_at.is_(None))
        return [Freeze(**row) for row in await self._rows.all(query.order_by(freezes.c.since))]

    async def all_standing(self) -> list[Freeze]:
        """Those of every repository that nobody has lifted; hardly ever are there many."""
        query = sa.select(freezes).where(freezes.c.lifted_at.is_(None)).order_by(freezes.c.since)
        return [Freeze(**row) for row in await self._rows.all(query)]

    async def lift(self, freeze_id: str, *, by: str, at: datetime) -> None:
        """End a freeze; the first who does it stays."""
        key = (freezes.c.id == freeze_id, freezes.c.lifted_at.is_(None))
        await self._rows.write(sa.update(freezes).where(*key).values(lifted_by=by, lifted_at=at))
