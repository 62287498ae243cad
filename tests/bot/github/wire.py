"""The network, scripted: answers in order, and what was asked. For the answers that no real server gives on demand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bot.github.app import GitHubApp

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
API = "https://api.github.test"

Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class StoppedClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, delta: timedelta) -> None:
        self._now += delta


@cache
def private_key() -> str:
    """An RSA key, made once a process."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def answer(body: object = None, status: int = 200, headers: Mapping[str, str] | None = None) -> httpx.Response:
    """GitHub's answer; no body when `body` is None."""
    return httpx.Response(status, headers=dict(headers or {}), content=b"" if body is None else json.dumps(body))


@dataclass
class Wire:
    """Tokens are sold to whoever asks; every other request takes the next scripted answer.

    Attributes:
        script: what will be answered; running out of it fails the test.
        asked: every request but those for tokens.
        sold: the tokens, in order.
        slept: the pauses of the connection under test, in seconds.
    """

    script: list[Answer] = field(default_factory=list)
    clock: StoppedClock = field(default_factory=StoppedClock)
    asked: list[httpx.Request] = field(default_factory=list)
    sold: list[str] = field(default_factory=list, repr=False)
    token_requests: list[httpx.Request] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    token_script: list[Answer] = field(default_factory=list)

    def app(self, api_url: str = API, **options: Any) -> GitHubApp:
        """A connection over this wire; open it with `async with`."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        transport = options.pop("transport", None) or httpx.MockTransport(self.handle)
        return GitHubApp(
            api_url, 7, private_key(), self.clock, transport=transport, sleep=sleep, random=Random(0), **options
        )

    @property
    def lines(self) -> list[str]:
        """What was asked: `GET /repos/octo/app`."""
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.asked]

    @property
    def bodies(self) -> list[Any]:
        """What was sent, parsed."""
        return [json.loads(request.content) if request.content else None for request in self.asked]

    async def handle(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        if request.url.path.endswith("/access_tokens"):
            self.token_requests.append(request)
            return self._play(self.token_script, request) if self.token_script else self._sell()
        self.asked.append(request)
        assert self.script, f"nothing was scripted for {request.method} {request.url}"
        return self._play(self.script, request)

    def _sell(self) -> httpx.Response:
        self.sold.append(f"ghs_token{len(self.sold) + 1}.with-dots_and-dashes")
        expires_at = (self.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return answer({"token": self.sold[-1], "expires_at": expires_at}, 201)

    def _play(self, script: list[Answer], request: httpx.Request) -> httpx.Response:
        following = script.pop(0)
        if isinstance(following, Exception):
            raise following
        return following if isinstance(following, httpx.Response) else following(request)
