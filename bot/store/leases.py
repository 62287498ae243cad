"""Claims that expire. Each new holder gets a higher token, so that what an older one still does can be refused."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.deploy.deployment import Lease
from bot.store.models import leases
from bot.store.rows import Rows


class Leases:
    """All leases."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def of(self, key: str) -> Lease | None:
        """The last lease of a key, held or not; None if nobody ever held it."""
        row = await self._rows.first(sa.select(leases).where(leases.c.key == key))
        return Lease(**row) if row else None

    async def acquire(self, key: str, holder: str, *, now: datetime, seconds: float) -> Lease | None:
        """Claim a key; None while somebody else holds it. Whoever holds it already keeps the token."""
        until = now + timedelta(seconds=seconds)
        if await self._rows.insert_once(leases, {"key": key, "holder": holder, "token": 1, "expires_at": until}):
            return await self.of(key)
        if await self.renew(key, holder, now=now, seconds=seconds):
            return await self.of(key)
        free = (leases.c.expires_at <= now) | (leases.c.holder == "")
        values = {"holder": holder, "token": leases.c.token + 1, "expires_at": until}
        await self._rows.write(sa.update(leases).where(leases.c.key == key, free).values(**values))
        lease = await self.of(key)
        return lease if lease and lease.holder == holder else None

    async def renew(self, key: str, holder: str, *, now: datetime, seconds: float) -> bool:
        """Hold it longer; False when it was lost."""
        key_of = (leases.c.key == key, leases.c.holder == holder, leases.c.expires_at > now)
        values = {"expires_at": now + timedelta(seconds=seconds)}
        return bool(await self._rows.write(sa.update(leases).where(*key_of).values(**values)))

    async def release(self, key: str, holder: str, *, now: datetime) -> None:
        """Let go; the token stays, so that the next holder's is higher."""
        key_of = (leases.c.key == key, leases.c.holder == holder)
        await self._rows.write(sa.update(leases).where(*key_of).values(holder="", expires_at=now))
