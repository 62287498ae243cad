"""Locks that people hold on environments. One an environment; each ends by itself."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.deploy.deployment import Lock
from bot.store.models import locks
from bot.store.rows import Rows


class Locks:
    """All locks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def of(self, repo_id: int, environment: str, now: datetime) -> Lock | None:
        """The lock that holds now, or None."""
        key = (locks.c.repo_id == repo_id, locks.c.environment == environment, locks.c.until > now)
        row = await self._rows.first(sa.select(locks).where(*key))
        return Lock(**row) if row else None

    async def take(self, lock: Lock) -> Lock:
        """Take a lock that nobody else holds; whose it is now. Who takes it again keeps it, with the new end."""
        fields = {name: getattr(lock, name) for name in Lock.__slots__}
        if not await self._rows.insert_once(locks, fields):
            mine = (locks.c.by == lock.by) & (locks.c.pr == lock.pr if lock.pr is not None else locks.c.pr.is_(None))
            key = (locks.c.repo_id == lock.repo_id, locks.c.environment == lock.environment)
            await self._rows.write(sa.update(locks).where(*key, mine | (locks.c.until <= lock.since)).values(**fields))
        held = await self.of(lock.repo_id, lock.environment, lock.since)
        return held or lock

    async def put(self, lock: Lock) -> None:
        """Take a lock whoever holds it: what Interlock itself keeps shut gives way to nobody's lock."""
        await self._rows.upsert(locks, {name: getattr(lock, name) for name in Lock.__slots__})

    async def release(self, repo_id: int, environment: str) -> bool:
        """Let go; whether there was a lock."""
        key = (locks.c.repo_id == repo_id, locks.c.environment == environment)
        return bool(await self._rows.write(sa.delete(locks).where(*key)))

    async def release_of_pull(self, repo_id: int, pr: int) -> int:
        """Let go of everything that a pull request holds; how many locks that were."""
        return await self._rows.write(sa.delete(locks).where(locks.c.repo_id == repo_id, locks.c.pr == pr))
