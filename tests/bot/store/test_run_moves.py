"""The store lets runs move along the edges of `bot.domain.run_states`, whoever asks at the same time."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.domain.run_states import IllegalMove, RunState, may_become
from bot.store.database import open_database
from bot.store.runs import RunStore

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FACTS = {
    "installation_id": 1,
    "repo_id": 2,
    "repo": "o/r",
    "pr": 3,
    "base_ref": "main",
    "base_sha": "",
    "head_sha": "a",
}


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[RunStore]:
    engine = await open_database(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite")
    yield RunStore(engine)
    await engine.dispose()


async def in_state(runs: RunStore, run_id: str, state: RunState) -> None:
    await runs.create(run_id, now=NOW, **FACTS)
    async with runs._engine.begin() as connection:
        await connection.execute(
            sa.text("UPDATE runs SET state = :state WHERE id = :id"), {"state": state, "id": run_id}
        )


async def test_an_illegal_move_is_refused_and_changes_nothing(runs: RunStore) -> None:
    for now, wanted in itertools.product(RunState, repeat=2):
        run_id = f"{now}-{wanted}"
        await in_state(runs, run_id, now)
        if may_become(now, wanted):
            await runs.enter(run_id, wanted, because="moved")
            expected = (wanted, "moved")
        else:
            with pytest.raises(IllegalMove, match=f"{run_id} is {now} and cannot become {wanted}"):
                await runs.enter(run_id, wanted, because="moved")
            expected = (now, "")
        run = await runs.get(run_id)
        assert run
        assert (run.state, run.because) == expected, run_id


async def test_of_two_ends_at_the_same_time_one_is_refused(runs: RunStore) -> None:
    await in_state(runs, "r", RunState.RUNNING)
    ends = [RunState.FINISHED, RunState.CANCELLED, RunState.SUPERSEDED, RunState.REFUSED]
    answers = await asyncio.gather(*(runs.enter("r", end) for end in ends), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["IllegalMove"] * 3 + ["NoneType"]
    run = await runs.get("r")
    assert run
    assert answers[ends.index(run.state)] is None


async def test_a_state_is_not_changed_in_passing(runs: RunStore) -> None:
    await in_state(runs, "r", RunState.CANCELLED)
    with pytest.raises(AssertionError, match="`enter`"):
        await runs.update("r", state=RunState.RUNNING)
