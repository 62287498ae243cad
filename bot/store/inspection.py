"""Looking at the bot's database from outside, while a bot may be using it: nothing is made, changed or locked."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from bot.store.database import SCHEMA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseFacts:
    """What the file says of itself.

    Attributes:
        path: the file.
        there: whether it exists; the first start makes it.
        schema: its schema's version.
        known_schema: this program's.
        journal: `wal`, as it should be, or another mode.
        bytes: its size.
        trouble: why it could not be read; "" if it could.
    """

    path: Path
    there: bool
    schema: int = 0
    known_schema: int = SCHEMA_VERSION
    journal: str = ""
    bytes: int = 0
    trouble: str = ""


def inspect(url: str) -> DatabaseFacts:
    """Look at the database at an SQLAlchemy address of SQLite."""
    path = Path(sa.make_url(url).database or "")
    try:
        if not path.exists():
            return DatabaseFacts(path=path, there=False)
        size = path.stat().st_size
        connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2)
        try:
            (schema,) = connection.execute("PRAGMA user_version").fetchone()
            (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        finally:
            connection.close()
    except (OSError, sqlite3.Error) as refused:
        return DatabaseFacts(path=path, there=True, trouble=str(refused))
    return DatabaseFacts(path=path, there=True, schema=schema, journal=journal, bytes=size)
