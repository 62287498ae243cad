"""Where a giver listens for one job: unix sockets in the job's own directory, or ports of the loopback."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from runner.services.sockets import listen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runner.attendant import Wish

    Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Listening:
    """What listens for a job."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._servers: list[asyncio.Server] = []

    def path(self, name: str) -> str:
        """The path of a socket of that name."""
        return os.path.join(self._wish.directory, f"{name}.sock")

    async def open(self, serve: Serve, *, name: str, port: int) -> tuple[int, str]:
        """Listen.

        Args:
            serve: takes each connection.
            name: of the unix socket.
            port: inside the job's network, when it has one of its own.

        Returns:
            The port for the job, and the unix socket that answers there, "" if there is none in between.
        """
        if self._wish.unix:
            path = self.path(name)
            listener = listen(path, uid=self._wish.uid, gid=self._wish.gid)
        else:
            path = ""
            listener = listen()
            port = listener.getsockname()[1]
        self._servers.append(await asyncio.start_server(serve, sock=listener))
        return port, path

    def close(self) -> None:
        """Listen no more."""
        for server in self._servers:
            server.close()
        self._servers.clear()
