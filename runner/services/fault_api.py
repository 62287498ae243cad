"""`$BOX_FAULTS`: the URL by which a box hurts its own services, and sees what became of the connections.

    GET    /          every service
    GET    /redis     one of them
    PUT    /redis     its body is a fault: `latency 200ms`, `down`, `killed` (POST does the same)
    DELETE /redis     the end of the fault; PUT `up` does the same

An answer comes when the fault is in force.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from runner.fault import UP, Kind, read_fault
from runner.services.ground import CannotProvide
from runner.services.http_head import Malformed, json_response, read_request, response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.fault import Fault
    from runner.services.faults import FaultProxy
    from runner.services.http_head import Request
    from runner.services.server import Server

LONGEST_FAULT = 1000  # bytes
PORT = 8474  # inside a sandbox; the one that toxiproxy made usual for this


class Hurt:
    """A box's service as something that can be hurt: the way to it, and its process if it is the box's alone."""

    def __init__(self, name: str, proxy: FaultProxy, server: Server | None) -> None:
        self.name = name
        self._proxy = proxy
        self._server = server
        self._one_at_a_time = asyncio.Lock()
        self._rest = UP

    async def hold(self, fault: Fault) -> None:
        """Put a control's fault in place: `up` means that one from now on, so no box lifts its own sabotage.

        Raises:
            CannotProvide: see `set`.
        """
        self._rest = fault
        await self.set(fault)

    async def set(self, fault: Fault) -> None:
        """Put a fault in the place of the one before.

        Raises:
            CannotProvide: the process is not this box's to hurt, or does not come back.
        """
        fault = self._rest if fault == UP else fault
        async with self._one_at_a_time:
            if fault.kind in {Kind.KILLED, Kind.PAUSED} and self._server is None:
                hint = "a control gets one of its own; `down` cuts the connections"
                message = f"{self.name} is one process for all boxes, so it cannot be {fault.kind} ({hint})"
                raise CannotProvide(message)
            if self._server is not None and self._proxy.fault.kind in {Kind.KILLED, Kind.PAUSED}:
                await self._server.revive()
            await self._proxy.set(fault)
            if self._server is not None and fault.kind is Kind.KILLED:
                await self._server.kill()
            if self._server is not None and fault.kind is Kind.PAUSED:
                await self._server.pause()

    def state(self) -> dict[str, object]:
        """What is so now, as JSON."""
        proxy = self._proxy
        return {
            "service": self.name,
            "is": str(proxy.fault),
            "connections": proxy.connections,
            "open": proxy.open,
            "requested": proxy.requested,
            "answered": proxy.answered,
        }


class FaultApi:
    """Answers one box's requests about its services."""

    def __init__(self, services: Mapping[str, Hurt]) -> None:
        self._services = dict(services)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        try:
            writer.write(await self._answer(reader))
            await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            request = await read_request(reader)
            if request is None:
                return b""
            body = await reader.readexactly(_length(request))
        except (Malformed, asyncio.IncompleteReadError) as why:
            return response(400, f"{why}\n".encode())
        name = request.target.strip("/")
        if not name and request.method == "GET":
            return json_response(200, {"services": [hurt.state() for hurt in self._services.values()]})
        hurt = self._services.get(name)
        if hurt is None:
            known = ", ".join(self._services)
            return response(404, f"this box has no service '{name[:60]}' (it has {known})\n".encode())
        return await self._of(hurt, request.method, body.decode("utf-8", "replace"))

    async def _of(self, hurt: Hurt, method: str, text: str) -> bytes:
        if method not in {"GET", "PUT", "POST", "DELETE"}:
            return response(405, b"GET, PUT, POST or DELETE\n")
        try:
            if method != "GET":
                await hurt.set(UP if method == "DELETE" else read_fault(text))
        except ValueError as why:
            return response(400, f"{why}\n".encode())
        except CannotProvide as why:
            return response(409, f"{why}\n".encode())
        return json_response(200, hurt.state())


def _length(request: Request) -> int:
    if request.length > LONGEST_FAULT:
        raise Malformed("no fault is that long")
    return request.length
