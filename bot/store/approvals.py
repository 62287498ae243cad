"""Who said yes or no to which release. Rows are only added, or made void with a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.deploy.deployment import Approval
from bot.store.models import approvals
from bot.store.rows import Rows


class Approvals:
    """All approvals that were ever given."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def add(self, approval: Approval) -> bool:
        """Remember an approval; False when this command gave it already."""
        fields = {name: getattr(approval, name) for name in Approval.__slots__}
        return await self._rows.insert_once(approvals, {**fields, "as_who": " ".join(approval.as_who)})

    async def get(self, approval_id: str) -> Approval | None:
        """One by the id of the command that gave it."""
        row = await self._rows.first(sa.select(approvals).where(approvals.c.id == approval_id))
        return _approval(row) if row else None

    async def of(self, repo_id: int, environment: str, sha: str) -> list[Approval]:
        """Those that were given for a commit in an environment, void or not, oldest first."""
        key = (approvals.c.repo_id == repo_id, approvals.c.environment == environment, approvals.c.sha == sha)
        query = sa.select(approvals).where(*key).order_by(approvals.c.given_at, approvals.c.id)
        return [_approval(row) for row in await self._rows.all(query)]

    async def since(self, repo_id: int, environment: str, at: datetime) -> list[Approval]:
        """Those that were given in an environment since then, for any commit, oldest first."""
        key = (approvals.c.repo_id == repo_id, approvals.c.environment == environment, approvals.c.given_at >= at)
        query = sa.select(approvals).where(*key).order_by(approvals.c.given_at, approvals.c.id)
        return [_approval(row) for row in await self._rows.all(query)]

    async def void(self, approval_id: str, *, because: str) -> None:
        """Take one back; the first reason stays."""
        key = (approvals.c.id == approval_id, approvals.c.void_because == "")
        await self._rows.write(sa.update(approvals).where(*key).values(void_because=because))

    async def void_of_comment(self, repo_id: int, comment_id: int, *, because: str) -> int:
        """Take back what a comment approved; how many approvals that were."""
        key = (approvals.c.repo_id == repo_id, approvals.c.comment_id == comment_id, approvals.c.void_because == "")
        return await self._rows.write(sa.update(approvals).where(*key).values(void_because=because))


def _approval(row: dict[str, Any]) -> Approval:
    return Approval(**{**row, "as_who": tuple(row["as_who"].split())})
