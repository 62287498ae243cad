"""The story-teller's world: a GitHub on loopback and a bot, in one process, and verbs for what people do.

Every exchange between the two, in both directions, is held against GitHub's own description; a violation fails the test
when the world closes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import httpx
from pydantic import SecretStr

from bot.app import Bot, open_bot
from bot.localhub.clock import Clock as HubClock
from bot.localhub.contract import Contract, Violation
from bot.localhub.contract_wire import ContractMiddleware
from bot.localhub.hub import LocalHub
from bot.localhub.records import CheckRun, Comment
from bot.ops.clock import Clock
from bot.ops.settings import Settings
from bot.store.runs import Run

REPO = "octo/app"
CONTRACT = Contract.load()

OK = "#!/bin/sh\nexit 0\n"
RED = "#!/bin/sh\necho 'src/app.py:3: expected 4, got 0'\nexit 1\n"


def box(body: str = "exit 0", *, title: str = "", **keys: str) -> str:
    """The text of a sh box."""
    lines = [f'# title = "{title}"'] if title else []
    lines += [f"# {name} = {value}" for name, value in keys.items()]
    block = "\n".join(["# /// box", *lines, "# ///"]) + "\n" if lines else ""
    return f"#!/bin/sh\n{block}{body}\n"


class Wire(httpx.AsyncBaseTransport):
    """Webhooks on their way to whatever bot is up; with none, the connection is refused, as GitHub would see it."""

    def __init__(self, violations: list[Violation]) -> None:
        self.app: httpx.ASGITransport | None = None
        self.loses: Callable[[httpx.Request], bool] = lambda _request: False
        self._violations = violations

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Judge a webhook and pass it on."""
        body = await request.aread()
        event = request.headers["X-GitHub-Event"]
        action = httpx.Response(200, content=body).json().get("action")
        self._violations += CONTRACT.check_webhook(event, action, body)
        if self.app is None or self.loses(request):
            message = "nobody listens"
            raise httpx.ConnectError(message, request=request)
        return await self.app.handle_async_request(request)


