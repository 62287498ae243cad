"""Small things to be remembered over a restart: how far a list was read, when something was last heard."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.models import marks
from bot.store.rows import Rows


class Marks:
    """Text by key."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def get(self, key: str) -> str:
        """What was last set; "" when nothing was."""
        row = await self._rows.first(sa.select(marks).where(marks.c.key == key))
        return str(row["value"]) if row else ""

    async def set(self, key: str, value: str) -> None:
        """Remember a value."""
        await self._rows.upsert(marks, {"key": key, "value": value})

    async def claim(self, key: str, value: str) -> bool:
        """Remember a value where there is none; False when there is one, which stays."""
        return await self._rows.insert_once(marks, {"key": key, "value": value})

    async def below(self, prefix: str) -> dict[str, str]:
        """Everything whose key begins with `prefix`, by the rest of its key."""
        rows = await self._rows.all(sa.select(marks).where(marks.c.key.startswith(prefix, autoescape=True)))
        return {str(row["key"]).removeprefix(prefix): str(row["value"]) for row in rows}
