"""Stands in front of `$TARGET_URL` when a control says so: it is down, answers a status, comes late, or says nonsense.

A giver of the attendant's (see `runner.services.ground`). Where the answer is the target's own, only later or with
another body, the request is made from here, and so only for a target that the job may reach itself.
"""

from __future__ import annotations

import asyncio
import http.client
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runner.fault import Fault, Kind, read_target_fault
from runner.services.faults import FaultProxy
from runner.services.ground import CannotProvide, Provided
from runner.services.http_head import Malformed, Request, read_request, response
from runner.services.listening import Listening

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from runner.attendant import Wish
    from runner.services.ground import Ground

PORT = 8475  # inside a sandbox
LOOPBACK = "127.0.0.1"
WRONG_BODY = "this is not what was asked for\n"
LARGEST_BODY = 16 << 20  # bytes, of a request or of an answer
_PATIENCE = 60.0  # seconds for the target's answer
# About one connection, not about the answer; or no longer true of it.
_NOT_PASSED_ON = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "upgrade", "te"})
_OF_THE_BODY = frozenset({"content-encoding", "etag", "content-md5", "digest"})


class Target:
    """What stands in front of the jobs' targets."""

    def __init__(self) -> None:
        self._stands: dict[str, _Stand] = {}

    async def provide(self, wish: Wish, ground: Ground) -> Provided:  # noqa: ARG002 - it needs no ground.
        """Give a job another TARGET_URL, if its control is about the target.

        Raises:
            CannotProvide: the job has no target, or it may not be reached.
        """
        if wish.faults.get("kind") != "target":
            return Provided()
        stand = self._stands[wish.id] = _Stand(wish)
        return await stand.open()

    async def release(self, id: str) -> None:  # noqa: A002 - as Wish.
        """Step aside."""
        stand = self._stands.pop(id, None)
        if stand is not None:
            await stand.close()

    async def close(self) -> None:
        """Step aside everywhere."""
        for id in list(self._stands):  # noqa: A001 - as Wish.
            await self.release(id)


class _Stand:
    """One job's stand-in."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self._listening = Listening(wish)
        self._refusing: FaultProxy | None = None
        self._real = urlsplit(wish.target)
        self._body = wish.faults.get("body", WRONG_BODY).encode()
        try:
            self._fault = read_target_fault(wish.faults.get("is", ""))
        except ValueError as why:
            message = f"its control: {why}"
            raise CannotProvide(message) from why

    async def open(self) -> Provided:
        if not self._real.hostname:
            raise CannotProvide("its control is about the target, and the box has no TARGET_URL")
        if self._fault.kind in {Kind.SLOW, Kind.WRONG_BODY}:
            self._check_reach()
        port, path = await self._listen()
        origin = f"{self._real.scheme}://{self._real.netloc}"
        away = "127.0.0.1,localhost,::1"
        env = {
            "TARGET_URL": f"http://{LOOPBACK}:{port}{self._real.path}",
            "BOX_TARGET_ORIGIN": origin,
            # What stands here is reached without the box's way out.
            "NO_PROXY": away,
            "no_proxy": away,
        }
        return Provided(env=env, sockets={port: path})

    async def close(self) -> None:
        self._listening.close()
        if self._refusing is not None:
            await self._refusing.close()

    async def _listen(self) -> tuple[int, str]:
        if self._fault.kind is not Kind.DOWN:
            return await self._listening.open(self._serve, name="target", port=PORT)
        self._refusing = FaultProxy(_nowhere)
        path, port = "", PORT
        if self._wish.unix:
            path = self._listening.path("target")
            await self._refusing.listen_unix(path, uid=self._wish.uid, gid=self._wish.gid)
        else:
            port = await self._refusing.listen_tcp()
        await self._refusing.set(Fault(Kind.DOWN))
        return port, path

    def _check_reach(self) -> None:
        """Whoever is in a sandbox has no more network through us than by itself."""
        end = f"{self._real.hostname}:{port_of(self._real)}"
        if self._wish.unix and end not in self._wish.hosts:
            message = f"its control passes requests on to the target, and the box may not reach {end}"
            raise CannotProvide(message)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request: every answer says that the connection is closed."""
        try:
            request = await read_request(reader)
            if request is not None:
                body = await reader.readexactly(_length(request))
                writer.write(await self._answer(request, body))
                await writer.drain()
        except Malformed as why:
            writer.write(response(400, f"{why}\n".encode()))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, request: Request, body: bytes) -> bytes:
        if self._fault.kind is Kind.STATUS:
            return response(int(self._fault.amount), b"" if request.method == "HEAD" else self._body)
        try:
            status, headers, content = await asyncio.to_thread(_fetch, self._real, request, body)
        except (OSError, http.client.HTTPException) as error:
            return response(502, f"the target did not answer: {error}\n".encode())
        if self._fault.kind is Kind.SLOW:
            await asyncio.sleep(self._fault.amount)
        else:
            content = self._body
            headers = [(name, value) for name, value in headers if name.lower() not in _OF_THE_BODY]
        lines = [f"{name}: {value}" for name, value in headers]
        length = [f"Content-Length: {len(content)}"] if status not in {204, 304} else []
        head = "\r\n".join([f"HTTP/1.1 {status} {_phrase(status)}", *lines, *length, "Connection: close", "", ""])
        return head.encode("latin-1", "replace") + (b"" if request.method == "HEAD" else content)


def port_of(url: SplitResult) -> int:
    """The port of a URL, its scheme's if it names none."""
    return url.port or (443 if url.scheme == "https" else 80)


async def _nowhere() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    raise ConnectionRefusedError


def _length(request: Request) -> int:
    if "transfer-encoding" in request.headers:
        raise Malformed("a chunked request is not passed on")
    if request.length > LARGEST_BODY:
        raise Malformed("the request is too long to be passed on")
    return request.length


def _fetch(real: SplitResult, request: Request, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """The target's own answer."""
    assert real.hostname is not None
    if real.scheme == "https":
        context = ssl.create_default_context()
        there: http.client.HTTPConnection = http.client.HTTPSConnection(
            real.hostname, port_of(real), timeout=_PATIENCE, context=context
        )
    else:
        there = http.client.HTTPConnection(real.hostname, port_of(real), timeout=_PATIENCE)
    headers = {name: value for name, value in request.headers.items() if name not in _NOT_PASSED_ON}
    try:
        there.request(request.method, request.target, body=body or None, headers={**headers, "Host": real.netloc})
        answer = there.getresponse()
        content = answer.read(LARGEST_BODY)
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _NOT_PASSED_ON]
        return answer.status, kept, content
    finally:
        there.close()


def _phrase(status: int) -> str:
    return http.client.responses.get(status, "Status")
