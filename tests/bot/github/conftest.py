"""A GitHub on loopback and our App on it; every exchange is held against GitHub's own description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from bot.github.app import GitHubApp, Installation
from bot.localhub.contract import Contract, Violation
from bot.localhub.contract_wire import ContractTransport
from bot.localhub.hub import LocalHub

REPO = "octo/app"


@dataclass
class Connected:
    """A hub with one repository, `octo/app`, and our open connection to it."""

    hub: LocalHub
    app: GitHubApp
    gh: Installation
    asked: list[str] = field(default_factory=list)

    @property
    def head(self) -> str:
        """Where main stands."""
        return self.hub.commit(REPO, "main", {"a": "1"}, "a change", "mona")

    def asks(self, method: str) -> int:
        """How often GitHub was asked with this method, tokens aside."""
        return sum(line.startswith(f"{method} ") and "access_tokens" not in line for line in self.asked)


@pytest.fixture
async def connected() -> AsyncIterator[Connected]:
    hub = LocalHub()
    url = await hub.start()
    hub.create_repository(REPO, files={"README.md": "hello\n"}, collaborators={"mona": "write"})
    violations: list[Violation] = []
    asked: list[str] = []

    class Noting(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            asked.append(f"{request.method} {request.url.path}")
            return await super().handle_async_request(request)

    transport = ContractTransport(Noting(), Contract.load(), violations.append)
    async with GitHubApp(url, hub.app_id, hub.private_key, hub.clock, transport=transport, sleep=_at_once) as app:
        yield Connected(hub, app, app.installation(hub.installation("octo").id), asked)
    await hub.stop()
    assert violations == []


async def _at_once(seconds: float) -> None:
    assert 0 < seconds < 2
