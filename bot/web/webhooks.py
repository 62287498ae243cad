"""The door: a delivery is checked, made durable and acknowledged. Nothing else happens before the answer.

Order matters: headers, size, then signature over the raw bytes, then the insert; the body is not parsed here at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from bot.ops.clock import Clock
from bot.store.deliveries import Delivery, Inbox, InboxUnavailable

log = structlog.get_logger()

MAX_BODY = 25 * 1024 * 1024
"""GitHub sends nothing larger. Source: GitHub docs, "Webhook events and payloads", payload cap."""

READ_SECONDS = 20.0
"""How long a body may take; GitHub itself gives up after ten seconds."""

HELD = 8 * MAX_BODY
"""Bytes of unfinished bodies that are held at once, before anybody has shown to know the secret."""

MAX_HEAD = 32 * 1024
"""Bytes of all headers together; GitHub sends less than one kilobyte, and proxies add little."""

_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
_EVENT = re.compile(r"[a-z_]{1,64}")
_LENGTH = re.compile(r"[0-9]{1,15}")
_ONCE = frozenset(
    {
        *(b"x-hub-signature-256", b"x-github-delivery", b"x-github-event"),
        *(b"x-github-hook-installation-target-id", b"x-github-hook-installation-target-type"),
        *(b"content-type", b"content-length", b"content-encoding"),
    }
)
"""Headers that decide something. Of two, a proxy may have read the one and we the other, so both are refused."""


class Unread(Exception):
    """The body was not read to its end; says how that is answered."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status = status
        self.sentence = sentence
        super().__init__(status, sentence)


class Webhooks:
    """`POST /webhooks`.

    Args:
        secrets: every secret that may have signed; two while rotating.
        app_id: our App's number; deliveries that say to be for another are refused. 0 takes every number.
        accepted: called after the answer is decided, for a delivery that is new.
        draining: whether the bot is about to stop and takes nothing in any more.
    """

    def __init__(
        self,
        *,
        inbox: Inbox,
        secrets: Sequence[str],
        clock: Clock,
        accepted: Callable[[Delivery], None],
        draining: Callable[[], bool],
        app_id: int = 0,
    ) -> None:
        self._inbox = inbox
        self._app_id = str(app_id) if app_id else ""
        self._secrets = [secret.encode() for secret in secrets]
        self._clock = clock
        self._accepted = accepted
        self._draining = draining
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request as an ASGI application, so that nothing stands between the server and the door."""
        if scope["method"] == "POST":
            response = await self.receive(Request(scope, receive))
        else:
            response = JSONResponse({"error": "send a POST"}, status_code=405, headers={"Allow": "POST"})
        await response(scope, receive, send)

    async def receive(self, request: Request) -> Response:
        """Answer one delivery: 202 when it is durable; every refusal says what was wrong, and keeps nothing."""
        if self._draining():
            return _refuse(503, "interlock is stopping; redeliver this later")
        try:
            headers = _read_headers(request.scope["headers"])
            _require_json(headers)
            body = await self._read(request, headers)
        except Unread as why:
            return _refuse(why.status, why.sentence)
        if not signed(body, headers.get(b"x-hub-signature-256", ""), self._secrets):
            log.warning("delivery_refused", reason="signature")
            return _refuse(401, "X-Hub-Signature-256 does not match: check the webhook secret")
        delivery_id = headers.get(b"x-github-delivery", "")
        event = headers.get(b"x-github-event", "")
        if not _ID.fullmatch(delivery_id) or not _EVENT.fullmatch(event):
            return _refuse(400, "X-GitHub-Delivery or X-GitHub-Event is missing or malformed")
        if stranger := self._not_for_us(headers):
            log.warning("delivery_refused", reason="target", delivery=delivery_id)
            return _refuse(403, stranger)
        return await self._store(Delivery(delivery_id, event, body, self._clock.now()))

    def _not_for_us(self, headers: Mapping[bytes, str]) -> str:
        """Why a delivery with these headers is not for our App; "" when it is, or when they do not say."""
        kind = headers.get(b"x-github-hook-installation-target-type", "")
        target = headers.get(b"x-github-hook-installation-target-id", "")
        if kind not in {"", "integration"}:
            return "this webhook is not the App's own: set it in the App's settings, not in a repository's"
        if self._app_id and target not in {"", self._app_id}:
            return "this webhook belongs to another App: check INTERLOCK_GITHUB_APP_ID"
        return ""

    async def _read(self, request: Request, headers: Mapping[bytes, str]) -> bytes:
        declared = headers.get(b"content-length", "0")
        if not _LENGTH.fullmatch(declared) or int(declared) > MAX_BODY:
            raise _too_large()
        try:
            async with asyncio.timeout(READ_SECONDS):
                return await self._gather(request)
        except TimeoutError:
            raise Unread(408, f"the body took longer than {READ_SECONDS:g} s") from None
        except ClientDisconnect:
            raise Unread(400, "the connection was closed early") from None

    async def _gather(self, request: Request) -> bytes:
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                self._held += len(chunk)
                if size > MAX_BODY:
                    raise _too_large()
                if self._held > HELD:
                    raise Unread(503, "too many bodies at once; redeliver this later")
                chunks.append(chunk)
        finally:
            self._held -= size
        return b"".join(chunks)

    async def _store(self, delivery: Delivery) -> Response:
        try:
            new = await self._inbox.add(delivery)
        except InboxUnavailable as error:
            log.error("delivery_not_durable", delivery=delivery.id, reason=str(error))  # noqa: TRY400 - no stack needed.
            return _refuse(503, "the delivery could not be stored; redeliver it later")
        if new:
            self._accepted(delivery)
        return JSONResponse({"delivery": delivery.id, "duplicate": not new}, status_code=202)


def signed(body: bytes, header: str, secrets: Sequence[bytes]) -> bool:
    """Whether one of the secrets signed exactly these bytes. Every comparison takes the same time."""
    given = header.encode("utf-8", "replace")
    good = False
    for secret in secrets:
        expected = b"sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest().encode()
        good |= hmac.compare_digest(expected, given)
    return good


def _read_headers(raw: Iterable[tuple[bytes, bytes]]) -> Mapping[bytes, str]:
    """The headers by name, in one pass: each lookup in a request's own would decode and compare all of them.

    Raises:
        Unread: one that decides something is there twice, or they are too many.
    """
    headers: dict[bytes, str] = {}
    size = 0
    for name, value in raw:
        size += len(name) + len(value)
        if size > MAX_HEAD:
            raise Unread(431, f"the headers are over {MAX_HEAD} bytes")
        if name in _ONCE and name in headers:
            raise Unread(400, f"the header {name.decode()} was sent more than once")
        headers[name] = value.decode("latin-1")
    return headers


def _require_json(headers: Mapping[bytes, str]) -> None:
    """Refuse what GitHub would send if the webhook were set up otherwise, with the way out.

    Raises:
        Unread: the body is encoded in another way than as JSON.
    """
    kind = headers.get(b"content-type", "application/json").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        raise Unread(415, "set the webhook's content type to application/json, in the App's settings under Webhook")
    if kind != "application/json":
        raise Unread(415, "a webhook's content type is application/json")
    if headers.get(b"content-encoding", "identity").strip().lower() != "identity":
        raise Unread(415, "a webhook's body comes as it is, without a content encoding")


def _too_large() -> Unread:
    return Unread(413, f"the body is over {MAX_BODY} bytes")


def _refuse(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)
