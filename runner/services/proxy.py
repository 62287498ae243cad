"""An HTTP proxy that reaches the hosts its rules name, and no other. One a job.

Names are resolved here, outside the job's sandbox, and the address that was checked is the one connected to; or by the
proxy that this machine itself goes through, where its environment names one.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from runner.services.proxy_request import LONGEST_HEAD, BadRequest, read_request
from runner.services.tunnel import CHUNK, Caps, Meter, Tunnel
from runner.services.upstream import upstream_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.services.egress_rules import End, Rules
    from runner.services.proxy_request import Request
    from runner.services.tunnel import Streams

_LINGER_SECONDS = 2.0
_LINGER_BYTES = 1 << 20


class Refused(Exception):
    """A request that is answered with a sentence instead of a connection: what was asked for, and why not."""

    def __init__(self, status: int, what: str, why: str) -> None:
        self.status = status
        super().__init__(f"interlock: {what}: {why}")


class Proxy:
    """One job's way out.

    Args:
        rules: what it may reach.
        refuse: told, before the client is, of each different thing that was refused, at most `caps.told` of them.
        caps: what it may use.
    """

    def __init__(self, rules: Rules, refuse: Callable[[str], None], caps: Caps) -> None:
        self._rules = rules
        self._refuse = refuse
        self._caps = caps
        self._meter = Meter(caps.traffic, self._remember)
        self._told: set[str] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Answer on a listening socket from now on."""
        self._server = await asyncio.start_server(self._accept, sock=listener, limit=LONGEST_HEAD)

    async def close(self) -> None:
        """Stop answering, and break off what is open."""
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve((reader, writer))
        except (EOFError, OSError):
            pass  # Either side went away; the other one is told by its closing.
        except asyncio.CancelledError:
            writer.transport.abort()  # The job is over. Nobody waits for this task but `close`.
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, near: Streams) -> None:
        """One request, and nothing after it: what follows is the tunnel's, or is not read."""
        try:
            request = await self._request(near[0])
            far = await self._dial(request.end)
        except Refused as refusal:
            await _answer(near, refusal)
            return
        tunnel = Tunnel(request.end, near, far, caps=self._caps, meter=self._meter, remember=self._remember)
        try:
            if request.tunnel:
                near[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await tunnel.carry()
            else:
                far[1].write(request.forward)
                await tunnel.answer()
        finally:
            far[1].close()

    async def _request(self, reader: asyncio.StreamReader) -> Request:
        if len(self._connections) > self._caps.connections:
            raise self._refusal("one more connection", f"the cap is {self._caps.connections} at once", 503)
        if self._meter.empty:
            raise self._refusal("more traffic", self._meter.said)
        try:
            async with asyncio.timeout(self._caps.head):
                head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            raise self._refusal("a request", f"its head has more than {LONGEST_HEAD} bytes", 431) from None
        try:
            request = read_request(head)
        except BadRequest as why:
            raise self._refusal(str(why.end or "a request"), str(why)) from None
        if not self._rules.allow(request.end):
            raise self._refusal(str(request.end), f"not in the rules: {self._rules}")
        return request

    async def _dial(self, end: End) -> Streams:
        """Connect to an allowed end, at an address that is allowed too."""
        if upstream := upstream_of(end):
            try:
                async with asyncio.timeout(self._caps.dial):
                    return await upstream.connect(end)
            except OSError as error:
                raise Refused(502, str(end), _why(error)) from None
        try:
            async with asyncio.timeout(self._caps.dial):
                loop = asyncio.get_running_loop()
                found = await loop.getaddrinfo(end.host, end.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Refused(502, str(end), f"its name was not resolved: {_why(error)}") from None
        reasons = {str(info[4][0]): self._rules.why_not(end, str(info[4][0])) for info in found}
        if all(reasons.values()):
            raise self._refusal(str(end), next(iter(reasons.values()), "it has no address"))
        failure = ""
        for address in (address for address, reason in reasons.items() if not reason):
            try:
                async with asyncio.timeout(self._caps.dial):
                    return await asyncio.open_connection(address, end.port, limit=CHUNK)
            except OSError as error:
                failure = _why(error)
        raise Refused(502, str(end), failure)

    def _refusal(self, what: str, why: str, status: int = 403) -> Refused:
        self._remember(f"{what} ({why})")
        return Refused(status, what, why)

    def _remember(self, what: str) -> None:
        if what not in self._told and len(self._told) < self._caps.told:
            self._told.add(what)
            self._refuse(what)


def _why(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)


async def _answer(near: Streams, refusal: Refused) -> None:
    """Say no so that it is read: many clients show the first line of an answer only."""
    reader, writer = near
    sentence = "".join(char if " " <= char <= "~" else "?" for char in str(refusal))[:2000].encode()
    head = b"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    writer.write(head % (refusal.status, sentence[:300], len(sentence) + 1) + sentence + b"\n")
    writer.write_eof()
    # Closing on what was sent and not read would break the connection, and the answer with it.
    async with asyncio.timeout(_LINGER_SECONDS):
        taken = 0
        while taken < _LINGER_BYTES and (part := await reader.read(CHUNK)):
            taken += len(part)
