"""The door behind its real server, spoken to in bytes: what a proxy, a slow line or an enemy may send."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from bot.store.database import open_database, open_writer
from bot.store.deliveries import Inbox
from bot.web import patience, webhooks
from bot.web.patience import PatientProtocol
from bot.web.webhooks import MAX_BODY, Webhooks

SECRET = b"secret"


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 2, tzinfo=UTC)


class Wire:
    """A door on a port."""

    def __init__(self, port: int, inbox: Inbox) -> None:
        self.port, self.inbox = port, inbox

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def say(self, *pieces: bytes) -> bytes:
        """Send, and read until the server closes or an answer is whole; b"" when it closed without one."""
        reader, writer = await self.open()
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
        answer = await read(reader)
        writer.close()
        return answer


async def read(reader: asyncio.StreamReader) -> bytes:
    """One answer, whole; as much as came when the connection ended."""
    async with asyncio.timeout(30):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
            )
            return head + await reader.readexactly(length)
        except asyncio.IncompleteReadError as ended:
            return ended.partial
        except ConnectionError:
            return b""


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


def head(body: bytes, *more: str, length: str = "", guid: str = "0123-4567-89ab") -> bytes:
    signature = hmac.new(SECRET, body, hashlib.sha256).hexdigest()
    lines = [
        "POST /webhooks HTTP/1.1",
        "Host: bot",
        "Content-Type: application/json",
        "X-GitHub-Event: push",
        f"X-GitHub-Delivery: {guid}",
        f"X-Hub-Signature-256: sha256={signature}",
        *([] if length == "none" else [f"Content-Length: {length or len(body)}"]),
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite")
    inbox = Inbox(open_writer(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite"))
    await inbox.start()
    door = Webhooks(
        inbox=inbox,
        secrets=("secret",),
        clock=FixedClock(),
        accepted=lambda _delivery: None,
        draining=lambda: False,
        app_id=42,
    )
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(door, http=PatientProtocol, ws="none", lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve([listener]))
    yield Wire(listener.getsockname()[1], inbox)
    server.should_exit = True
    server.force_exit = True
    await serving
    await inbox.stop()
    await database.dispose()


async def test_a_delivery_comes_in_one_piece_or_many(wire: Wire) -> None:
    assert status(await wire.say(head(b"{}"), b"{}")) == 202
    whole = head(b'{"a": 1}', guid="another-guid") + b'{"a": 1}'
    assert status(await wire.say(*(whole[at : at + 1] for at in range(len(whole))))) == 202
    chunked = head(b'{"a": 2}', "Transfer-Encoding: chunked", length="none", guid="chunked-guid")
    assert status(await wire.say(chunked, b'3\r\n{"a\r\n5\r\n": 2}\r\n0\r\n\r\n')) == 202
    assert {delivery.body for delivery in await wire.inbox.open()} == {b"{}", b'{"a": 1}', b'{"a": 2}'}


@pytest.mark.requirement("S-21")
async def test_the_largest_body_fits_and_one_byte_more_does_not(wire: Wire) -> None:
    largest = b" " * MAX_BODY
    assert status(await wire.say(head(largest), largest)) == 202
    assert status(await wire.say(head(largest + b" ", guid="one-byte-more"), largest + b" ")) == 413
    endless = head(b"", "Transfer-Encoding: chunked", length="none", guid="endless-guid")
    piece = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    assert status(await wire.say(endless, *([piece] * 30))) == 413
    assert await wire.inbox.count_open() == 1


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        pytest.param(head(b"{}", length="1") + b"{}", {401}, id="a-length-that-is-too-small"),
        pytest.param(head(b"{}", length="99999999999999999999") + b"{}", {400, 413}, id="a-length-beyond-all"),
        pytest.param(head(b"{}", length="-2") + b"{}", {400}, id="a-negative-length"),
        pytest.param(head(b"{}", length="2, 2") + b"{}", {202, 400}, id="a-length-said-twice-in-one"),
        pytest.param(head(b"{}", "Content-Length: 3") + b"{}", {400}, id="two-lengths"),
        pytest.param(head(b"{}", "Transfer-Encoding: gzip") + b"{}", {400, 501}, id="an-unknown-transfer-encoding"),
        pytest.param(head(b"{}", "X-Hub-Signature-256: sha256=00") + b"{}", {400}, id="two-signatures"),
        pytest.param(head(b"{}", "X-Hub-Signature-256 : sha256=00") + b"{}", {400}, id="a-space-before-the-colon"),
        pytest.param(head(b"{}", "X-A: b\r\n X-GitHub-Event: pull_request") + b"{}", {202, 400}, id="a-folded-header"),
        pytest.param(head(b"{}", "X-Big: " + "x" * 70_000) + b"{}", {400, 431}, id="a-huge-header"),
        pytest.param(head(b"{}", *(f"X-{n}: y" for n in range(20_000))) + b"{}", {400, 431}, id="many-headers"),
        pytest.param(head(b"{}", "X-Nul: a\x00b") + b"{}", {400}, id="a-nul"),
        pytest.param(head(b"{}", "Upgrade: websocket", "Connection: Upgrade") + b"{}", {202}, id="an-upgrade"),
        pytest.param(head(b"{}", "Content-Encoding: gzip") + b"{}", {415}, id="compressed"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 80 + b"\r\n\r\n", {400}, id="tls"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405}, id="http-2"),
    ],
)
async def test_no_trick_with_a_head_gets_more_than_an_answer(wire: Wire, said: bytes, answers: set[int]) -> None:
    answer = status(await wire.say(said))
    assert answer in answers
    assert await wire.inbox.count_open() == (answer == 202)
    assert [delivery.event for delivery in await wire.inbox.open()] == ["push"] * (answer == 202)
    assert status(await wire.say(head(b"[]", guid="still-answering") + b"[]")) == 202


async def test_two_requests_at_once_are_two_deliveries(wire: Wire) -> None:
    reader, writer = await wire.open()
    writer.write(head(b"{}", guid="first-guid") + b"{}" + head(b"[]", guid="second-guid") + b"[]")
    assert [status(await read(reader)), status(await read(reader))] == [202, 202]
    assert {delivery.id for delivery in await wire.inbox.open()} == {"first-guid", "second-guid"}
    writer.close()


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"POST /webhooks HT", id="half-a-line"),
        pytest.param(head(b"{}")[:-2], id="all-but-the-end-of-the-head"),
    ],
)
async def test_a_head_that_does_not_come_is_not_waited_for(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.1)
    assert await wire.say(begun) == b""


async def cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send byte after byte until the server has closed the connection."""
    ended = asyncio.create_task(reader.read())
    async with asyncio.timeout(30):
        while not ended.done():
            writer.write(b"X")
            await asyncio.wait({ended}, timeout=0.02)
    with contextlib.suppress(ConnectionError):
        assert await ended == b"", "no other answer came"
    writer.close()


async def test_a_head_that_trickles_in_is_not_waited_for(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.2)
    reader, writer = await wire.open()
    # Behind an answer on the same connection too, where uvicorn's own patience ends with the first byte.
    writer.write(head(b"{}") + b"{}")
    assert status(await read(reader)) == 202
    await cut_off(reader, writer)


async def test_a_body_that_trickles_in_is_answered_and_cut_off(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "READ_SECONDS", 0.1)
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.1)
    reader, writer = await wire.open()
    writer.write(head(b"x" * 100_000) + b"x")
    assert status(await read(reader)) == 408
    await cut_off(reader, writer)


async def test_a_body_after_its_refusal_is_not_waited_for(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_SECONDS", 0.1)
    reader, writer = await wire.open()
    writer.write(head(b"x" * 100_000, "Content-Encoding: br") + b"x")
    assert status(await read(reader)) == 415
    await cut_off(reader, writer)
