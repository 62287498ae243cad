"""The links, in one SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from threading import BoundedSemaphore

from shorty.codes import decode, encode

MOST = 100
"""Connections at once; more of them would wait for each other's locks."""


class Busy(Exception):
    """All connections are taken. The same question may be answered a moment later."""


class Connection(sqlite3.Connection):
    """A connection that makes room for the next one when it is closed."""

    free: BoundedSemaphore

    def close(self) -> None:
        """Close it, and make room."""
        super().close()
        self.free.release()


class Links:
    """Addresses by code, each with the number of its clicks. Every call has a connection of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._free = BoundedSemaphore(MOST)
        self._kept = self._connect()  # an in-memory database lives as long as its last connection.
        with self._kept as db:
            db.execute("CREATE TABLE IF NOT EXISTS links (id INTEGER PRIMARY KEY, url TEXT UNIQUE, clicks INTEGER)")

    def add(self, url: str) -> str:
        """The code of an address; the same address always gets the same one."""
        with closing(self._connect()) as db, db:
            db.execute("INSERT OR IGNORE INTO links (url, clicks) VALUES (?, 0)", (url,))
            row = db.execute("SELECT id FROM links WHERE url = ?", (url,)).fetchone()
        return encode(row[0])

    def find(self, code: str) -> str | None:
        """The address of a code."""
        try:
            number = decode(code)
        except ValueError:
            return None
        with closing(self._connect()) as db:
            row = db.execute("SELECT url FROM links WHERE id = ?", (number,)).fetchone()
        return row[0] if row else None

    def click(self, code: str) -> None:
        """Count one more click."""
        with closing(self._connect()) as db, db:
            db.execute("UPDATE links SET clicks = clicks + 1 WHERE id = ?", (decode(code),))

    def top(self, limit: int = 10) -> list[tuple[str, str, int]]:
        """Code, address and clicks of the most used links."""
        with closing(self._connect()) as db:
            rows = db.execute("SELECT id, url, clicks FROM links ORDER BY clicks DESC, id LIMIT ?", (limit,))
            return [(encode(number), url, clicks) for number, url, clicks in rows]

    def _connect(self) -> Connection:
        """A connection; whoever takes it closes it.

        Raises:
            Busy: there is none left.
        """
        if not self._free.acquire(timeout=0.1):
            raise Busy
        if self._path == ":memory:":
            place, uri = "file:shorty?mode=memory&cache=shared", True
        else:
            place, uri = self._path, False
        db = sqlite3.connect(place, uri=uri, timeout=10, check_same_thread=False, factory=Connection)
        db.free = self._free
        return db
