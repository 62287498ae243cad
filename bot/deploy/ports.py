"""Ports of this machine: which are free, and whose they are."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterable
from pathlib import Path

_FIRST, _LAST = 20_000, 32_000
"""Below those that the system gives to connections that go out (32768 and up on Linux)."""

_LISTENS = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def free_ports(key: str, count: int) -> tuple[int, ...]:
    """Free ports of loopback. Another key begins to look elsewhere, so that two who look at once find others."""
    at = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
    found: list[int] = []
    for step in range(_LAST - _FIRST):
        port = _FIRST + (at + step) % (_LAST - _FIRST)
        if len(found) < count and is_free("127.0.0.1", port):
            found.append(port)
    return tuple(found)


def listens(port: int, pids: Iterable[int]) -> bool | None:
    """Whether one of these processes listens on a port; None when this machine does not tell."""
    inodes = _listening(port)
    if inodes is None:
        return None
    told = False
    for pid in pids:
        try:
            links = [entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        told = True
        if any(str(link) in inodes for link in links):
            return True
    return False if told else None


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens at an address, or shares it; connections that have just ended do not count."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("" if host == "*" else host, port))
        except OSError:
            return False
    return True


def _listening(port: int) -> frozenset[str] | None:
    """The sockets that listen on a port, as the descriptors of their processes show them."""
    found = []
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        rows = [line.split() for line in lines]
        found += [f"socket:[{row[9]}]" for row in rows if row[3] == _LISTENS and row[1].endswith(f":{port:04X}")]
    return frozenset(found) if found else None
