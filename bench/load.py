"""A small HTTP/1.1 load client: raw asyncio streams, so that the client is not what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

Request = Callable[[int], bytes]
"""The bytes of the nth request, headers and body."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the sorted values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> int:
        """Send a request, read its answer whole, and return its status."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next(int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
        await reader.readexactly(length)
        return int(head.split(b" ", 2)[1])


async def at_rate(port: int, request: Request, *, per_second: float, seconds: float) -> tuple[list[float], int]:
    """Open loop: requests start on time whether or not earlier ones are answered. Returns latencies in s and errors."""
    idle = [Connection(port) for _ in range(64)]
    latencies: list[float] = []
    errors = 0

    async def one(n: int, due: float) -> None:
        nonlocal errors
        connection = idle.pop() if idle else Connection(port)
        status = await connection.send(request(n))
        latencies.append(time.perf_counter() - due)  # from when it was due: a slow server cannot hide its queue
        errors += status >= 400
        idle.append(connection)

    began = time.perf_counter()
    tasks = []
    for n in range(int(per_second * seconds)):
        due = began + n / per_second
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.create_task(one(n, due)))
    await asyncio.gather(*tasks)
    return latencies, errors


async def flat_out(port: int, request: Request, *, connections: int, total: int) -> tuple[float, int]:
    """Closed loop: every connection sends as soon as it was answered. Returns requests a second and errors."""
    left = iter(range(total))
    errors = 0

    async def worker() -> None:
        nonlocal errors
        connection = Connection(port)
        for n in left:
            errors += await connection.send(request(n)) >= 400

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(connections)))
    return total / (time.perf_counter() - began), errors


async def burst(port: int, request: Request, *, connections: int, total: int) -> tuple[list[float], float, int]:
    """Closed loop, as `flat_out`. Returns each answer's latency in s, requests a second, and errors."""
    left = iter(range(total))
    latencies: list[float] = []
    errors = 0

    async def worker() -> None:
        nonlocal errors
        connection = Connection(port)
        for n in left:
            sent = time.perf_counter()
            errors += await connection.send(request(n)) >= 400
            latencies.append(time.perf_counter() - sent)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(connections)))
    return latencies, total / (time.perf_counter() - began), errors
