"""Visitors of the demo's application: they keep their connections, never ask twice, and count every answer.

A client that repeats a request, as most libraries do, cannot see what a switch loses.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Self

VISITORS = 8
PAUSE = 0.01
"""Seconds that a visitor looks at a page before the next."""

PATIENCE = 5.0
"""Seconds after which a request is lost."""

_LARGEST_HEAD = 65536


@dataclass(frozen=True, slots=True)
class Tally:
    """What visitors have seen so far: pages that were as they should be, and everything else by what it was."""

    answered: int
    lost: Counter[str]

    def since(self, before: Tally) -> Tally:
        """What came after another look."""
        return Tally(self.answered - before.answered, self.lost - before.lost)


class Load:
    """Visitors who come again and again, while entered.

    Args:
        host: where to.
        port: which.
        path: what they look at.
    """

    def __init__(self, host: str, port: int, path: str = "/") -> None:
        self._host = host
        self._port = port
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
        self._answered = 0
        self._lost: Counter[str] = Counter()
        self._visitors: list[asyncio.Task[None]] = []

    @property
    def tally(self) -> Tally:
        """What they have seen so far."""
        return Tally(self._answered, self._lost.copy())

    async def __aenter__(self) -> Self:
        self._visitors = [asyncio.create_task(self._visit()) for _ in range(VISITORS)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for visitor in self._visitors:
            visitor.cancel()
        await asyncio.gather(*self._visitors, return_exceptions=True)

    async def seen(self, answers: int) -> None:
        """Wait until there were so many more answers, good or not."""
        until = self._total + answers
        while self._total < until:  # noqa: ASYNC110 - it is what visitors do, not an event.
            await asyncio.sleep(PAUSE)

    @property
    def _total(self) -> int:
        return self._answered + self._lost.total()

    async def _visit(self) -> None:
        """One visitor, who comes back with a new connection when the last one broke or was closed."""
        while True:
            writer: asyncio.StreamWriter | None = None
            try:
                async with asyncio.timeout(PATIENCE):
                    reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LARGEST_HEAD)
                while await self._ask(reader, writer):  # noqa: ASYNC110 - as above.
                    await asyncio.sleep(PAUSE)
            except (OSError, EOFError, TimeoutError, LookupError, ValueError, asyncio.LimitOverrunError) as why:
                self._lost[type(why).__name__] += 1
                await asyncio.sleep(PAUSE)
            finally:
                if writer is not None:
                    writer.close()
                    with contextlib.suppress(OSError):
                        await writer.wait_closed()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether the connection can be used for the next one."""
        async with asyncio.timeout(PATIENCE):
            writer.write(self._request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            status, fields = _read(head)
            await reader.readexactly(int(fields.get("content-length", "0")))
        if status == "200":
            self._answered += 1
        else:
            self._lost[status] += 1
        return fields.get("connection") != "close"


def _read(head: str) -> tuple[str, dict[str, str]]:
    """The status of an answer, and its headers by name."""
    first, *lines = head.strip().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if ": " in line)
    return first.split(" ")[1], fields
