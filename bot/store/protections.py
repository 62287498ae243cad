"""What GitHub's environments have asked, and what they were answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.models import protections
from bot.store.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """A job of a workflow waits for our rule. `answer` is `approved`, `rejected`, or "" while it waits.

    Attributes:
        id: of the repository, the workflow run and the environment.
        sha: of the deployment, as GitHub says it.
        due_at: when it is answered at the latest, whatever the gates say: GitHub gives up later than that.
    """

    id: str
    repo_id: int
    repo: str
    installation_id: int
    environment: str
    workflow_run: int
    sha: str
    ref: str = ""
    requested_by: str = ""
    asked_at: datetime
    due_at: datetime
    answer: str = ""
    because: str = ""
    answered_at: datetime | None = None


class Protections:
    """All of them."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def add(self, protection: Protection) -> bool:
        """Remember what was asked; False when it is known already."""
        return await self._rows.insert_once(
            protections, {name: getattr(protection, name) for name in Protection.__slots__}
        )

    async def get(self, protection_id: str) -> Protection | None:
        """One by its id."""
        row = await self._rows.first(sa.select(protections).where(protections.c.id == protection_id))
        return Protection(**row) if row else None

    async def open(self) -> list[Protection]:
        """Those that wait, the most urgent first."""
        query = sa.select(protections).where(protections.c.answer == "").order_by(protections.c.due_at)
        return [Protection(**row) for row in await self._rows.all(query)]

    async def answer(self, protection_id: str, answer: str, *, because: str, now: datetime) -> bool:
        """Remember the answer; False when there was one already, which stays."""
        key = (protections.c.id == protection_id, protections.c.answer == "")
        values = {"answer": answer, "because": because, "answered_at": now}
        return bool(await self._rows.write(sa.update(protections).where(*key).values(**values)))
