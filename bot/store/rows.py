"""What the small stores share: one statement, one transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine


class Rows:
    """The statements of one store."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def all(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """Every row as a mapping; moments are aware."""
        async with self._engine.connect() as connection:
            return [aware(dict(row)) for row in (await connection.execute(query)).mappings()]

    async def first(self, query: sa.Select[Any]) -> dict[str, Any] | None:
        """The first row, or None."""
        return next(iter(await self.all(query.limit(1))), None)

    async def insert_once(self, table: sa.Table, values: dict[str, Any]) -> bool:
        """Insert a row unless its key is there already; whether it is new."""
        dialect = {"sqlite": sqlite, "postgresql": postgresql}[self._engine.dialect.name]
        statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
        return bool(await self.write(statement))

    async def upsert(self, table: sa.Table, values: dict[str, Any]) -> None:
        """Insert a row, or make the one with its key say the same."""
        dialect = {"sqlite": sqlite, "postgresql": postgresql}[self._engine.dialect.name]
        key = [column.name for column in table.primary_key]
        others = {name: value for name, value in values.items() if name not in key}
        statement = dialect.insert(table).values(**values)
        await self.write(statement.on_conflict_do_update(index_elements=key, set_=others))

    async def write(self, statement: sa.Executable) -> int:
        """Execute one statement; how many rows it changed."""
        async with self._engine.begin() as connection:
            return int((await connection.execute(statement)).rowcount)


def aware(row: dict[str, Any]) -> dict[str, Any]:
    """SQLite forgets the zone; all moments are written in UTC."""
    return {
        name: value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value
        for name, value in row.items()
    }
