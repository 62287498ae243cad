"""What GitHub's environments have asked, and what they were answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.models import protections
from bot.store.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """A job of a workflow waits for our rule.

    Attributes:
        id: of the repository and GitHub's deployment: a job that is tried again is another one.
        sha: of the deployment, as GitHub says it.
        ref: the branch that GitHub says it is of.
        pr: the pull request whose head it is, None for none.
        requested_by: login of who started the workflow.
        due_at: when it is answered at the latest, whatever the gates say: GitHub gives up later than that.
        told: how it stands, as GitHub was told last; "" before it was told.
        comments: how often it was told.
        answer: `approved`, `rejected`, or "" before any was sent. Until `answered_at` nobody knows whether it arrived.
        because: why.
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
    pr: int | None = None
    asked_at: datetime
    due_at: datetime
    told: str = ""
    comments: int = 0
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

    async def open(self, repo_id: int | None = None, environment: str | None = None) -> list[Protection]:
        """Those that wait, the most urgent first; of everything, a repository, or one of its environments."""
        key: list[sa.ColumnElement[bool]] = [protections.c.answered_at.is_(None)]
        if repo_id is not None:
            key.append(protections.c.repo_id == repo_id)
        if environment is not None:
            key.append(protections.c.environment == environment)
        query = sa.select(protections).where(*key).order_by(protections.c.due_at, protections.c.id)
        return [Protection(**row) for row in await self._rows.all(query)]

    async def tell(self, protection_id: str, told: str) -> None:
        """Remember how GitHub was told that it stands."""
        await self._change(protection_id, told=told, comments=protections.c.comments + 1)

    async def send(self, protection_id: str, answer: str, *, because: str) -> None:
        """Remember which answer is about to be sent."""
        await self._change(protection_id, answer=answer, because=because)

    async def close(self, protection_id: str, *, now: datetime) -> bool:
        """It was answered, or nothing waits for an answer any more; False when that was known."""
        return await self._change(protection_id, answered_at=now)

    async def _change(self, protection_id: str, **values: Any) -> bool:
        key = (protections.c.id == protection_id, protections.c.answered_at.is_(None))
        return bool(await self._rows.write(sa.update(protections).where(*key).values(**values)))
