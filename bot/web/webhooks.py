"""The door: a delivery is checked, made durable and acknowledged. Nothing else happens before the answer.

Order matters: size, then signature over the raw bytes, then the insert; the body is not parsed here at all.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from bot.ops.clock import Clock
from bot.store.deliveries import Delivery, Inbox, InboxUnavailable

log = structlog.get_logger()

MAX_BODY = 25 * 1024 * 1024
"""GitHub sends nothing larger. Source: GitHub docs, "Webhook events and payloads", payload cap."""

_ID = re.compile(r"[0-9A-Za-z-]{8,64}")
_EVENT = re.compile(r"[a-z_]{1,64}")


class TooLarge(Exception):
    """The body is over the cap; it was not read to its end."""


class Webhooks:
    """`POST /webhooks`.

    Args:
        secrets: every secret that may have signed; two while rotating.
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
    ) -> None:
        self._inbox = inbox
        self._secrets = [secret.encode() for secret in secrets]
        self._clock = clock
        self._accepted = accepted
        self._draining = draining

    async def receive(self, request: Request) -> Response:
        """Answer one delivery: 202 durable, 401 unsigned, 400 malformed, 413 too large, 503 not durable."""
        if self._draining():
            return _refuse(503, "interlock is stopping; redeliver this later")
        # One pass: each lookup in a request's headers decodes and compares all of them.
        headers = {name: value.decode("latin-1") for name, value in request.scope["headers"]}
        try:
            body = await _read(request, headers.get(b"content-length", "0"))
        except TooLarge:
            return _refuse(413, f"the body is over {MAX_BODY} bytes")
        except ClientDisconnect:
            return _refuse(400, "the connection was closed early")
        if not signed(body, headers.get(b"x-hub-signature-256", ""), self._secrets):
            log.warning("delivery_refused", reason="signature")
            return _refuse(401, "X-Hub-Signature-256 does not match: check the webhook secret")
        delivery_id = headers.get(b"x-github-delivery", "")
        event = headers.get(b"x-github-event", "")
        if not _ID.fullmatch(delivery_id) or not _EVENT.fullmatch(event):
            return _refuse(400, "X-GitHub-Delivery or X-GitHub-Event is missing or malformed")
        return await self._store(Delivery(delivery_id, event, body, self._clock.now()))

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


async def _read(request: Request, declared: str) -> bytes:
    if declared.isdigit() and int(declared) > MAX_BODY:
        raise TooLarge
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise TooLarge
        chunks.append(chunk)
    return b"".join(chunks)


def _refuse(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)
