"""The contract on the wire: an ASGI middleware around a stand-in, an httpx transport around a client's own.

Both pass everything on unchanged and only report. Nothing here decides what a violation means: tests collect them.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import httpx

from bot.localhub.contract import Contract, Violation

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
OnViolation = Callable[[Violation], object]

ORDERED = "x-localhub-ordered"
"""A header of answers that a test ordered to be wrong; they are not judged."""

CAP = 8 * 1024 * 1024  # bytes; larger bodies pass through and are not judged.
# Smart-HTTP git, the stand-in's own controls, and its pages for people.
NOT_API = re.compile(
    r"/[^/]+/[^/]+(\.git|/info/refs|/git-(upload|receive)-pack)(/.*)?|/_hub(/.*)?|/[^/]+/[^/]+/pull/\d+"
)


def is_api(path: str) -> bool:
    """Whether the description has a say about a path; it has none about `/octo/app.git/info/refs` or `/_hub/…`."""
    return path.startswith("/repos/") or NOT_API.fullmatch(path) is None


class ContractMiddleware:
    """Judges what an ASGI application is asked and answers.

    Args:
        app: the stand-in.
        contract: the judge.
        on_violation: called once for each violation, after the answer was sent.
        refused_too: also report a wrong request that the application refused (4xx). Tests of a refusal send wrong
            requests on purpose, so this is off; put it on where every request is the product's own.
        judged: says by path which calls are judged.
    """

    def __init__(
        self,
        app: App,
        contract: Contract,
        on_violation: OnViolation,
        *,
        refused_too: bool = False,
        judged: Callable[[str], bool] = is_api,
    ) -> None:
        self._app = app
        self._contract = contract
        self._on_violation = on_violation
        self._refused_too = refused_too
        self._judged = judged

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; only HTTP requests to judged paths are looked at."""
        if scope["type"] != "http" or not self._judged(scope["path"]):
            await self._app(scope, receive, send)
            return
        asked, answered = _Recorder(), _Recorder()
        # Read before the application starts: it may answer a GET without looking at its body, or before it came.
        read = [message async for message in asked.read_request(receive)]

        async def receive_again() -> Message:
            return read.pop(0) if read else await receive()

        async def send_and_keep(message: Message) -> None:
            answered.keep(message)
            await send(message)

        await self._app(scope, receive_again, send_and_keep)
        for violation in self._judge(scope, asked, answered):
            self._on_violation(violation)

    def _judge(self, scope: Scope, asked: "_Recorder", answered: "_Recorder") -> Iterable[Violation]:
        method = scope["method"]
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
        if asked.complete and (self._refused_too or answered.status < 400):
            headers = _text_headers(scope["headers"])
            yield from self._contract.check_request(method, path, scope["query_string"], headers, asked.body)
        if answered.complete and ORDERED not in answered.headers:
            kind = answered.headers.get("content-type", "")
            yield from self._contract.check_response(method, path, answered.status, answered.body, content_type=kind)


class ContractTransport(httpx.AsyncBaseTransport):
    """Judges what an httpx client sends and gets through another transport; a wrong request counts even if refused."""

    def __init__(self, inner: httpx.AsyncBaseTransport, contract: Contract, on_violation: OnViolation) -> None:
        self._inner = inner
        self._contract = contract
        self._on_violation = on_violation

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, judge it and its answer.

        Raises:
            httpx.TransportError: the inner transport did; the request was judged before.
        """
        path = request.url.raw_path.decode("latin-1").partition("?")[0]
        body = await request.aread()
        asked = self._contract.check_request(request.method, path, request.url.query, request.headers, body)
        self._report(asked)
        response = await self._inner.handle_async_request(request)
        answer = await response.aread()
        kind = response.headers.get("content-type", "")
        answered = self._contract.check_response(request.method, path, response.status_code, answer, content_type=kind)
        self._report(violation for violation in answered if violation not in asked)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    def _report(self, violations: Iterable[Violation]) -> None:
        for violation in violations:
            self._on_violation(violation)


class _Recorder:
    """What went by in one direction. `complete` when all of it came and it was within the cap."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.complete = False
        self._over = False

    def keep(self, message: Message) -> None:
        """Take note of one ASGI message."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = _text_headers(message.get("headers", ()))
        elif message["type"] in {"http.request", "http.response.body"}:
            chunk = message.get("body", b"")
            self._over = self._over or len(self.body) + len(chunk) > CAP
            self.body = b"" if self._over else self.body + chunk
            self.complete = not message.get("more_body", False) and not self._over

    async def read_request(self, receive: Receive) -> AsyncIterator[Message]:
        """The request's messages, until it is whole, over the cap or broken off."""
        more = True
        while more and not self._over:
            message = await receive()
            self.keep(message)
            more = message.get("more_body", False)
            yield message


def _text_headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers}
