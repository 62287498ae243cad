"""The GitHub App's one connection to GitHub, and who speaks over it: the App itself, or one of its installations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from random import Random
from types import TracebackType
from typing import Protocol, Self
from weakref import WeakValueDictionary

import httpx
import structlog

from bot.github import addresses
from bot.github.allowance import Allowance, Lane
from bot.github.answers import pause
from bot.github.breaker import BreakerState
from bot.github.calls import Calls
from bot.github.errors import Forbidden, GitHubProblem
from bot.github.line import Line
from bot.github.pacer import Pacer, Write
from bot.github.quiet import Quiet
from bot.github.their_clock import TheirClock
from bot.github.tokens import ASSERTION_LIFE, AppKey, Scope, SecretToken, TokenCache

log = structlog.get_logger()

TIMEOUT = httpx.Timeout(15.0, connect=5.0, pool=5.0)
DEADLINE = 60.0
"""Seconds after which a request is given up, however much of its answer has come."""


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The time, aware."""


class GitHubApp:
    """The App's one connection to GitHub; an async context manager that any task may use while it is open.

    Args:
        api_url: `https://api.github.com`, `https://HOST/api/v3`, or a stand-in's address.
        app_id: the App's number.
        private_key: its PEM.
        clock: the time.
        web_url: where pages and git are, if not where `addresses.web_url` says.
        transport: instead of the network; for tests that judge each exchange.
        timeout: of each wait within one request.
        sleep: waits for so many seconds.
        random: spreads repeats.
        allowance: what an installation may write; called once for each.
        keep_quiet: writes down who keeps quiet until when, by name.

    Attributes:
        quiet: who keeps quiet; `restore` it with what was written down.

    Raises:
        BadCredentials: the private key cannot be read.
    """

    def __init__(
        self,
        api_url: str,
        app_id: int | str,
        private_key: str,
        clock: Clock,
        *,
        web_url: str = "",
        transport: httpx.AsyncBaseTransport | None = None,
        timeout: httpx.Timeout | float = TIMEOUT,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Random | None = None,
        allowance: Callable[[], Allowance] = Allowance,
        keep_quiet: Callable[[str, str], Awaitable[object]] | None = None,
    ) -> None:
        self.api_url = api_url.rstrip("/")
        self.web_url = addresses.web_url(self.api_url, web_url)
        self.app_id = int(app_id)
        self.now = clock.now
        self._key = AppKey(private_key)
        self._sleep = sleep
        self._allowance = allowance
        self._random = random or Random()  # noqa: S311 - it spreads repeats, it guards nothing.
        self._line = Line(self.api_url, self.now, timeout=timeout, deadline=DEADLINE, transport=transport)
        self.quiet = Quiet(self.now, keep_quiet)
        self.replying: WeakValueDictionary[tuple[str, int], asyncio.Lock] = WeakValueDictionary()
        self._by_their_clock = False
        self._tokens = TokenCache(self._mint, self._line.clock.now)
        self._itself = AppItself(self, self._line)
        self._installations: dict[int, Installation] = {}
        self._slug = ""
        self._barred: set[int] = set()

    async def __aenter__(self) -> Self:
        await self._line.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._line.close()

    def installation(self, id: int) -> Installation:  # noqa: A002 - GitHub's word for it.
        """The App on one account. Nothing is asked of GitHub yet."""
        if id not in self._installations:
            self._installations[id] = Installation(self, self._line, id, Pacer(self.now, self._allowance()))
        return self._installations[id]

    def pacers(self) -> Mapping[int, Pacer]:
        """What gives each installation's writes their turn, by installation."""
        return {number: one.pacer for number, one in self._installations.items()}

    def itself(self) -> AppItself:
        """The App as itself: `/app` and what is below it."""
        return self._itself

    async def token(
        self, installation_id: int, *, repository_id: int | None = None, permissions: Mapping[str, str] | None = None
    ) -> SecretToken:
        """A token that lives for at least twelve minutes, narrowed as asked; for git, ask for `{"contents": "read"}`.

        Raises:
            Unprocessable: more was asked than the installation has.
            NotFound: the installation is gone.
            Forbidden: it is suspended.
        """
        if installation_id in self._barred:
            message = f"the App is not welcome at installation {installation_id} any more"
            raise Forbidden(message)
        return await self._tokens.get(Scope.of(installation_id, repository_id=repository_id, permissions=permissions))

    async def take_back(self, installation_id: int, *, repository_id: int, permissions: Mapping[str, str]) -> None:
        """Have GitHub forget the token of one repository, when the work that it was bought for is done.

        It ends within the hour by itself, so a failure is only logged.
        """
        token = self._tokens.take(Scope.of(installation_id, repository_id=repository_id, permissions=permissions))
        if token is None:
            return
        try:
            await self._line.exchange("DELETE", "/installation/token", token=token)
        except GitHubProblem as trouble:
            log.info("token_not_revoked", installation=installation_id, because=str(trouble))

    def forget(self, token: SecretToken) -> None:
        """GitHub refused this token: never hand it out again."""
        self._tokens.forget(token)

    def bar(self, installation_id: int) -> None:
        """Ask GitHub for nothing in the name of an installation that was removed or suspended."""
        self._barred.add(installation_id)

    def unbar(self, installation_id: int) -> None:
        """It is back."""
        self._barred.discard(installation_id)

    def assertion(self) -> SecretToken:
        """The App's own statement of who it is, made for one call."""
        return self._key.assertion(self.app_id, self._line.clock.now() if self._by_their_clock else self.now())

    def date_otherwise(self, refused: SecretToken) -> bool:
        """GitHub refused an assertion: date the next one by the other clock. False when there is no other."""
        clock = self._line.clock
        if not clock.can_be_mended:
            return False
        made_at = refused.expires_at - ASSERTION_LIFE
        was_by_theirs = abs(made_at - clock.now()) < abs(made_at - self.now())
        # Several calls may be refused at once; only the first of them changes what the next are dated by.
        self._by_their_clock = not was_by_theirs
        return True

    @property
    def clock(self) -> TheirClock:
        """GitHub's clock, as its answers show it."""
        return self._line.clock

    @property
    def breaker_state(self) -> BreakerState:
        """Whether GitHub is asked at all."""
        return self._line.breaker.state

    async def slug(self) -> str:
        """The App's short name, asked once; its comments are written by `<slug>[bot]`."""
        if not self._slug:
            self._slug = str((await self._itself.get("/app")).json["slug"])
        return self._slug

    def git_url(self, repo: str) -> str:
        """Where git finds `owner/name`; holds no token."""
        addresses.repository_path(repo)
        return f"{self.web_url}/{repo}.git"

    async def rest(self, attempt: int) -> None:
        """Wait as long as is polite after attempt number `attempt`; less than two seconds over a whole call."""
        await self._sleep(pause(attempt, self._random))

    async def _mint(self, scope: Scope) -> SecretToken:
        path = f"/app/installations/{scope.installation_id}/access_tokens"
        # One token too many harms nobody, so this POST may be repeated.
        sold = (await self._itself.post(path, scope.request(), idempotent=True)).json
        return SecretToken(str(sold["token"]), datetime.fromisoformat(sold["expires_at"]))


