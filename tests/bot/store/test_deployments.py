"""What the database promises about deployments: edges, leases, locks, standings and approvals."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.deploy.deployment import Approval, Deployment, Lock
from bot.domain.deploy.release import Known, Release, Standing
from bot.domain.deploy.states import IllegalEdge, State
from bot.store.approvals import Approvals
from bot.store.database import open_database
from bot.store.deployments import Deployments
from bot.store.leases import Leases
from bot.store.locks import Locks
from bot.store.releases import Releases

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = await open_database(f"sqlite+aiosqlite:///{tmp_path / 'app.sqlite'}")
    yield engine
    await engine.dispose()


def deployment(name: str = "d1") -> Deployment:
    return Deployment(
        id=name,
        number=0,
        repo_id=1,
        repo="octo/app",
        installation_id=2,
        environment="staging",
        kind="deploy",
        state=State.REQUESTED,
        sha="a" * 40,
        created_at=NOW,
        changed_at=NOW,
        expires_at=NOW + HOUR,
    )


async def test_each_deployment_gets_a_number_of_its_own_and_a_repeat_gets_the_first(database: AsyncEngine) -> None:
    store = Deployments(database)
    some = await asyncio.gather(*(store.add(deployment(f"d{n}")) for n in range(5)))
    assert sorted(one.number for one in some) == [1, 2, 3, 4, 5]
    assert await store.add(deployment("d3")) == some[3]


async def test_a_deployment_goes_only_where_an_edge_leads(database: AsyncEngine) -> None:
    store = Deployments(database)
    await store.add(deployment())
    with pytest.raises(IllegalEdge, match="a deployment that is requested cannot become switching"):
        await store.enter("d1", State.SWITCHING, now=NOW)
    await store.enter("d1", State.GATED, now=NOW)
    first = await store.enter("d1", State.DENIED, now=NOW, because="a freeze holds")
    assert first == await store.enter("d1", State.DENIED, now=NOW + HOUR, because="again")
    assert (first.because, first.finished_at) == ("a freeze holds", NOW)
    with pytest.raises(IllegalEdge):
        await store.enter("d1", State.LOCKED, now=NOW)
    assert await store.open() == []


@pytest.mark.deployment(9)
async def test_a_lease_has_one_holder_and_each_new_one_a_higher_token(database: AsyncEngine) -> None:
    leases = Leases(database)
    claims = await asyncio.gather(*(leases.acquire("1:production", f"d{n}", now=NOW, seconds=15) for n in range(4)))
    (held,) = [claim for claim in claims if claim]
    again = await leases.acquire("1:production", held.holder, now=NOW + timedelta(seconds=14), seconds=15)
    assert again is not None
    assert again.token == held.token == 1
    assert await leases.acquire("1:production", "later", now=NOW + timedelta(seconds=28), seconds=15) is None
    later = await leases.acquire("1:production", "later", now=NOW + timedelta(seconds=29), seconds=15)
    assert later is not None
    assert later.token == 2
    assert not await leases.renew("1:production", held.holder, now=NOW + timedelta(seconds=29), seconds=15)
    await leases.release("1:production", held.holder, now=NOW)
    assert await leases.of("1:production") == later, "who has lost it cannot let go of it"


async def test_a_lock_is_one_pull_requests_and_ends_by_itself(database: AsyncEngine) -> None:
    locks = Locks(database)

    def lock(pr: int, since: datetime) -> Lock:
        return Lock(repo_id=1, environment="staging", by="mona", pr=pr, because="", since=since, until=since + 8 * HOUR)

    mine = lock(1, NOW)
    assert await locks.take(mine) == mine
    assert await locks.take(lock(2, NOW + HOUR)) == mine, "the same person's other pull request is kept out"
    longer = lock(1, NOW + HOUR)
    assert await locks.take(longer) == longer
    theirs = lock(2, NOW + 9 * HOUR)
    assert await locks.of(1, "staging", NOW + 9 * HOUR) is None
    assert await locks.take(theirs) == theirs


async def test_what_interlock_keeps_shut_takes_the_place_of_anybodys_lock(database: AsyncEngine) -> None:
    locks = Locks(database)
    mine = Lock(repo_id=1, environment="staging", by="mona", pr=1, because="", since=NOW, until=NOW + HOUR)
    await locks.take(mine)
    shut = Lock(repo_id=1, environment="staging", by="", pr=None, because="two", since=NOW, until=NOW + HOUR)
    await locks.put(shut)
    assert await locks.of(1, "staging", NOW) == shut
    assert await locks.take(mine) == shut


async def test_a_row_that_went_another_way_than_its_journal_is_corrected(database: AsyncEngine) -> None:
    store = Deployments(database)
    await store.add(deployment())
    await store.enter("d1", State.DENIED, now=NOW)
    known = await store.correct("d1", State.BAKING, now=NOW + HOUR, because="the journal says so")
    assert (known.state, known.finished_at) == (State.BAKING, None)


async def test_approvals_of_other_commits_are_found_too(database: AsyncEngine) -> None:
    store = Approvals(database)

    def approval(name: str, sha: str, at: datetime) -> Approval:
        return Approval(
            id=name,
            repo_id=1,
            environment="staging",
            deployment="d1",
            sha=sha * 40,
            artifact="tree:1",
            config="c",
            by="mona",
            given_at=at,
        )

    for one in (approval("a1", "a", NOW), approval("a2", "b", NOW + HOUR), approval("a3", "a", NOW + 2 * HOUR)):
        assert await store.add(one)
    assert [one.id for one in await store.since(1, "staging", NOW + HOUR)] == ["a2", "a3"]
    assert [one.id for one in await store.of(1, "staging", "a" * 40)] == ["a1", "a3"]


async def test_what_is_bad_stays_bad(database: AsyncEngine) -> None:
    releases = Releases(database)
    release = Release(repo_id=1, sha="a" * 40, artifact="tree:" + "b" * 40, config="c" * 64)
    await releases.add(release, now=NOW)
    for standing in (Standing.GOOD, Standing.BAD, Standing.GOOD):
        known = Known(release=release, environment="staging", standing=standing, deployment="d1", at=NOW)
        await releases.stand(known)
    (only,) = await releases.of(1, "staging")
    assert (only.standing, only.release) == (Standing.BAD, release)
    assert await releases.get(release.id) == release
