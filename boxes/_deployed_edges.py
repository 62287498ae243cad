"""What the store says to a deployment in each state that is told to go to each other one. No box, but box 32's process.

Arguments: a file for the database, and the states. Prints rows of (was, told, moved or refused, is).
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from itertools import product

import sqlalchemy as sa

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import IllegalEdge, State
from bot.store.database import open_database
from bot.store.deployments import Deployments

CREATED = datetime(2026, 1, 2, tzinfo=UTC)


async def answers(file: str, states: list[str]) -> list[tuple[str, str, str, str]]:
    """Set a deployment down in each state, as a crash may leave it, and tell it to go to each."""
    engine = await open_database(f"sqlite+aiosqlite:///{file}")
    deployments, rows = Deployments(engine), []
    set_down = sa.text("UPDATE deployments SET state = :state WHERE id = :id")
    for number, (here, there) in enumerate(product(states, repeat=2), start=1):
        wanted = Deployment(
            id=f"{here} to {there}",
            number=number,
            repo_id=1,
            repo="octo/app",
            installation_id=1,
            environment="staging",
            kind="deploy",
            state=State.REQUESTED,
            sha="a" * 40,
            created_at=CREATED,
            changed_at=CREATED,
            expires_at=CREATED,
        )
        await deployments.add(wanted)
        async with engine.begin() as connection:
            await connection.execute(set_down, {"state": here, "id": wanted.id})
        try:
            await deployments.enter(wanted.id, State(there), now=CREATED)
            said = "moved"
        except IllegalEdge:
            said = "refused"
        found = await deployments.get(wanted.id)
        assert found
        rows.append((here, there, said, str(found.state)))
    await engine.dispose()
    return rows


print(json.dumps(asyncio.run(answers(sys.argv[1], sys.argv[2:]))))
