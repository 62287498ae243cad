"""The only way out of a box without a network: an HTTP proxy that reaches the hosts its rules name, and no other.

One proxy a job. Names are resolved here, outside the box, and the address that was checked is the one connected to.
What is inside TLS is not seen: the name that a ClientHello asks for is compared with the one that was tunnelled to.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from runner.services.client_hello import UNRECOGNIZED_NAME, NotAHello, name_in_hello
from runner.services.egress_rules import HTTPS, LOCALHOST, NotAnEnd, Rules
from runner.services.ground import CannotProvide, Provided
from runner.services.proxy_request import LONGEST_HEAD, BadRequest, read_request
from runner.services.sockets import listen

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.attendant import Wish
    from runner.services.egress_rules import End
    from runner.services.ground import Ground
    from runner.services.proxy_request import Request

PORT = 3128  # on the box's own loopback
_CHUNK = 65536
_RESET = (asyncio.IncompleteReadError, ConnectionError, TimeoutError)


class Caps:
    """What one job may use of its way out. Times in seconds; `traffic` in bytes, both ways together."""

    def __init__(
        self,
        *,
        connections: int = 128,
        traffic: int = 8 << 30,
        head: float = 20.0,
        dial: float = 20.0,
        idle: float = 300.0,
        told: int = 20,
    ) -> None:
        self.connections = connections
        self.traffic = traffic
        self.head = head
        self.dial = dial
        self.idle = idle
        self.told = told  # different refusals that are remembered


class Refused(Exception):
    """A request that is answered with a sentence instead of a connection. `what` was asked for, and `why` not."""

    def __init__(self, status: int, what: str, why: str) -> None:
        self.status = status
        self.what = what
        self.why = why
        super().__init__(f"{what}: {why}")


class Egress:
    """The giver of allowed hosts."""

    def __init__(self, caps: Caps | None = None) -> None:
        self._caps = caps or Caps()
        self._proxies: dict[str, Proxy] = {}

    async def provide(self, wish: Wish, ground: Ground) -> Provided:
        """Start the job's proxy, if it may reach anything."""
        if not wish.hosts:
            return Provided()
        try:
            rules = Rules(wish.hosts)
        except NotAnEnd as why:
            message = f"network: {', '.join(wish.hosts)}: {why}"
            raise CannotProvide(message) from None
        proxy = Proxy(rules, lambda what: ground.refuse(wish.id, what), self._caps)
        self._proxies[wish.id] = proxy
        path = os.path.join(wish.directory, "egress") if wish.unix else ""
        listener = listen(path, uid=wish.uid, gid=wish.gid)
        port = PORT if wish.unix else listener.getsockname()[1]
        await proxy.start(listener)
        return Provided(env=variables(port, rules), sockets={port: path})

    async def release(self, id: str) -> None:  # noqa: A002 - as Wish.
        """Close the job's proxy and every connection through it."""
        if proxy := self._proxies.pop(id, None):
            await proxy.close()

    async def close(self) -> None:
        """Close all proxies."""
        await asyncio.gather(*(self.release(name) for name in list(self._proxies)))


