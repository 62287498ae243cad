"""An older version's database is brought up to date where it lies, with what is in it."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from bot.store.database import SCHEMA_VERSION, open_database
from bot.store.permits import Permit, Permits
from bot.store.runs import RunStore

AT = datetime(2026, 1, 2, tzinfo=UTC)

SCHEMA_1 = """
CREATE TABLE runs (
    id VARCHAR(200) NOT NULL PRIMARY KEY, number INTEGER NOT NULL UNIQUE, installation_id BIGINT NOT NULL,
    repo_id BIGINT NOT NULL, repo VARCHAR(200) NOT NULL, pr INTEGER, title VARCHAR(300) NOT NULL,
    author VARCHAR(100) NOT NULL, base_ref VARCHAR(300) NOT NULL, base_sha VARCHAR(64) NOT NULL,
    head_sha VARCHAR(64) NOT NULL, config_hash VARCHAR(64) NOT NULL, selection TEXT NOT NULL,
    kept_from VARCHAR(200) NOT NULL, trust VARCHAR(4) NOT NULL, state VARCHAR(20) NOT NULL,
    conclusion VARCHAR(20) NOT NULL, because TEXT NOT NULL, stop_because TEXT NOT NULL,
    delivery VARCHAR(64) NOT NULL, created_at DATETIME NOT NULL, finished_at DATETIME
);
INSERT INTO runs VALUES ('run:1:pr1:abc', 7, 1, 1, 'octo/app', 1, 't', 'mona', 'main', 'b', 'abc', '', 'all', '', 'T1',
    'finished', 'success', '', '', 'd', '2026-01-02 00:00:00', NULL);
PRAGMA user_version = 1;
"""


async def test_a_database_of_the_first_schema_keeps_its_runs_and_learns_the_new_tables(tmp_path: Path) -> None:
    path = tmp_path / "app.sqlite"
    with sqlite3.connect(path) as old:
        old.executescript(SCHEMA_1)
    old.close()
    engine = await open_database(f"sqlite+aiosqlite:///{path}")
    run = await RunStore(engine).by_number(7)
    assert run is not None
    assert (run.repo, run.conclusion, run.cause, run.tree) == ("octo/app", "success", "", "")
    permits = Permits(engine)
    await permits.give(Permit(repo_id=1, pr=1, head_sha="abc", by="mona", comment_id=5, given_at=AT))
    assert await permits.of(1, 1, "abc") == Permit(
        repo_id=1, pr=1, head_sha="abc", by="mona", comment_id=5, given_at=AT
    )
    await engine.dispose()
    again = await open_database(f"sqlite+aiosqlite:///{path}")
    assert await RunStore(again).by_number(7) == run
    await again.dispose()
    with sqlite3.connect(path) as found:
        assert found.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
    found.close()


async def test_a_permit_is_void_once_its_comment_was_changed(tmp_path: Path) -> None:
    engine = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'app.sqlite'}")
    permits = Permits(engine)
    await permits.give(Permit(repo_id=1, pr=1, head_sha="abc", by="mona", comment_id=5, given_at=AT))
    assert await permits.of(1, 2, "abc") is None
    assert await permits.void(1, 5, because="edited") == 1
    assert await permits.of(1, 1, "abc") is None
    assert await permits.void(1, 5, because="deleted") == 0
    await engine.dispose()