@dataclass
class World:
    """One GitHub, one bot, and what went wrong between them."""

    hub: LocalHub
    data_dir: Path
    wire: Wire
    violations: list[Violation]
    bot: Bot | None = None
    max_runs: int = 2
    sandbox: Literal["auto", "full", "off"] = (
        "off"  # most stories' boxes leave marks outside, or hurt what is there; isolation has its own.
    )
    settings_too: dict[str, Any] = field(default_factory=dict)
    clock: Clock | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def running(self) -> Bot:
        """The bot, which is up."""
        assert self.bot is not None, "start the bot first"
        return self.bot

    def settings(self) -> Settings:
        """What the bot is told."""
        return Settings(
            data_dir=self.data_dir,
            github_api_url=self.hub.url,
            github_app_id=self.hub.app_id,
            github_private_key=SecretStr(self.hub.private_key),
            webhook_secret=SecretStr(self.hub.webhook_secret),
            public_url="http://bot.example",
            max_runs=self.max_runs,
            drain_seconds=0,
            sandbox=self.sandbox,
            **{"github_writes_a_minute": 10_000, "github_writes_an_hour": 100_000, **self.settings_too},
        )

    async def start_bot(self) -> Bot:
        """Start a bot on the world's data directory."""
        self.bot = await self._stack.enter_async_context(open_bot(self.settings(), clock=self.clock))
        self.wire.app = httpx.ASGITransport(self.bot.app, client=("203.0.113.7", 443))
        return self.bot

    async def stop_bot(self) -> None:
        """Stop it without waiting for anything that runs."""
        self.wire.app = None
        await self._stack.aclose()
        self.bot = None

    async def settle(self) -> None:
        """Wait until no webhook is on its way and nothing that the bot took in is left to do."""
        while True:
            await self.hub.settled()
            await self.running.settled()
            if not self.hub.pending_deliveries():
                return

    async def until(self, holds: Callable[[], bool], *, seconds: float = 30.0) -> None:
        """Wait until something can be seen on GitHub.

        Raises:
            TimeoutError: it did not come.
        """
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.02)

    async def api(self, path: str) -> Any:
        """What the bot's REST says to whoever sits at its machine."""
        return (await self._get(path)).json()

    async def page(self, path: str) -> str:
        """A page of the bot as whoever sits at its machine sees it."""
        return (await self._get(path)).text

    async def _get(self, path: str) -> httpx.Response:
        transport = httpx.ASGITransport(self.running.app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answer = await client.get(path)
        return answer.raise_for_status()

    def repository(
        self, files: Mapping[str, str], *, name: str = REPO, collaborators: Mapping[str, str] | None = None
    ) -> None:
        """A repository whose files below boxes/ are executable."""
        self.hub.create_repository(name, collaborators=collaborators or {"mona": "write", "eve": "read"}, files=files)

    async def open_pull_request(
        self, files: Mapping[str, str | None], *, by: str = "mona", branch: str = "topic", repo: str = REPO
    ) -> PullRequest:
        """Push a branch and propose it."""
        self.hub.commit(repo, branch, files, f"Change {branch}", by)
        pull = self.hub.open_pull_request(repo, branch, "main", f"Change {branch}", by)
        return PullRequest(self, repo, pull.number, branch, by)

    async def runs(self) -> list[Run]:
        """Every run of the bot, oldest first."""
        return list(reversed(await self.running.ctx.runs.recent(1000)))


@dataclass
class PullRequest:
    """What a person sees of one pull request, and does to it."""

    world: World
    repo: str
    number: int
    branch: str
    author: str

    @property
    def head(self) -> str:
        """The SHA of its head."""
        return self.world.hub.pull_request(self.repo, self.number).head_sha

    def push(self, files: Mapping[str, str | None], *, by: str = "") -> str:
        """Commit to its branch."""
        return self.world.hub.commit(self.repo, self.branch, files, "Change it again", by or self.author)

    def say(self, body: str, *, by: str = "") -> Comment:
        """Write a comment on it."""
        return self.world.hub.comment(self.repo, self.number, body, by or self.author)

    def checks(self, sha: str = "") -> dict[str, CheckRun]:
        """The newest check run of each name on its head, as GitHub's page shows them."""
        return {run.name: run for run in self.world.hub.check_runs(self.repo, sha or self.head)}

    def check(self, name: str, sha: str = "") -> CheckRun:
        """One of them."""
        return self.checks(sha)[name]

    @property
    def conclusion(self) -> str | None:
        """Of the required check on its head."""
        return self.check("Interlock").conclusion

    @property
    def comments(self) -> list[str]:
        """What the bot wrote, oldest first."""
        author = "interlock[bot]"
        return [c.body for c in self.world.hub.comments(self.repo, self.number) if c.author == author]

    def reactions(self, comment: Comment) -> list[str]:
        """What the bot reacted with."""
        return self.world.hub.reactions(comment)


@contextlib.asynccontextmanager
async def open_world(
    directory: Path, *, bot: bool = True, hub_clock: HubClock | None = None, bot_clock: Clock | None = None
) -> AsyncIterator[World]:
    """A world that ends with a check that both sides spoke as GitHub does."""
    violations: list[Violation] = []
    wire = Wire(violations)
    hub = LocalHub(transport=wire, clock=hub_clock)
    hub.app = ContractMiddleware(hub.app, CONTRACT, violations.append)
    await hub.start()
    hub.webhook_url = "http://bot.example/webhooks"
    world = World(hub, directory / "bot", wire, violations, clock=bot_clock)
    try:
        if bot:
            await world.start_bot()
        yield world
    finally:
        await world.stop_bot()
        await hub.stop()
    assert not violations, "\n".join(str(violation) for violation in violations)


def parse_time(text: str) -> datetime:
    """GitHub's timestamps."""
    return datetime.fromisoformat(text)
