"""What a client asks of the egress proxy: the head of one HTTP request, read strictly. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from runner.services.egress_rules import End, NotAnEnd, read_end

LONGEST_HEAD = 16384
HTTP = 80

_LINE = re.compile(rb"([A-Z]{3,10}) ([\x21-\x7e]{1,8000}) (HTTP/1\.[01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}):[ \t]*([\x20-\x7e\x80-\xff\t]*)")
_FOR_THE_PROXY = frozenset(
    (b"connection", b"proxy-connection", b"proxy-authorization", b"keep-alive", b"te", b"trailer", b"upgrade", b"host")
)


class BadRequest(ValueError):
    """A request that is not carried out. The message says why; `end` is what it was for, if that could be read."""

    def __init__(self, message: str, end: End | None = None) -> None:
        super().__init__(message)
        self.end = end


@dataclass(frozen=True, slots=True)
class Request:
    """Where a client wants to get. `forward` is what to send there first, empty for a tunnel."""

    end: End
    forward: bytes = b""

    @property
    def tunnel(self) -> bool:
        """Whether the client speaks for itself from here on."""
        return not self.forward


def read_request(head: bytes) -> Request:
    """Read a head, with its empty line.

    A tunnel (`CONNECT host:port`), or one GET or HEAD of `http://host[:port]/…`, which is sent on as a request of its
    own: nothing that the client wrote decides where it ends.

    Raises:
        BadRequest: it is neither, or is written so that two readers could understand it in two ways.
    """
    lines = head.split(b"\r\n")
    if lines[-2:] != [b"", b""] or any(b"\n" in line or b"\r" in line for line in lines):
        raise BadRequest("the request is not written in lines")
    first = _LINE.fullmatch(lines[0])
    if not first:
        raise BadRequest("its first line is no HTTP/1 request")
    fields = _fields(lines[1:-2])
    method, target = first[1], first[2].decode("ascii")
    if method == b"CONNECT":
        end = _end(target)
    elif method in {b"GET", b"HEAD"}:
        end = _end(_authority(target), port=HTTP)
    else:
        message = f"{method.decode()} is not carried out here: only CONNECT, and GET or HEAD of http://"
        raise BadRequest(message)
    _check(fields, end)
    if method == b"CONNECT":
        return Request(end)
    path = target.removeprefix(f"http://{_authority(target)}")
    return Request(end, _origin_form(method, path or "/", fields, end))


def _fields(lines: list[bytes]) -> list[tuple[bytes, bytes]]:
    fields = []
    for line in lines:
        field = _FIELD.fullmatch(line)
        if not field:
            raise BadRequest("a header is not well formed")
        fields.append((field[1].lower(), field[2].strip()))
    return fields


def _authority(target: str) -> str:
    if not target.startswith("http://"):
        raise BadRequest("only http:// is asked of a proxy; https:// is tunnelled with CONNECT")
    return re.split(r"[/?#]", target.removeprefix("http://"), maxsplit=1)[0]


def _end(text: str, port: int | None = None) -> End:
    try:
        return read_end(text, port=port)
    except NotAnEnd as why:
        message = f"{text[:100]!r} is no host:port: {why}"
        raise BadRequest(message) from None


def _check(fields: list[tuple[bytes, bytes]], end: End) -> None:
    """Refuse what would make this request two, or one for somebody else."""
    if any(name in {b"content-length", b"transfer-encoding"} and value != b"0" for name, value in fields):
        raise BadRequest("it has a body, which is not carried", end)
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1:
        raise BadRequest("it has two Host headers", end)
    for host in hosts:
        try:
            same = read_end(host.decode("ascii", "replace"), port=end.port).host == end.host
        except NotAnEnd:
            same = False
        if not same:
            message = f"its Host header names {host[:100].decode('ascii', 'replace')!r} instead"
            raise BadRequest(message, end)


def _origin_form(method: bytes, path: str, fields: list[tuple[bytes, bytes]], end: End) -> bytes:
    slash = "" if path.startswith("/") else "/"
    host = str(end).removesuffix(f":{HTTP}")
    lines = [b"%s %s HTTP/1.1" % (method, f"{slash}{path}".encode()), b"Host: %s" % host.encode()]
    lines += [b"%s: %s" % field for field in fields if field[0] not in _FOR_THE_PROXY]
    return b"\r\n".join([*lines, b"Connection: close", b"", b""])