def variables(port: int, rules: Rules) -> dict[str, str]:
    """What tells programs of the proxy. The box's own loopback is not reached through it.

    `localhost` is, where a rule names that: it is this machine's then, and 127.0.0.1 remains the box's.
    """
    proxy = f"http://127.0.0.1:{port}"
    own = ["127.0.0.1", "::1"] if rules.name(LOCALHOST) else [LOCALHOST, "127.0.0.1", "::1"]
    env = {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "ALL_PROXY": proxy, "NO_PROXY": ",".join(own)}
    return {**env, **{name.lower(): value for name, value in env.items()}}


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
        self._left = caps.traffic
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
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except _RESET:
            pass  # Either side went away; the other one is told by its closing.
        except asyncio.CancelledError:
            pass  # The job is over. Nobody waits for this task to be cancelled.
        finally:
            self._connections.discard(task)
            writer.transport.abort() if writer.is_closing() else writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, and nothing after it: what follows is the tunnel's, or is not read."""
        try:
            request = await self._request(reader)
            far_reader, far_writer = await self._dial(request.end)
        except Refused as refusal:
            await _answer(writer, refusal)
            return
        try:
            if request.tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await self._tunnel(request.end, reader, writer, far_reader, far_writer)
            else:
                far_writer.write(request.forward)
                await self._copy(far_reader, writer)
        finally:
            far_writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> Request:
        most = f"{self._caps.connections} connections at once"
        if len(self._connections) > self._caps.connections:
            raise self._refusal("one more connection", f"the cap is {most}", 503)
        if self._left <= 0:
            raise self._refusal("more traffic", self._traffic())
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

    async def _dial(self, end: End) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to an allowed end, at an address that is allowed too."""
        loop = asyncio.get_running_loop()
        failure = "it has no address"
        try:
            async with asyncio.timeout(self._caps.dial):
                found = await loop.getaddrinfo(end.host, end.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise Refused(502, str(end), f"its name was not resolved: {_why(error)}") from None
        addresses = dict.fromkeys(str(info[4][0]) for info in found)
        reasons = {address: self._rules.why_not(end, address) for address in addresses}
        if addresses and all(reasons.values()):
            raise self._refusal(str(end), next(iter(reasons.values())))
        for address in (address for address, reason in reasons.items() if not reason):
            try:
                async with asyncio.timeout(self._caps.dial):
                    return await asyncio.open_connection(address, end.port, limit=_CHUNK)
            except (OSError, TimeoutError) as error:
                failure = _why(error)
        raise Refused(502, str(end), failure)

    async def _tunnel(
        self,
        end: End,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        if end.port == HTTPS and not await self._greet(end, reader, writer, far_writer):
            return
        ways = [
            asyncio.create_task(self._copy(reader, far_writer)),
            asyncio.create_task(self._copy(far_reader, writer)),
        ]
        try:
            await asyncio.gather(*ways)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _greet(
        self, end: End, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, far_writer: asyncio.StreamWriter
    ) -> bool:
        """Pass on the first message of TLS, if it asks for the host that was tunnelled to."""
        data = b""
        name: str | None = None
        try:
            async with asyncio.timeout(self._caps.head):
                while name is None:
                    part = await reader.read(_CHUNK)
                    if not part:
                        return False
                    data += part
                    name = name_in_hello(data)
        except NotAHello as why:
            self._remember(f"{end} ({why}; port {HTTPS} is for TLS alone)")
            return False
        if name != ("" if end.address else end.host):
            self._remember(f"{end} (the TLS inside asks for {name[:253] or 'no name'!r})")
            writer.write(UNRECOGNIZED_NAME)
            await writer.drain()
            return False
        self._count(len(data))
        far_writer.write(data)
        await far_writer.drain()
        return True

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """All of one direction; its end closes that direction and no more."""
        while True:
            async with asyncio.timeout(self._caps.idle):
                part = await source.read(_CHUNK)
            if not part:
                break
            self._count(len(part))
            target.write(part)
            async with asyncio.timeout(self._caps.idle):
                await target.drain()
        if target.can_write_eof():
            target.write_eof()

    def _count(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            self._remember(f"more traffic ({self._traffic()})")
            raise ConnectionAbortedError

    def _traffic(self) -> str:
        return f"the cap is {self._caps.traffic >> 20} MiB both ways"

    def _refusal(self, what: str, why: str, status: int = 403) -> Refused:
        self._remember(f"{what} ({why})")
        return Refused(status, what, why)

    def _remember(self, what: str) -> None:
        if what not in self._told and len(self._told) < self._caps.told:
            self._told.add(what)
            self._refuse(what)


def _why(error: Exception) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else str(error)


async def _answer(writer: asyncio.StreamWriter, refusal: Refused) -> None:
    """Say no so that it is read: many clients show the first line of an answer only."""
    sentence = f"interlock: {refusal.what}: {refusal.why}".encode("ascii", "backslashreplace")
    sentence = bytes(byte if 32 <= byte < 127 else 63 for byte in sentence)[:2000]
    head = b"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
    writer.write(head % (refusal.status, sentence[:300], len(sentence) + 1) + sentence + b"\n")
    await writer.drain()
