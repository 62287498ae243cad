"""Serving an ASGI application on a loopback port from inside a running event loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

HOST = "127.0.0.1"


class _Embedded(uvicorn.Server):
    """uvicorn without its signal handlers, which belong to the program around it, and with an event for "listening"."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.listening.set()


class LoopbackServer:
    """An HTTP server on 127.0.0.1 that lives as long as somebody wants it to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._server: _Embedded | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self, port: int = 0) -> str:
        """Listen; 0 takes a free port.

        Returns:
            The address, like `http://127.0.0.1:8077`.

        Raises:
            OSError: the port is taken.
        """
        # asyncio sets TCP_NODELAY only where the protocol is named; without it each answer waits 40 ms for an ACK.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            listener.close()
            raise
        config = uvicorn.Config(
            self._app,
            log_config=None,
            access_log=False,
            lifespan="off",
            date_header=False,  # the API tells the hub's own time.
            interface="asgi3",
            ws="none",
            timeout_graceful_shutdown=2,
        )
        self._server = _Embedded(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))
        await self._server.listening.wait()
        return f"http://{HOST}:{listener.getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening, and let answers that are under way finish for two seconds."""
        if self._server and self._task:
            self._server.should_exit = True
            await self._task
        self._server = self._task = None
