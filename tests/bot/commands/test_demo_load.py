"""The demo's visitors, who must see every loss."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from bot.commands.demo_load import VISITORS, Load, Tally

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def answer(status: str = "200 OK", *, connection: str = "keep-alive") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: {connection}\r\n\r\nok".encode()


async def visited(serve: Serve, answers: int = 40) -> tuple[Tally, int]:
    """What visitors have seen, and how many connections they made for it."""
    connections = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, Load(host, port) as load:
        await load.seen(answers)
        tally = load.tally
    return tally, connections


async def test_visitors_keep_their_connections() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(answer())

    tally, connections = await visited(serve)
    assert (tally.answered >= 40, tally.lost) == (True, Counter())
    assert connections == VISITORS


async def test_a_connection_that_the_server_closes_politely_loses_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer(connection="close"))

    tally, connections = await visited(serve)
    assert (tally.answered >= 40, tally.lost) == (True, Counter())
    assert connections >= 40


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        pytest.param(answer("503 Busy"), "503", id="an-error"),
        pytest.param(answer("302 Found"), "302", id="not-the-page"),
        pytest.param(b"", "IncompleteReadError", id="no-answer"),
        pytest.param(answer()[:-1], "IncompleteReadError", id="half-an-answer"),
        pytest.param(b"nonsense\r\n\r\n", "IndexError", id="nonsense"),
    ],
)
async def test_whatever_else_comes_back_is_lost(said: bytes, lost: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)

    tally, _ = await visited(serve)
    assert (tally.answered, tally.lost[lost] > 0) == (0, True)


async def test_nobody_there_is_lost_too() -> None:
    async with Load("127.0.0.1", 1) as load:
        await load.seen(8)
    assert set(load.tally.lost) == {"ConnectionRefusedError"}


def test_what_came_since_is_told_apart() -> None:
    before, after = Tally(3, Counter({"503": 1})), Tally(5, Counter({"503": 1, "502": 2}))
    assert after.since(before) == Tally(2, Counter({"502": 2}))
