from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.run_states import RunState
from bot.store.database import SCHEMA_VERSION, DatabaseUnusable, open_database, open_writer
from bot.store.deliveries import Delivery, Inbox, InboxUnavailable
from bot.store.runs import RunStore

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = await open_database(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite")
    yield engine
    await engine.dispose()


@pytest.fixture
async def inbox(database: AsyncEngine, tmp_path: Path) -> AsyncIterator[Inbox]:
    box = Inbox(open_writer(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite"))
    await box.start()
    yield box
    await box.stop()


def delivery(name: str) -> Delivery:
    return Delivery(name, "push", b"{}", NOW)


async def test_the_same_delivery_counts_once_however_often_it_comes_at_the_same_time(inbox: Inbox) -> None:
    answers = await asyncio.gather(*(inbox.add(delivery("one")) for _ in range(20)))
    assert sorted(answers) == [False] * 19 + [True]
    assert await inbox.add(delivery("one")) is False
    assert [d.id for d in await inbox.open()] == ["one"]


async def test_many_at_once_are_all_there(inbox: Inbox) -> None:
    answers = await asyncio.gather(*(inbox.add(delivery(f"d{n}")) for n in range(300)))
    assert all(answers)
    assert await inbox.count_open() == 300


async def test_a_closed_delivery_is_open_no_more_but_still_known(inbox: Inbox) -> None:
    await inbox.add(delivery("one"))
    await inbox.close([("one", "ignored: a ping")])
    assert await inbox.count_open() == 0
    assert await inbox.add(delivery("one")) is False


async def test_many_are_closed_at_once_each_with_its_own_words(inbox: Inbox, database: AsyncEngine) -> None:
    names = [f"d{n}" for n in range(1101)]
    await asyncio.gather(*(inbox.add(delivery(name)) for name in names))
    await inbox.close([(name, f"ignored: reason {n % 2}") for n, name in enumerate(names[:-1])])
    assert [d.id for d in await inbox.open()] == names[-1:]
    async with database.connect() as connection:
        counted = await connection.execute(sa.text("SELECT outcome, count(*) FROM deliveries GROUP BY 1 ORDER BY 1"))
        assert [tuple(row) for row in counted] == [("", 1), ("ignored: reason 0", 550), ("ignored: reason 1", 550)]


async def test_what_cannot_be_made_durable_is_said_and_the_inbox_goes_on(inbox: Inbox, database: AsyncEngine) -> None:
    async with database.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE deliveries RENAME TO away"))
    with pytest.raises(InboxUnavailable):
        await inbox.add(delivery("one"))
    async with database.begin() as connection:
        await connection.execute(sa.text("ALTER TABLE away RENAME TO deliveries"))
    assert await inbox.add(delivery("one")) is True


async def test_a_delivery_that_still_waits_when_the_inbox_stops_is_not_acknowledged(tmp_path: Path) -> None:
    inbox = Inbox(open_writer(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite"))  # nobody started its writer
    waiting = asyncio.create_task(inbox.add(delivery("one")))
    await asyncio.sleep(0)
    await inbox.stop()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, timeout=5)


async def test_a_database_of_a_newer_version_is_refused_untouched(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/app.sqlite"
    engine = await open_database(url)
    async with engine.begin() as connection:
        await connection.execute(sa.text("PRAGMA user_version = 99"))
    await engine.dispose()
    with pytest.raises(DatabaseUnusable, match=f"schema 99, this version knows {SCHEMA_VERSION}"):
        await open_database(url)


async def test_the_database_is_nobody_elses_to_read(tmp_path: Path, database: AsyncEngine) -> None:
    assert (tmp_path / "app.sqlite").stat().st_mode & 0o077 == 0


async def test_commits_wait_for_the_disk(database: AsyncEngine) -> None:
    async with database.connect() as connection:
        assert (await connection.execute(sa.text("PRAGMA synchronous"))).scalar_one() == 2
        assert (await connection.execute(sa.text("PRAGMA journal_mode"))).scalar_one() == "wal"


FACTS = {
    "installation_id": 1,
    "repo_id": 2,
    "repo": "octo/app",
    "pr": 3,
    "head_sha": "a" * 40,
    "base_ref": "main",
    "base_sha": "b" * 40,
}


async def test_a_run_is_made_once_and_numbered_in_order(database: AsyncEngine) -> None:
    store = RunStore(database)
    first = await store.create("r1", now=NOW, **FACTS)
    again = await store.create("r1", now=NOW, **FACTS)
    second = await store.create("r2", now=NOW, **FACTS)
    assert (first.number, again.number, second.number) == (1, 1, 2)
    assert [run.id for run in await store.open_of(2, 3)] == ["r1", "r2"]


async def test_the_first_reason_to_stop_stays(database: AsyncEngine) -> None:
    store = RunStore(database)
    await store.create("r1", now=NOW, **FACTS)
    await store.ask_to_stop("r1", "superseded:abc")
    await store.ask_to_stop("r1", "@mona")
    run = await store.get("r1")
    assert run is not None
    assert run.stop_because == "superseded:abc"


async def test_a_run_that_ended_is_not_open(database: AsyncEngine) -> None:
    store = RunStore(database)
    await store.create("r1", now=NOW, **FACTS)
    await store.enter("r1", RunState.FINISHED, conclusion="success")
    assert await store.open_of(2, 3) == []
    assert await store.count_open() == 0


async def test_runs_made_at_the_same_time_get_numbers_of_their_own(database: AsyncEngine) -> None:
    store = RunStore(database)
    made = await asyncio.gather(*(store.create(f"r{n % 5}", now=NOW, **FACTS) for n in range(20)))
    assert {run.number for run in made} == {1, 2, 3, 4, 5}
    assert len({run.id: run.number for run in made}) == 5
