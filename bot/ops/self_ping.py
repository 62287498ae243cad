"""A ping to ourselves by way of the public address: what stands between GitHub and `/webhooks`, an outcome for each.

Two are sent. One is signed with something else, and whoever takes that in is not a bot that checks signatures; the
other is signed as GitHub signs, and its answer must name the delivery.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import httpx

from runner import __version__

_TIMEOUT = httpx.Timeout(10.0)
"""As long as GitHub waits."""


class Reach(StrEnum):
    """How far a ping came."""

    ACCEPTED = "accepted"
    NAME_UNKNOWN = "name_unknown"
    NOT_CONNECTED = "not_connected"
    NOT_TRUSTED = "not_trusted"
    TIMED_OUT = "timed_out"
    REDIRECTED = "redirected"
    PROXY_FAILED = "proxy_failed"
    BUSY = "busy"
    SECRET_DIFFERS = "secret_differs"  # noqa: S105 - an outcome.
    UNSIGNED_ACCEPTED = "unsigned_accepted"
    SOMEBODY_ELSE = "somebody_else"


@dataclass(frozen=True, slots=True)
class Ping:
    """What happened; `detail` completes it and is safe to show."""

    reach: Reach
    detail: str = ""


async def ping(public_url: str, secret: str, *, transport: httpx.AsyncBaseTransport | None = None) -> Ping:
    """Send both pings and judge the answers.

    Args:
        public_url: the bot's address, without a slash at the end.
        secret: what GitHub signs with.
        transport: instead of the network.
    """
    url = f"{public_url}/webhooks"
    async with httpx.AsyncClient(timeout=_TIMEOUT, transport=transport) as client:
        try:
            forged = await _send(client, url, secrets.token_hex(16), f"ping-{secrets.token_hex(8)}")
            if found := _not_the_door(forged):
                return found
            if forged.is_success:
                return Ping(Reach.UNSIGNED_ACCEPTED)
            delivery = f"ping-{secrets.token_hex(8)}"
            answer = await _send(client, url, secret, delivery)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _no_answer(error)
    return _not_the_door(answer) or _judged(answer, delivery)


async def _send(client: httpx.AsyncClient, url: str, secret: str, delivery: str) -> httpx.Response:
    body = json.dumps({"zen": "Interlock asks whether it can be reached.", "hook_id": 0}).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"interlock/{__version__}",
        "X-GitHub-Event": "ping",
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    return await client.post(url, content=body, headers=headers)


def _not_the_door(answer: httpx.Response) -> Ping | None:
    """What is not the bot's own answer to a delivery."""
    if answer.is_redirect:
        # GitHub does not follow a webhook's redirect.
        return Ping(Reach.REDIRECTED, httpx.URL(answer.headers.get("location", "")).host or "another path")
    if answer.status_code in {502, 504}:
        return Ping(Reach.PROXY_FAILED, str(answer.status_code))
    said = _json(answer)
    if answer.status_code == 503 and isinstance(said.get("error"), str):
        return Ping(Reach.BUSY, str(said["error"])[:200])
    if answer.status_code not in {200, 202, 401} or not ({"delivery", "error"} & said.keys()):
        return Ping(Reach.SOMEBODY_ELSE, str(answer.status_code))
    return None


def _judged(answer: httpx.Response, delivery: str) -> Ping:
    if answer.status_code == 401:
        return Ping(Reach.SECRET_DIFFERS)
    return Ping(Reach.ACCEPTED) if _json(answer).get("delivery") == delivery else Ping(Reach.SOMEBODY_ELSE, "202")


def _json(answer: httpx.Response) -> dict[str, object]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _no_answer(error: Exception) -> Ping:
    causes = tuple(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Ping(Reach.NOT_TRUSTED, cause.verify_message)
        if isinstance(cause, ssl.SSLError):
            return Ping(Reach.NOT_TRUSTED, cause.reason or "no TLS there")
        if isinstance(cause, socket.gaierror):
            return Ping(Reach.NAME_UNKNOWN)
    if isinstance(error, httpx.TimeoutException):
        return Ping(Reach.TIMED_OUT)
    return Ping(Reach.NOT_CONNECTED, str(error) or type(error).__name__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that led to it, groups unfolded."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__
