"""Just enough of PostgreSQL's protocol to ask a throwaway server to make and drop what boxes use.

Source: https://www.postgresql.org/docs/current/protocol-flow.html
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from runner.services.server import address

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROTOCOL = 3 << 16
_OK = 0
_CLEARTEXT = 3


class PostgresRefused(OSError):
    """The server answered with an error: it starts up, shuts down, or did not accept a command."""


async def execute(socket: str, *, user: str, password: str, database: str, commands: Sequence[str]) -> list[list[str]]:
    """Run commands one after the other, each in a transaction of its own.

    Args:
        socket: the server's unix socket.
        user: who logs in, with a password that the server takes in the clear.
        password: see there.
        database: where.
        commands: SQL.

    Returns:
        The rows of the last command; NULL is "".

    Raises:
        OSError: the server is not there, or refused something; nothing after that was run.
    """
    reader, writer = await asyncio.open_unix_connection(address(socket))
    rows: list[list[str]] = []
    try:
        writer.write(_startup(user, database))
        await _log_in(reader, writer, password)
        for command in commands:
            writer.write(_message(b"Q", command.encode() + b"\0"))
            rows = await _until_ready(reader)
        writer.write(_message(b"X", b""))
    except asyncio.IncompleteReadError as error:
        raise ConnectionError("the server hung up") from error
    finally:
        writer.close()
    return rows


def _startup(user: str, database: str) -> bytes:
    body = struct.pack("!i", _PROTOCOL)
    body += b"".join(word.encode() + b"\0" for word in ("user", user, "database", database)) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    (length,) = struct.unpack("!i", await reader.readexactly(4))
    body = await reader.readexactly(length - 4)
    if kind == b"E":
        fields = {part[:1]: part[1:].decode("utf-8", "replace") for part in body.split(b"\0") if part}
        message = f"postgres: {fields.get(b'M', 'an error')}"
        raise PostgresRefused(message)
    return kind, body


async def _log_in(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, password: str) -> None:
    while True:
        kind, body = await _read(reader)
        if kind != b"R":
            continue
        (asked,) = struct.unpack("!i", body[:4])
        if asked == _OK:
            await _until_ready(reader)
            return
        if asked != _CLEARTEXT:
            message = f"postgres asks for authentication {asked}, which is not how it was set up"
            raise PostgresRefused(message)
        writer.write(_message(b"p", password.encode() + b"\0"))


async def _until_ready(reader: asyncio.StreamReader) -> list[list[str]]:
    rows: list[list[str]] = []
    while True:
        kind, body = await _read(reader)
        if kind == b"D":
            rows.append(_row(body))
        if kind == b"Z":
            return rows


def _row(body: bytes) -> list[str]:
    (count,) = struct.unpack("!h", body[:2])
    columns, at = [], 2
    for _ in range(count):
        (length,) = struct.unpack("!i", body[at : at + 4])
        at += 4
        columns.append(body[at : at + max(length, 0)].decode("utf-8", "replace"))
        at += max(length, 0)
    return columns
