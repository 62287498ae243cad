"""The first message of a TLS connection, read for the one thing that an egress rule is about: the name it asks for.

Nothing is decrypted and nothing terminated. Source: RFC 8446 §4.1.2 and §5.1, RFC 6066 §3.
"""

from __future__ import annotations

HANDSHAKE = 22  # the first byte of such a message
LONGEST = 65536  # bytes of a first message, with its records; what is longer is refused.
UNRECOGNIZED_NAME = bytes.fromhex("15 0303 0002 02 70")  # a fatal alert, RFC 6066 §3.

_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0
_LONGEST_RECORD = 1 << 14


class NotAHello(ValueError):
    """What a client sent first is no ClientHello. The message says what is wrong."""


def name_in_hello(data: bytes) -> str | None:
    """The server's name that a client asks for, in lower case, "" if it names none; None while more must be read.

    Raises:
        NotAHello: it is not the beginning of TLS, or not well formed.
    """
    message = _message(data)
    if message is None:
        return None
    try:
        return _name(message)
    except IndexError:
        raise NotAHello("its first message is cut short") from None


def _message(data: bytes) -> bytes | None:
    """The body of the handshake message that a stream begins with, out of one or more records."""
    if len(data) > LONGEST:
        raise NotAHello("its first message is too long")
    inside = b""
    at = 0
    while True:
        record = data[at : at + 5]
        if record and record[0] != HANDSHAKE:
            raise NotAHello("it does not speak TLS")
        if len(record) >= 2 and record[1] != 3:
            raise NotAHello("it speaks no TLS that is known")
        if len(record) < 5:
            return None
        size = int.from_bytes(record[3:5], "big")
        if not 0 < size <= _LONGEST_RECORD:
            raise NotAHello("a record has an impossible length")
        inside += data[at + 5 : at + 5 + size]
        at += 5 + size
        if inside and inside[0] != _CLIENT_HELLO:
            raise NotAHello("its first message is no ClientHello")
        if len(inside) >= 4:
            length = int.from_bytes(inside[1:4], "big")
            if length > LONGEST:
                raise NotAHello("its first message is too long")
            if len(inside) >= 4 + length:
                return inside[4 : 4 + length]
        if at > len(data):
            return None


class _Reader:
    """Takes fields off a message. Raises IndexError at its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise IndexError
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def vector(self, size: int) -> bytes:
        """Bytes that are preceded by their length, itself of `size` bytes."""
        return self.take(self.number(size))


def _name(message: bytes) -> str:
    reader = _Reader(message)
    reader.take(2 + 32)  # legacy version and random
    reader.vector(1)  # legacy session id
    reader.vector(2)  # cipher suites
    reader.vector(1)  # legacy compression methods
    names = []
    extensions = _Reader(reader.vector(2) if reader else b"")
    while extensions:
        kind, body = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            listed = _Reader(_Reader(body).vector(2))
            while listed:
                kind_of_name, name = listed.number(1), listed.vector(2)
                if kind_of_name == _HOST_NAME:
                    names.append(name)
    if len(names) > 1:
        raise NotAHello("it asks for more than one name")
    try:
        return names[0].decode("ascii").lower().removesuffix(".") if names else ""
    except UnicodeDecodeError:
        raise NotAHello("it asks for a name that is not ASCII") from None
