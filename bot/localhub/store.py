"""One SQLite file of JSON documents: what `--state` keeps over a restart."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = """
CREATE TABLE IF NOT EXISTS document (kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id));
"""


class Store:
    """Documents by kind and id, each change committed at once; rows come back in the order of their first insert."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def rows(self, kind: str) -> Iterator[dict[str, Any]]:
        """The documents of one kind."""
        for (body,) in self._db.execute("SELECT body FROM document WHERE kind = ? ORDER BY rowid", (kind,)):
            yield json.loads(body)

    def put(self, kind: str, row: Any) -> None:
        """Insert or replace a dataclass instance that has an `id`."""
        self._db.execute(
            "INSERT INTO document VALUES (?, ?, ?) ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, str(row.id), json.dumps(asdict(row))),
        )

    def drop(self, kind: str, key: int | str) -> None:
        """Delete one document; none there is fine."""
        self._db.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, str(key)))

    def close(self) -> None:
        """Close the file; the hub is done with it."""
        self._db.close()
