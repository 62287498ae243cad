"""The web server, told what it need not do: signals are for whoever runs it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import structlog
import uvicorn

log = structlog.get_logger()


class Server(uvicorn.Server):
    """uvicorn without its signal handlers: a signal ends the command, or begins a drain, and not the server alone.

    Attributes:
        listening: set once it answers.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say where."""
        await super().startup(sockets=sockets)
        for listener in sockets or ():
            address, port, *_ = listener.getsockname()
            log.info("listening", address=address, port=port)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield
