"""The TCP fault proxy between one box and one service: passes bytes on, or does to them what a fault says.

A fault takes effect at once, also for connections that are open; what it held back goes on when it is lifted. Latency
is that of the answers, so it is added once to a round trip.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from typing import TYPE_CHECKING

from runner.fault import UP, Fault, Kind
from runner.services.sockets import listen

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]

_CHUNK = 65536
_QUEUED = 32  # chunks on their way in one direction
_PARTS_A_SECOND = 20  # in which a limited bandwidth is handed out
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with RST


class FaultProxy:
    """Listens for one box, and connects to its service.

    Args:
        connect: opens a connection to the service; raises OSError when there is none.
        seed: of the jitter.
    """

    def __init__(self, connect: Callable[[], Awaitable[Ends]], *, seed: str = "") -> None:
        self.fault = UP
        self.connections = 0  # that were ever accepted
        self.requested = self.answered = 0  # bytes that were passed on, towards the service and back
        self._connect = connect
        self._random = random.Random(seed)  # noqa: S311 - jitter, no secret.
        self._changed = asyncio.Event()
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._listen: Callable[[], socket.socket] | None = None
        self._holder: socket.socket | None = None  # keeps the port ours while nothing listens on it.

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._links)

    async def listen_tcp(self) -> int:
        """Listen on a port of the loopback, which is returned."""
        holder = _tcp_socket(0)
        port: int = holder.getsockname()[1]
        self._holder = holder
        self._listen = lambda: _tcp_socket(port)
        await self._open()
        return port

    async def listen_unix(self, path: str, *, uid: int | None = None, gid: int | None = None) -> None:
        """Listen on a unix socket that only its owner, and root, can connect to."""
        self._listen = lambda: _unix_socket(path, uid, gid)
        await self._open()

    async def set(self, fault: Fault) -> None:
        """Let a fault take the place of the one before. `killed` and `paused` are for whoever has the process."""
        was, self.fault = self.fault, fault
        self._changed.set()
        self._changed = asyncio.Event()
        if fault.kind is Kind.DOWN:
            self._shut()
        elif was.kind is Kind.DOWN:
            await self._open()
        if fault.kind in {Kind.DOWN, Kind.KILLED} or (fault.kind is Kind.RESET and not fault.amount):
            for link in list(self._links):
                link.reset()

    async def close(self) -> None:
        """Stop listening and cut what is open."""
        self._shut()
        if self._holder is not None:
            self._holder.close()
        links = list(self._links)
        for link in links:
            link.reset()
        await asyncio.gather(*(link.ended.wait() for link in links))

    def delay(self) -> float:
        """Seconds that an answer is held up now."""
        if self.fault.kind is not Kind.LATENCY:
            return 0.0
        return max(0.0, self.fault.amount + self._random.uniform(-1, 1) * self.fault.jitter)

    async def another(self, seconds: float | None = None) -> bool:
        """Wait until the fault is another one, `seconds` at most. Returns whether it is."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return False
        return True

    async def _open(self) -> None:
        assert self._listen is not None
        self._server = await asyncio.start_server(self._accept, sock=self._listen())

    def _shut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        link = _Link(self, (reader, writer))
        self._links.add(link)
        try:
            await link.serve(self._connect)
        finally:
            self._links.discard(link)
            link.ended.set()


class _Link:
    """One connection, with the one to the service that belongs to it."""

    def __init__(self, proxy: FaultProxy, box: Ends) -> None:
        self.ended = asyncio.Event()
        self._proxy = proxy
        self._box = box
        self._service: Ends | None = None
        self._task = asyncio.current_task()
        self._answered = 0

    def reset(self) -> None:
        """End it with RST, now."""
        for ends in (self._box, self._service):
            if ends is not None:
                _abort(ends[1])
        if self._task is not None:
            self._task.cancel()

    async def serve(self, connect: Callable[[], Awaitable[Ends]]) -> None:
        """Pass bytes both ways until both ends are done or a fault cuts it."""
        fault = self._proxy.fault
        if fault.kind is Kind.DOWN or (fault.kind is Kind.RESET and not fault.amount):
            _abort(self._box[1])
            return
        try:
            self._service = await connect()
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(self._box[0], self._service[1], answers=False))
                both.create_task(self._pass_on(self._service[0], self._box[1], answers=True))
            for ends in (self._service, self._box):
                ends[1].close()
        except* OSError:
            # One end has gone, so the other is told in the only way there is.
            self._cut()
        except* asyncio.CancelledError:
            # A reset from outside. The server's task must not be told as cancelled: nobody waits for it.
            self._cut()

    def _cut(self) -> None:
        _abort(self._box[1])
        if self._service is not None:
            _abort(self._service[1])

    async def _pass_on(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool) -> None:
        """One direction: one task reads and stamps, another one writes when it is due."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED)
        async with asyncio.TaskGroup() as pair:
            pair.create_task(self._take_in(source, queue, answers=answers))
            pair.create_task(self._give_out(sink, queue, answers=answers))

    async def _take_in(
        self, source: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]], *, answers: bool
    ) -> None:
        clock = asyncio.get_running_loop()
        while True:
            data = await source.read(_CHUNK)
            await queue.put((clock.time() + (self._proxy.delay() if answers else 0), data))
            if not data:
                return

    async def _give_out(
        self, sink: asyncio.StreamWriter, queue: asyncio.Queue[tuple[float, bytes]], *, answers: bool
    ) -> None:
        clock = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if (wait := due - clock.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                break
            while data:
                data = data[await self._give_part(sink, data, answers=answers) :]
        await self._held(answers=answers)
        if self._proxy.fault.kind is Kind.SLOW_CLOSE:
            await self._proxy.another(self._proxy.fault.amount)
        if sink.can_write_eof():
            sink.write_eof()

    async def _give_part(self, sink: asyncio.StreamWriter, data: bytes, *, answers: bool) -> int:
        """Pass on the beginning of some bytes, as the fault of this moment lets it. Returns how many."""
        await self._held(answers=answers)
        fault = self._proxy.fault
        count = len(data)
        if fault.kind is Kind.BANDWIDTH:
            count = min(count, max(1, int(fault.amount / _PARTS_A_SECOND)))
        if fault.kind is Kind.RESET and answers:
            count = min(count, int(fault.amount) - self._answered)
        if count > 0:
            sink.write(data[:count])
            await sink.drain()
        if answers:
            self._answered += max(count, 0)
            self._proxy.answered += max(count, 0)
        else:
            self._proxy.requested += count
        if fault.kind is Kind.RESET and answers and self._answered >= fault.amount:
            await _sent(sink)
            raise ConnectionResetError("the fault cuts it here")
        if fault.kind is Kind.BANDWIDTH:
            await self._proxy.another(count / fault.amount)
        return count

    async def _held(self, *, answers: bool) -> None:
        """Wait as long as the fault lets nothing through in this direction."""
        while True:
            fault = self._proxy.fault
            if fault.kind is Kind.TIMEOUT:
                if not await self._proxy.another(fault.amount):
                    raise ConnectionResetError("the time is over")
            elif fault.kind is Kind.BLACKHOLE or (fault.kind is Kind.HALF_OPEN and answers):
                await self._proxy.another()
            else:
                return


async def _sent(sink: asyncio.StreamWriter) -> None:
    """Wait until the kernel has everything, so that a reset comes after it and not instead of it."""
    sink.transport.set_write_buffer_limits(high=0)
    await sink.drain()


def _abort(writer: asyncio.StreamWriter) -> None:
    peer = writer.get_extra_info("socket")
    if peer is not None and peer.family != socket.AF_UNIX and peer.fileno() >= 0:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


def _tcp_socket(port: int) -> socket.socket:
    # With this option two sockets may have the port, as long as only one of them listens.
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


def _unix_socket(path: str, uid: int | None, gid: int | None) -> socket.socket:
    """One in the place of the one before, which nobody answers any more."""
    if os.path.lexists(path):
        os.unlink(path)
    return listen(path, uid=uid, gid=gid)
