"""Carries bytes between a client of the egress proxy and an end that it was allowed, within caps.

What TLS hides is not seen here. Only its first message is read, and passed on if it asks for the right host.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runner.services.client_hello import HANDSHAKE, UNRECOGNIZED_NAME, NotAHello, name_in_hello
from runner.services.egress_rules import HTTPS

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.services.egress_rules import End

CHUNK = 65536

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Caps:
    """What one job may use of its way out. Times in seconds; `traffic` in bytes, both ways together."""

    def __init__(
        self,
        *,
        connections: int = 128,
        traffic: int = 8 << 30,
        head: float = 20.0,
        dial: float = 20.0,
        idle: float = 300.0,
        told: int = 20,
    ) -> None:
        self.connections = connections
        self.traffic = traffic
        self.head = head
        self.dial = dial
        self.idle = idle
        self.told = told  # different refusals that are remembered


class Meter:
    """Counts the traffic of one job.

    Args:
        most: bytes.
        remember: told once, when it is too much.
    """

    def __init__(self, most: int, remember: Callable[[str], None]) -> None:
        self.said = f"the cap is {most >> 20} MiB both ways"
        self._left = most
        self._remember = remember

    @property
    def empty(self) -> bool:
        """Whether nothing more may be carried."""
        return self._left < 0

    def count(self, size: int) -> None:
        """Some bytes are about to be carried.

        Raises:
            ConnectionAbortedError: they are too many.
        """
        self._left -= size
        if self.empty:
            self._remember(f"more traffic ({self.said})")
            raise ConnectionAbortedError


class Tunnel:
    """One connection through the proxy.

    Args:
        end: what it leads to.
        near: the client's streams.
        far: the end's.
        caps: for times.
        meter: for bytes.
        remember: told what is refused inside.
    """

    def __init__(
        self, end: End, near: Streams, far: Streams, *, caps: Caps, meter: Meter, remember: Callable[[str], None]
    ) -> None:
        self._end = end
        self._near = near
        self._far = far
        self._caps = caps
        self._meter = meter
        self._remember = remember
        self._active = asyncio.get_running_loop().time()

    async def carry(self) -> None:
        """Both directions, until both have ended or neither has moved for `caps.idle`.

        Raises:
            OSError: it broke, was cut off or refused.
        """
        ways = [asyncio.create_task(self._speak()), asyncio.create_task(self.answer())]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def answer(self) -> None:
        """What the end says."""
        await self._copy(self._far[0], self._near[1])

    async def _speak(self) -> None:
        """What the client says: of TLS only if it asks for the host that the tunnel leads to."""
        first = await self._read(self._near[0])
        if first and (self._end.port == HTTPS or first[0] == HANDSHAKE):
            first = await self._greeting(first)
        self._meter.count(len(first))
        self._far[1].write(first)
        await self._copy(self._near[0], self._far[1])

    async def _greeting(self, data: bytes) -> bytes:
        """Read on until the name is known that the client asks for.

        Raises:
            ConnectionAbortedError: it is another one. Nothing of it was sent.
        """
        try:
            async with asyncio.timeout(self._caps.head):
                while (name := name_in_hello(data)) is None:
                    part = await self._near[0].read(CHUNK)
                    if not part:
                        raise ConnectionAbortedError
                    data += part
        except NotAHello as why:
            if self._end.port != HTTPS:
                return data  # it only began like TLS.
            self._remember(f"{self._end} ({why}; port {HTTPS} is for TLS alone)")
            raise ConnectionAbortedError from None
        if name != ("" if self._end.address else self._end.host):
            self._remember(f"{self._end} (the TLS inside asks for {name[:253] or 'no name'})")
            self._near[1].write(UNRECOGNIZED_NAME)
            raise ConnectionAbortedError
        return data

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """All of one direction; its end closes that direction and no more."""
        while part := await self._read(source):
            self._meter.count(len(part))
            target.write(part)
            async with asyncio.timeout(self._caps.idle):
                await target.drain()
        if target.can_write_eof():
            target.write_eof()

    async def _read(self, source: asyncio.StreamReader) -> bytes:
        """The next bytes of one direction; a direction may be still for as long as the other one is not."""
        loop = asyncio.get_running_loop()
        reading = asyncio.ensure_future(source.read(CHUNK))
        try:
            while not reading.done():
                left = self._active + self._caps.idle - loop.time()
                if left <= 0:
                    raise TimeoutError
                await asyncio.wait((reading,), timeout=left)
        finally:
            reading.cancel()
        self._active = loop.time()
        return reading.result()
