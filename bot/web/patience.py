"""HTTP with an end to patience: whoever opens a connection says what is wanted soon, or the connection is closed.

uvicorn closes a connection that is idle after an answer, but waits for ever for a first request, for the rest of a
request's head, and for the rest of a body that nobody wants any more. Each costs a descriptor, and those run out.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_SECONDS = 10.0
"""How long the head of a request may take, and what is left of a body after its answer; GitHub needs milliseconds."""


class PatientProtocol(H11Protocol):
    """uvicorn's protocol with a limit on the time in which nobody works on a request."""

    _given_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it.
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and wait on unless a request is whole."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._unwatch()
        super().connection_lost(exc)

    @property
    def _nobody_works(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request, whatever its type says.
        return cycle is None or cycle.response_complete

    def _watch(self) -> None:
        if not self._nobody_works:
            self._unwatch()
        elif self._given_up is None and not self.transport.is_closing():
            self._given_up = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _unwatch(self) -> None:
        if self._given_up is not None:
            self._given_up.cancel()
            self._given_up = None

    def _give_up(self) -> None:
        self._given_up = None
        if self._nobody_works:
            self.transport.close()
