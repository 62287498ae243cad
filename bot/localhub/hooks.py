"""Webhook deliveries: queued at once, sent in order by one task, signed, 10 seconds each, never repeated by themselves.

Source: https://docs.github.com/webhooks/using-webhooks/best-practices-for-using-webhooks
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import httpx

from bot.localhub.clock import Clock, monotonic, new_guid
from bot.localhub.records import App, Delivery, Json

if TYPE_CHECKING:
    from bot.localhub.faults import Faults
    from bot.localhub.state import State

TIMEOUT = 10.0
"""Seconds that GitHub waits for an answer."""
KEPT_RESPONSE = 65_536
"""Bytes of a receiver's answer that the deliveries list keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One delivery that waits for its turn."""

    app_id: int
    guid: str
    event: str
    payload: str
    repository_id: int | None
    installation_id: int | None
    redelivery: bool


class Hooks:
    """The queue of deliveries and the task that empties it. Everything happens on one event loop."""

    def __init__(
        self, state: State, clock: Clock, faults: Faults, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._state = state
        self._clock = clock
        self._faults = faults
        self._transport = transport
        self._waiting: deque[Outgoing] = deque()
        self._in_flight = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    def pending(self) -> int:
        """How many deliveries have not been answered yet."""
        return len(self._waiting) + self._in_flight

    async def settled(self) -> None:
        """Wait until nothing is pending.

        Raises:
            RuntimeError: something is pending and `start` was not called, so it would stay.
            Exception: what the receiver raised, if it is an ASGI application in this process; deliveries have ended.
        """
        if not self.pending():
            return
        if self._task is None:
            message = "webhooks are pending, and nothing delivers them (start the hub)"
            raise RuntimeError(message)
        idle = asyncio.create_task(self._idle.wait())
        await asyncio.wait({idle, self._task}, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        if self._task.done():
            self._task.result()

    def queue(
        self, app: App, event: str, payload: Json, *, repository_id: int | None, installation_id: int | None
    ) -> None:
        """Line a new event up for an App; one without a webhook address hears nothing."""
        if app.webhook_url:
            self._append(
                Outgoing(
                    app_id=app.id,
                    guid=new_guid(),
                    event=event,
                    payload=json.dumps(payload, separators=(",", ":"), ensure_ascii=False),
                    repository_id=repository_id,
                    installation_id=installation_id,
                    redelivery=False,
                )
            )

    def redeliver(self, delivery: Delivery) -> None:
        """Line an old delivery up again, with the id and the bytes that it had."""
        self._append(
            Outgoing(
                app_id=delivery.app_id,
                guid=delivery.guid,
                event=delivery.event,
                payload=delivery.payload,
                repository_id=delivery.repository_id,
                installation_id=delivery.installation_id,
                redelivery=True,
            )
        )

    def _append(self, outgoing: Outgoing) -> None:
        self._waiting.extend(self._faults.deliver(outgoing.event, outgoing))
        if self._waiting:
            self._idle.clear()
            self._wake.set()

    def start(self) -> None:
        """Begin to deliver, on the running loop."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop delivering; what waits stays undelivered."""
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=TIMEOUT, transport=self._transport, trust_env=False) as client:
            while True:
                await self._wake.wait()
                while self._waiting:
                    self._in_flight = 1
                    outgoing = self._waiting.popleft()
                    try:
                        await self._send(client, outgoing)
                    finally:
                        self._in_flight = 0
                self._wake.clear()
                self._idle.set()

    async def _send(self, client: httpx.AsyncClient, outgoing: Outgoing) -> None:
        app = self._state.apps.get(outgoing.app_id)
        if app is None or not app.webhook_url:
            return
        body = outgoing.payload.encode()
        row = Delivery(
            id=self._state.deliveries.new_id(),
            app_id=app.id,
            guid=outgoing.guid,
            event=outgoing.event,
            action=json.loads(outgoing.payload).get("action"),
            installation_id=outgoing.installation_id,
            repository_id=outgoing.repository_id,
            redelivery=outgoing.redelivery,
            url=app.webhook_url,
            request_headers=headers(app, outgoing.event, outgoing.guid, body),
            payload=outgoing.payload,
            delivered_at=self._clock.stamp(),
        )
        began = monotonic()
        is_lost = self._faults.fails(outgoing.event)
        answer = "failed to connect to host" if is_lost else await self._post(client, row, body)
        self._state.deliveries.put(_answered(row, answer, round(monotonic() - began, 2)))

    async def _post(self, client: httpx.AsyncClient, row: Delivery, body: bytes) -> httpx.Response | str:
        try:
            async with asyncio.timeout(TIMEOUT):
                return await client.post(row.url, content=body, headers=row.request_headers)
        except (TimeoutError, httpx.TimeoutException):
            return "timed out"
        except (httpx.HTTPError, httpx.InvalidURL):
            return "failed to connect to host"


def _answered(row: Delivery, answer: httpx.Response | str, duration: float) -> Delivery:
    if isinstance(answer, str):
        code = 504 if answer == "timed out" else 502
        return replace(row, duration=duration, status=answer, status_code=code)
    return replace(
        row,
        duration=duration,
        status="OK" if answer.is_success else answer.reason_phrase or "Invalid HTTP Response",
        status_code=answer.status_code,
        response_headers=dict(answer.headers),
        response_payload=answer.content[:KEPT_RESPONSE].decode(errors="replace"),
    )


def headers(app: App, event: str, guid: str, body: bytes) -> dict[str, str]:
    """What GitHub sends with a webhook, the signatures over exactly these bytes."""
    secret = app.webhook_secret.encode()
    return {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/localhub",
        "X-GitHub-Delivery": guid,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": str(app.hook_id),
        "X-GitHub-Hook-Installation-Target-ID": str(app.id),
        "X-GitHub-Hook-Installation-Target-Type": "integration",
        "X-Hub-Signature": "sha1=" + hmac.new(secret, body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest(),
    }
