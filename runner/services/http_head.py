"""Reads and writes just enough HTTP/1.1 for the few small servers in the attendant."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus


class Malformed(Exception):
    """What came in is no HTTP request; the text says why."""


class Request:
    """A request's head. Names of headers are in lower case; of several equal ones the last counts."""

    __slots__ = ("headers", "method", "raw", "target")

    def __init__(self, method: str, target: str, headers: dict[str, str], raw: bytes) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.raw = raw

    @property
    def length(self) -> int:
        """Bytes of its body; 0 when it does not say."""
        text = self.headers.get("content-length", "0")
        if not (text.isascii() and text.isdecimal()):
            raise Malformed("the content's length is no number")
        return int(text)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request's head; None when the client is done.

    Raises:
        Malformed: it is none.
    """
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise Malformed("the request ends in its head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise Malformed("the request's head is too long") from error
    first, *lines = raw.decode("latin-1").split("\r\n")
    words = first.split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise Malformed("the first line is no request")
    headers = {}
    for line in filter(None, lines):
        name, colon, value = line.partition(":")
        if not colon:
            raise Malformed("a header has no colon")
        headers[name.strip().lower()] = value.strip()
    return Request(words[0].upper(), words[1], headers, raw)


def response(status: int, body: bytes = b"", *, content_type: str = "text/plain; charset=utf-8") -> bytes:
    """A whole response, after which the connection is closed."""
    phrase = HTTPStatus(status).phrase if status in {known.value for known in HTTPStatus} else "Status"
    head = f"HTTP/1.1 {status} {phrase}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode("latin-1") + body


def json_response(status: int, value: object) -> bytes:
    """A whole response with a JSON value."""
    body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
    return response(status, body, content_type="application/json")
