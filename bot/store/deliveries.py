"""The inbox: every delivery that was acknowledged, until its flow is done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bot.store.models import deliveries


@dataclass(frozen=True, slots=True)
class Delivery:
    """One webhook as GitHub sent it. `id` is GitHub's delivery id."""

    id: str
    event: str
    body: bytes
    received_at: datetime


class InboxUnavailable(Exception):
    """The delivery could not be made durable; GitHub must be told so, and will list it as failed."""


class Inbox:
    """Inserts deliveries with one commit for all that wait, and hands out those without a finished flow."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: list[tuple[Delivery, asyncio.Future[bool]]] = []
        self._wake = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to write what `add` is given."""
        self._writer = asyncio.create_task(self._write(), name="inbox")

    async def stop(self) -> None:
        """Stop the writer; what was acknowledged is on disk, what was not is refused."""
        if self._writer:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
        for _delivery, done in self._waiting:
            done.cancel()

    async def add(self, delivery: Delivery) -> bool:
        """Make a delivery durable.

        Returns:
            False when this id was already there.

        Raises:
            InboxUnavailable: it is not durable.
        """
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, done))
        self._wake.set()
        return await done

    async def open(self, limit: int = 200) -> list[Delivery]:
        """Deliveries whose flow is not known to be done, oldest first."""
        query = sa.select(deliveries).where(~deliveries.c.flow_done).order_by(deliveries.c.received_at).limit(limit)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
            return [Delivery(row.id, row.event, row.body, row.received_at) for row in rows]

    async def get(self, delivery_id: str) -> Delivery | None:
        """A delivery by id."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(sa.select(deliveries).where(deliveries.c.id == delivery_id))).first()
        return Delivery(row.id, row.event, row.body, row.received_at) if row else None

    async def close(self, outcomes: Sequence[tuple[str, str]]) -> None:
        """Record what became of deliveries: pairs of id and a few words."""
        statement = (
            sa.update(deliveries)
            .where(deliveries.c.id == sa.bindparam("which"))
            .values(flow_done=True, outcome=sa.bindparam("what"))
        )
        async with self._engine.begin() as connection:
            await connection.execute(statement, [{"which": which, "what": what[:200]} for which, what in outcomes])

    async def count_open(self) -> int:
        """How many deliveries wait for the end of their flow."""
        query = sa.select(sa.func.count()).select_from(deliveries).where(~deliveries.c.flow_done)
        async with self._engine.connect() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if not batch:
                continue
            try:
                async with self._engine.begin() as connection:
                    new = await _insert(connection, [delivery for delivery, _ in batch])
            except (SQLAlchemyError, OSError) as error:
                for _delivery, done in batch:
                    if not done.done():
                        done.set_exception(InboxUnavailable(type(error).__name__))
                continue
            for delivery, done in batch:
                if not done.done():
                    done.set_result(delivery.id in new)
                new.discard(delivery.id)  # the same id twice in one batch is new once


async def _insert(connection: AsyncConnection, batch: Sequence[Delivery]) -> set[str]:
    """Insert what is not there and return the ids that were new."""
    ids = {delivery.id for delivery in batch}
    known = set((await connection.execute(sa.select(deliveries.c.id).where(deliveries.c.id.in_(ids)))).scalars())
    rows = {
        d.id: {"id": d.id, "event": d.event, "body": d.body, "received_at": d.received_at, "flow_done": False}
        for d in reversed(batch)
        if d.id not in known
    }
    if rows:
        await connection.execute(sa.insert(deliveries), list(rows.values()))
    return set(rows)
