"""Who talks to the hub in these tests: users and Apps over HTTP, and a receiver of webhooks."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import jwt

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from bot.localhub.hub import LocalHub


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """One webhook as it arrived."""

    event: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.body)
        return shown

    @property
    def name(self) -> str:
        action = self.payload.get("action")
        return f"{self.event}.{action}" if action else self.event


class Receiver:
    """An ASGI application that keeps webhooks and answers with the next of `answers`, or 202."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: list[int] = []

    @property
    def names(self) -> list[str]:
        return [got.name for got in self.got]

    def last(self, name: str) -> dict[str, Any]:
        return next(got for got in reversed(self.got) if got.name == name).payload

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.got.append(Got(event=headers["x-github-event"], headers=headers, body=body))
        status = self.answers.pop(0) if self.answers else 202
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"noted"})


def app_jwt(
    hub: LocalHub, *, issuer: str | None = None, key: str | None = None, issued: float = -60, expires: float = 300
) -> str:
    """A JWT of the hub's App; times are seconds from now."""
    now = int(time.time())
    claims = {"iat": now + int(issued), "exp": now + int(expires), "iss": issuer or str(hub.app_id)}
    return jwt.encode(claims, key or hub.private_key, algorithm="RS256")


def client(hub: LocalHub, token: str = "") -> httpx.AsyncClient:
    """An HTTP client of the hub with this token (or JWT), or without any."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(hub.app), base_url=hub.url, headers={"user-agent": "tests", **headers}
    )


def as_app(hub: LocalHub) -> httpx.AsyncClient:
    return client(hub, app_jwt(hub))


def as_user(hub: LocalHub, login: str) -> httpx.AsyncClient:
    return client(hub, hub.create_user(login))


async def mint(hub: LocalHub, **narrowed: Any) -> httpx.Response:
    """Ask for an installation token on `octo`."""
    async with as_app(hub) as app:
        return await app.post(f"/app/installations/{hub.installation('octo').id}/access_tokens", json=narrowed)


@asynccontextmanager
async def as_installation(hub: LocalHub, **narrowed: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client with an installation token, narrowed as asked."""
    minted = await mint(hub, **narrowed)
    assert minted.status_code == 201, minted.text
    async with client(hub, minted.json()["token"]) as installation:
        yield installation


def pull_request(hub: LocalHub, *, branch: str = "topic", by: str = "mona") -> str:
    """Open octo/app#1 with one file; return its head."""
    hub.commit("octo/app", branch, {"src/new.py": "y = 2\n"}, "Add new\n", by)
    return hub.open_pull_request("octo/app", branch, "main", "Add new", by, body="Please").head_sha