class AppItself(Calls):
    """Speaks as the App, by its signed assertion."""

    def __init__(self, app: GitHubApp, line: Line) -> None:
        super().__init__("app", line, app.rest, app.quiet)
        self._app = app

    async def _token(self) -> SecretToken:
        return self._app.assertion()

    async def _may_send(self, method: str, write: Write | None) -> None:
        """What the App does as itself is no content."""

    def _another_token_may_help(self, refused: SecretToken) -> bool:
        return self._app.date_otherwise(refused)


class Installation(Calls):
    """Speaks as the App on one account, and writes at the pacer's pace."""

    def __init__(self, app: GitHubApp, line: Line, id: int, pacer: Pacer) -> None:  # noqa: A002 - GitHub's word for it.
        super().__init__(f"installation:{id}", line, app.rest, app.quiet)
        self.app = app
        self.id = id
        self.pacer = pacer

    async def _token(self) -> SecretToken:
        return await self.app.token(self.id)

    def _another_token_may_help(self, refused: SecretToken) -> bool:
        self.app.forget(refused)
        return True

    async def _may_send(self, method: str, write: Write | None) -> None:
        if method != "GET":
            # Each attempt counts: GitHub counts what it gets, not what it carries out.
            await self.pacer.turn(write or Write(lane=Lane.COMMENTS))
