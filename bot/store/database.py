"""Opening the bot's own database, and telling when it is somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from bot.store.models import metadata

SCHEMA_VERSION = 3

_UPGRADES = {
    2: (
        "ALTER TABLE runs ADD COLUMN cause VARCHAR(20) DEFAULT '' NOT NULL",
        "ALTER TABLE runs ADD COLUMN tree VARCHAR(64) DEFAULT '' NOT NULL",
        "ALTER TABLE runs ADD COLUMN prove TEXT DEFAULT '' NOT NULL",
    ),
    3: (),
}
"""What turns the tables of the version before into those of this one; new tables are made by themselves."""


class DatabaseUnusable(Exception):
    """The database cannot be opened, or was written by another version of Interlock. Nothing was changed."""


async def open_database(url: str) -> AsyncEngine:
    """Open the database, bring the tables of an older version up to this one's, and make those that are missing.

    Raises:
        DatabaseUnusable: its schema is newer than this version's, or it cannot be opened as a database.
    """
    try:
        if url.startswith("sqlite"):
            _make_private(url)
    except OSError as refused:
        message = f"{refused.filename} cannot be opened: {refused.strerror}"
        raise DatabaseUnusable(message) from refused
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _configure_sqlite)
    try:
        async with engine.begin() as connection:
            await _prepare(connection)
    except sa.exc.DatabaseError as refused:
        await engine.dispose()
        message = f"{engine.url.database} cannot be used: {refused.orig}"
        raise DatabaseUnusable(message) from refused
    except BaseException:
        await engine.dispose()
        raise
    return engine


async def _prepare(connection: AsyncConnection) -> None:
    if connection.dialect.name == "sqlite":
        found = (await connection.execute(sa.text("PRAGMA user_version"))).scalar_one()
        if found > SCHEMA_VERSION:
            message = f"the database has schema {found}, this version knows {SCHEMA_VERSION}: upgrade interlock"
            raise DatabaseUnusable(message)
        for version in range(found + 1, SCHEMA_VERSION + 1) if found else ():
            for statement in _UPGRADES[version]:
                await connection.execute(sa.text(statement))
        await connection.execute(sa.text(f"PRAGMA user_version = {SCHEMA_VERSION}"))
    await connection.run_sync(metadata.create_all)


INBOX_PATIENCE = 5.0
"""Seconds that a delivery waits while somebody else holds the database. GitHub hangs up after ten."""


def open_writer(url: str, *, patience: float = INBOX_PATIENCE) -> sa.Engine:
    """A blocking engine on the same database, for the one thread that writes the inbox.

    One hop to a thread and back for each group of deliveries is what keeps an acknowledgement fast; the asynchronous
    driver hops for each statement (docs/decisions/0006-the-inbox-has-a-thread.md).
    """
    address = sa.make_url(url)
    driver = {"sqlite+aiosqlite": "sqlite", "postgresql+asyncpg": "postgresql+psycopg"}.get(address.drivername)
    engine = sa.create_engine(address.set(drivername=driver or address.drivername))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)

        @event.listens_for(engine, "connect")
        def _be_brief(connection: Any, _record: object) -> None:
            connection.execute(f"PRAGMA busy_timeout={patience * 1000:.0f}")

    return engine


def _configure_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # FULL: what was acknowledged to GitHub survives a power cut.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON", "cache_size=-800"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _make_private(url: str) -> None:
    """Payloads are private: nobody but the bot's user reads the file."""
    path = sa.make_url(url).database
    if path and path != ":memory:":
        Path(path).touch(mode=0o600, exist_ok=True)
