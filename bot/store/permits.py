"""Who let which head of a stranger run. A permit is for exactly one SHA: the next push has none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.store.models import permits
from bot.store.rows import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """One `/ok-to-test`.

    `covers` has the keys of the weakenings that had been shown when it was written, one a line; the permit accepts
    these and no others. `void_because` is "" while it holds.
    """

    repo_id: int
    pr: int
    head_sha: str
    by: str
    comment_id: int
    given_at: datetime
    void_because: str = ""
    covers: str = ""


class Permits:
    """All permits that were ever given."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def give(self, permit: Permit) -> None:
        """Remember a permit; a later one for the same head takes the place of an earlier one."""
        fields = {name: getattr(permit, name) for name in Permit.__slots__}
        await self._rows.upsert(permits, fields)

    async def of(self, repo_id: int, pr: int, head_sha: str) -> Permit | None:
        """The permit of a head that holds, or None."""
        key = (permits.c.repo_id == repo_id, permits.c.pr == pr, permits.c.head_sha == head_sha)
        row = await self._rows.first(sa.select(permits).where(*key, permits.c.void_because == ""))
        return Permit(**row) if row else None

    async def withdrawn(self, repo_id: int, pr: int, head_sha: str) -> str:
        """Why the last permit of a head holds no more, in words; "" when there was none, or it does hold."""
        key = (permits.c.repo_id == repo_id, permits.c.pr == pr, permits.c.head_sha == head_sha)
        row = await self._rows.first(sa.select(permits).where(*key))
        return str(row["void_because"]) if row else ""

    async def by_comment(self, repo_id: int, comment_id: int) -> list[Permit]:
        """What a comment permitted, void or not."""
        key = (permits.c.repo_id == repo_id, permits.c.comment_id == comment_id)
        return [Permit(**row) for row in await self._rows.all(sa.select(permits).where(*key))]

    async def void(self, repo_id: int, comment_id: int, *, because: str) -> int:
        """Take back what a comment permitted; how many permits that were. The row stays for whoever asks later."""
        key = (permits.c.repo_id == repo_id, permits.c.comment_id == comment_id, permits.c.void_because == "")
        return await self._rows.write(sa.update(permits).where(*key).values(void_because=because))
