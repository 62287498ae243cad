"""The line to GitHub's API: one open client for the process, and one request at a time over it.

githubkit carries the request; its token cache, retries, HTTP cache and redirects are off, for reasons that
docs/explanation/how-interlock-talks-to-github.md gives. Nothing is repeated here, and no token leaves for another host.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

import httpx
from githubkit import GitHub, UnauthAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.exception import RequestError

from bot.github.addresses import origin
from bot.github.answers import problem, transport_problem
from bot.github.breaker import Breaker, BreakerState
from bot.github.errors import GitHubProblem, GitHubUnavailable, NotAsked, UnexpectedAnswer
from bot.github.their_clock import TheirClock
from bot.github.tokens import SecretToken
from bot.ops.own_secrets import OWN
from runner import __version__

API_VERSION = "2022-11-28"
JSON = "application/vnd.github+json"

_REDIRECTS = frozenset({301, 302, 307, 308})
_MAX_REDIRECTS = 3


class Line:
    """Sends requests to the API at `api_url`, and nowhere else; while that is away, not even there.

    Attributes:
        breaker: leaves GitHub alone after enough failures.
        clock: GitHub's, as its answers show it.

    Args:
        api_url: `https://api.github.com`, `https://HOST/api/v3`, or a stand-in's address.
        now: the time, aware.
        timeout: of each wait within one request.
        deadline: seconds after which a request is given up, however much of its answer has come.
        transport: instead of the network; for tests that judge each exchange.
    """

    def __init__(
        self,
        api_url: str,
        now: Callable[[], datetime],
        *,
        timeout: httpx.Timeout | float,
        deadline: float,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._deadline = deadline
        self._base = api_url.rstrip("/")
        self._now = now
        self.breaker = Breaker(now)
        self.clock = TheirClock(now)
        self._github = _OpenGitHub(self._base, timeout, transport, self._stamp, self._judge)

    async def open(self) -> None:
        """Open the one client."""
        await self._github.open()

    async def close(self) -> None:
        """Close it; a call after this is a bug."""
        await self._github.close()

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        token: SecretToken,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        accept: str = JSON,
        etag: str = "",
    ) -> httpx.Response:
        """One request and its good answer. Redirects are followed within the API, as a renamed repository needs.

        With an `etag` the answer may be an empty 304: what it names is still true.

        Raises:
            GitHubProblem: the answer was not good, or there was none.
        """
        # httpx.Headers, not a dict: a traceback that shows local variables shows [secure] for the token.
        headers = httpx.Headers({"Accept": accept, "X-GitHub-Api-Version": API_VERSION})
        headers["Authorization"] = f"Bearer {token.reveal()}"
        if etag:
            headers["If-None-Match"] = etag
        for _ in range(_MAX_REDIRECTS + 1):
            answer = await self._send(method, path, params, json, headers)
            if answer.status_code not in _REDIRECTS:
                return answer
            path, params = self.path_of(str(answer.url.join(answer.headers.get("location", "")))), None
        message = f"GitHub redirected {method} {path} more than {_MAX_REDIRECTS} times"
        raise UnexpectedAnswer(message)

    def next_page(self, headers: Mapping[str, str]) -> str:
        """The path of the next page; empty on the last.

        Raises:
            UnexpectedAnswer: the link leads to another place.
        """
        link = httpx.Response(200, headers=dict(headers)).links.get("next", {}).get("url", "")
        return self.path_of(link) if link else ""

    def path_of(self, url: str) -> str:
        """`url` as a path below the API's address, with its query.

        Raises:
            UnexpectedAnswer: it is not below it; a token would go to somebody else.
        """
        prefix = httpx.URL(self._base).raw_path.decode().rstrip("/") + "/"
        path = httpx.URL(url).raw_path.decode()
        if origin(url) != origin(self._base) or not path.startswith(prefix):
            message = f"GitHub's API pointed to another place, {httpx.URL(url).host!r}; it was not followed"
            raise UnexpectedAnswer(message)
        return path[len(prefix) - 1 :]

    async def _send(
        self, method: str, path: str, params: Mapping[str, str | int] | None, json: object, headers: httpx.Headers
    ) -> httpx.Response:
        if not self.breaker.admit():
            message = f"GitHub was away a moment ago, so {method} {path} was not sent"
            raise NotAsked(message, self.breaker.again_at)
        try:
            answer = await self._exchanged(method, path, params, json, headers)
        except GitHubUnavailable:
            self.breaker.fail()
            raise
        except GitHubProblem:
            self.breaker.succeed()
            raise
        except BaseException:
            self.breaker.abandon()
            raise
        self.breaker.succeed()
        return answer

    @property
    def resting(self) -> bool:
        """Whether GitHub is left alone at this moment."""
        return self.breaker.state is not BreakerState.CLOSED

    async def _exchanged(
        self, method: str, path: str, params: Mapping[str, str | int] | None, json: object, headers: httpx.Headers
    ) -> httpx.Response:
        query = dict(params) if params else None
        if path.startswith("/repos/"):
            json = OWN.within(json)  # what is written there is read by people; the App's own settings are not.
        try:
            async with asyncio.timeout(self._deadline):
                answer = await self._github.arequest(method, path, params=query, json=json, headers=headers)
        except TimeoutError as late:
            # The client's own time-outs begin anew with each byte, so an answer that drips would never end.
            raise transport_problem(late, method, path) from None
        except RequestError as error:
            if isinstance(error.exc, GitHubProblem):
                raise error.exc from None
            # Without its cause: the frames of the HTTP library hold the request as it went out, with the token.
            raise transport_problem(error.exc, method, path) from None
        return answer.raw_response

    async def _stamp(self, request: httpx.Request) -> None:
        request.extensions["asked_at"] = self._now()

    async def _judge(self, response: httpx.Response) -> None:
        """State our problem before githubkit states its own: its reading of limits trips over dates in Retry-After."""
        self.clock.observe(response.headers.get("date", ""), response.request.extensions["asked_at"])
        if response.is_error:
            await response.aread()
        if found := problem(response, self._now()):
            raise found


class _OpenGitHub(GitHub[UnauthAuthStrategy]):
    """githubkit with one open client that every task sees.

    githubkit keeps the client that `async with` opens in a context variable. A sibling of the opener does
    not see it, and makes a new client with its own TLS context for every call. Here the client is an attribute.
    """

    def __init__(
        self,
        base_url: str,
        timeout: httpx.Timeout | float,
        transport: httpx.AsyncBaseTransport | None,
        stamp: Callable[[httpx.Request], Awaitable[None]],
        judge: Callable[[httpx.Response], Awaitable[None]],
    ) -> None:
        super().__init__(
            UnauthAuthStrategy(),
            base_url=base_url,
            user_agent=f"interlock/{__version__}",
            timeout=timeout,
            follow_redirects=False,
            async_transport=transport,
            async_event_hooks={"request": [stamp], "response": [judge]},
            cache_strategy=MemCacheStrategy(),
            http_cache=False,
            auto_retry=False,
        )
        self._stack = AsyncExitStack()
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        """Open the one client."""
        self._client = await self._stack.enter_async_context(super().get_async_client())

    async def close(self) -> None:
        """Close it."""
        self._client = None
        await self._stack.aclose()

    @asynccontextmanager
    async def get_async_client(self) -> AsyncIterator[httpx.AsyncClient]:
        """The open client, to whoever asks; it stays open afterwards."""
        if self._client is None:
            message = "the connection to GitHub is not open"
            raise RuntimeError(message)
        yield self._client
