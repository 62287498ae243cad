"""Boxes that somebody answers for on one head: they run, and do not gate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.models import excuses
from bot.store.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """One `/boxes skip`. `id` is that of the command; `selection` is runner's selection text."""

    id: str
    repo_id: int
    pr: int
    head_sha: str
    selection: str
    by: str
    because: str
    given_at: datetime


class Excuses:
    """All excuses that were ever given."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def give(self, excuse: Excuse) -> bool:
        """Remember an excuse; False when this command gave it already."""
        return await self._rows.insert_once(excuses, {name: getattr(excuse, name) for name in Excuse.__slots__})

    async def of_head(self, repo_id: int, pr: int, head_sha: str) -> list[Excuse]:
        """The excuses of a head, oldest first."""
        key = (excuses.c.repo_id == repo_id, excuses.c.pr == pr, excuses.c.head_sha == head_sha)
        return [Excuse(**row) for row in await self._rows.all(sa.select(excuses).where(*key).order_by("given_at"))]
