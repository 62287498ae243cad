"""The inbox: every delivery that was acknowledged, until its flow is done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError

from bot.store.models import deliveries

Result = TypeVar("Result")

ROOM = 128 * 1024 * 1024
"""Bytes of bodies that wait to be written at the same time; what comes beyond is refused, and GitHub keeps it."""


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
    """Inserts deliveries with one commit for all that wait, and hands out those without a finished flow.

    Args:
        engine: a blocking engine; all use of it happens in one thread of the inbox's own.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox")
        self._waiting: list[tuple[Delivery, asyncio.Future[bool]]] = []
        self._waiting_bytes = 0
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
        self._thread.shutdown(wait=True)
        self._engine.dispose()

    async def add(self, delivery: Delivery) -> bool:
        """Make a delivery durable.

        Returns:
            False when this id was already there.

        Raises:
            InboxUnavailable: it is not durable.
        """
        if self._waiting_bytes + len(delivery.body) > ROOM:
            message = "too much waits to be written"
            raise InboxUnavailable(message)
        self._waiting_bytes += len(delivery.body)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, done))
        self._wake.set()
        try:
            return await done
        finally:
            self._waiting_bytes -= len(delivery.body)

    async def open(self, limit: int = 200) -> list[Delivery]:
        """Deliveries whose flow is not known to be done, oldest first."""
        query = sa.select(deliveries).where(~deliveries.c.flow_done).order_by(deliveries.c.received_at).limit(limit)
        return await self._read(query)

    async def get(self, delivery_id: str) -> Delivery | None:
        """A delivery by id."""
        return next(iter(await self._read(sa.select(deliveries).where(deliveries.c.id == delivery_id))), None)

    async def close(self, outcomes: Sequence[tuple[str, str]]) -> None:
        """Record what became of deliveries: pairs of id and a few words."""
        # Many have the same outcome, and are closed by one statement (see `_insert`).
        by_outcome: dict[str, list[str]] = {}
        for which, what in outcomes:
            by_outcome.setdefault(what[:200], []).append(which)

        def update() -> None:
            with self._engine.begin() as connection:
                for what, ids in by_outcome.items():
                    for some in _batched(ids, _AT_ONCE):
                        closed = sa.update(deliveries).where(deliveries.c.id.in_(some))
                        connection.execute(closed.values(flow_done=True, outcome=what))

        await self._in_thread(update)

    async def empty(self, *, before: datetime) -> int:
        """Drop the bodies of closed deliveries that came before; their ids stay known. Returns how many it were."""
        old = sa.update(deliveries).where(*_closed(before), deliveries.c.body != b"")
        return await self._change(old.values(body=b""))

    async def forget(self, *, before: datetime) -> int:
        """Drop closed deliveries that came before. Returns how many it were."""
        return await self._change(sa.delete(deliveries).where(*_closed(before)))

    async def _change(self, statement: sa.Update | sa.Delete) -> int:
        def change() -> int:
            with self._engine.begin() as connection:
                return int(connection.execute(statement).rowcount)

        return await self._in_thread(change)

    async def known(self, ids: Collection[str]) -> set[str]:
        """Those of `ids` that are here."""

        def look() -> set[str]:
            found: set[str] = set()
            with self._engine.connect() as connection:
                for some in _batched(list(ids), _AT_ONCE):
                    query = sa.select(deliveries.c.id).where(deliveries.c.id.in_(some))
                    found.update(connection.execute(query).scalars())
            return found

        return await self._in_thread(look)

    async def last_received(self) -> datetime | None:
        """When the newest delivery came in; None while there was none."""
        # Twice through the index, once for each value of its first column, in place of once through the table.
        newest = sa.select(sa.func.max(deliveries.c.received_at))

        def look() -> datetime | None:
            with self._engine.connect() as connection:
                found = [
                    connection.execute(newest.where(deliveries.c.flow_done == done)).scalar() for done in (False, True)
                ]
            moments = [moment if moment.tzinfo else moment.replace(tzinfo=UTC) for moment in found if moment]
            return max(moments, default=None)

        return await self._in_thread(look)

    async def count_open(self) -> int:
        """How many deliveries wait for the end of their flow."""
        query = sa.select(sa.func.count()).select_from(deliveries).where(~deliveries.c.flow_done)

        def count() -> int:
            with self._engine.connect() as connection:
                return int(connection.execute(query).scalar_one())

        return await self._in_thread(count)

    async def _read(self, query: sa.Select[Any]) -> list[Delivery]:
        def read() -> list[Delivery]:
            with self._engine.connect() as connection:
                return [Delivery(row.id, row.event, row.body, row.received_at) for row in connection.execute(query)]

        return await self._in_thread(read)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._waiting = self._waiting, []
            if not batch:
                continue
            try:
                new = await self._in_thread(partial(self._insert, [delivery for delivery, _ in batch]))
            except (SQLAlchemyError, OSError) as error:
                for _delivery, done in batch:
                    if not done.done():
                        done.set_exception(InboxUnavailable(type(error).__name__))
                continue
            for delivery, done in batch:
                if not done.done():
                    done.set_result(delivery.id in new)
                new.discard(delivery.id)  # the same id twice in one batch is new once

    def _insert(self, batch: Sequence[Delivery]) -> set[str]:
        """Insert what is not there, and return the ids that were new."""
        rows = [
            {"id": d.id, "event": d.event, "body": d.body, "received_at": d.received_at, "flow_done": False}
            for d in {delivery.id: delivery for delivery in reversed(batch)}.values()
        ]
        with self._engine.begin() as connection:
            # SQLAlchemy makes one statement of them all. Each statement lets go of the interpreter's lock, and gets it
            # back only when the loop that answers GitHub lets go of it in turn.
            return {str(row.id) for row in connection.execute(_INSERT[connection.dialect.name], rows)}


def _closed(before: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return deliveries.c.flow_done, deliveries.c.received_at < before


def _batched(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """The items, at most `size` at a time."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


_AT_ONCE = 500
"""Ids in one statement; databases bound the number of its parameters."""

_INSERT: dict[str, Any] = {
    name: dialect.insert(deliveries).on_conflict_do_nothing().returning(deliveries.c.id)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}
