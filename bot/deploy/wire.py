"""One question over HTTP/1.1 to a port or a unix socket, and its answer; nothing is asked twice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

_MOST = 4 * 1024 * 1024


class NoAnswer(Exception):
    """Nothing answered, or nothing that is HTTP. The message says what happened, in few words."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    status: int
    body: bytes


async def get(where: tuple[str, int] | Path, path: str, *, timeout: float, host: str = "127.0.0.1") -> Reply:  # noqa: ASYNC109 - part of what is asked.
    """Ask for a path.

    Raises:
        NoAnswer: see there.
    """
    try:
        async with asyncio.timeout(timeout), connected(where) as (reader, writer):
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            head = await reader.readuntil(b"\r\n\r\n")
            status = int(head.split(b" ", 2)[1])
            return Reply(status, await _body(reader, head.lower()))
    except TimeoutError:
        message = f"no answer within {timeout:g} s"
        raise NoAnswer(message) from None
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as refused:
        message = (getattr(refused, "strerror", "") or str(refused) or "no answer").lower()
        raise NoAnswer(message) from refused


@contextlib.asynccontextmanager
async def connected(where: tuple[str, int] | Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a port, or to a unix socket at a path of any length."""
    if isinstance(where, tuple):
        reader, writer = await asyncio.open_connection(*where)
    else:
        reader, writer = await _to_socket(where)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _to_socket(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if len(os.fsencode(path)) < 100:
        return await asyncio.open_unix_connection(path)
    # An address has room for 107 bytes, a path may be longer.
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if b"\r\ntransfer-encoding: chunked" in head:
        return await _chunks(reader)
    if (length := re.search(rb"\r\ncontent-length: *([0-9]+)", head)) is not None:
        return await reader.readexactly(min(int(length[1]), _MOST))
    found = b""
    while len(found) < _MOST and (more := await reader.read(65536)):
        found += more
    return found


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while len(found) < _MOST and (size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)):
        if size > _MOST:
            message = "the answer is too long"
            raise NoAnswer(message)
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    return found
