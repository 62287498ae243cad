"""What the store says to a run in each state that is told to go to each other one. No box, but box 31's process.

Arguments: a file for the database, and the states. Prints rows of (was, told, moved or refused, is).
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from itertools import product

import sqlalchemy as sa

from bot.domain.run_states import IllegalMove, RunState
from bot.store.database import open_database
from bot.store.runs import RunStore

FACTS = {
    "installation_id": 1,
    "repo_id": 2,
    "repo": "octo/app",
    "pr": 3,
    "base_ref": "main",
    "base_sha": "",
    "head_sha": "a",
}
CREATED = datetime(2026, 1, 2, tzinfo=UTC)


async def answers(file: str, states: list[str]) -> list[tuple[str, str, str, str]]:
    """Set a run down in each state, as a crash may leave it, and tell it to go to each."""
    engine = await open_database(f"sqlite+aiosqlite:///{file}")
    runs, rows = RunStore(engine), []
    set_down = sa.text("UPDATE runs SET state = :state WHERE id = :id")
    for now, told in product(states, repeat=2):
        name = f"{now} to {told}"
        await runs.create(name, now=CREATED, **FACTS)
        async with engine.begin() as connection:
            await connection.execute(set_down, {"state": now, "id": name})
        try:
            await runs.enter(name, RunState(told))
            said = "moved"
        except IllegalMove:
            said = "refused"
        run = await runs.get(name)
        assert run
        rows.append((now, told, said, str(run.state)))
    await engine.dispose()
    return rows


print(json.dumps(asyncio.run(answers(sys.argv[1], sys.argv[2:]))))
