"""GitHub's verbs as the rest of Interlock speaks them, with the rules of repeating. Who speaks is a subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from bot.github.answers import may_repeat
from bot.github.errors import BadCredentials, GitHubUnavailable, UnexpectedAnswer
from bot.github.line import Line
from bot.github.pacer import Write
from bot.github.tokens import SecretToken

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Response:
    """A good answer. `json` is None when there was no body; `headers` ignores case."""

    json: Any
    status: int
    headers: Mapping[str, str]


class Calls(ABC):
    """GitHub's verbs, spoken as somebody.

    Paths begin with a slash and are relative to the API's address. Every verb raises the tree of `bot.github.errors`.

    Args:
        line: where requests go.
        rest: waits before attempt number n + 1, given n.
    """

    def __init__(self, line: Line, rest: Callable[[int], Awaitable[object]]) -> None:
        self._line = line
        self._rest = rest

    @abstractmethod
    async def _token(self) -> SecretToken:
        """What the next request identifies itself with."""

    @abstractmethod
    async def _may_send(self, method: str, write: Write | None) -> None:
        """Wait until a request may go out; `write` says what a content write is for."""

    @abstractmethod
    def _another_token_may_help(self, refused: SecretToken) -> bool:
        """GitHub answered 401 to `refused`; true when the next `_token` is a different one."""

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Response:
        """Read. Repeated on `GitHubUnavailable`."""
        return await self._call("GET", path, params=params, idempotent=True)

    async def post(
        self, path: str, json: object = None, *, idempotent: bool = False, write: Write | None = None
    ) -> Response:
        """Create. Repeated only when the first attempt was surely not carried out, or doing it twice is harmless."""
        return await self._call("POST", path, json=json, idempotent=idempotent, write=write)

    async def patch(self, path: str, json: object, *, idempotent: bool = True, write: Write | None = None) -> Response:
        """Change. Say `idempotent=False` where a repeat adds something, as annotations do."""
        return await self._call("PATCH", path, json=json, idempotent=idempotent, write=write)

    async def put(self, path: str, json: object = None) -> Response:
        """Put. Repeated on `GitHubUnavailable`."""
        return await self._call("PUT", path, json=json, idempotent=True)

    async def delete(self, path: str) -> Response:
        """Delete. Repeated on `GitHubUnavailable`, so `NotFound` may mean that an earlier attempt did it."""
        return await self._call("DELETE", path, idempotent=True)

    async def paginate(
        self, path: str, params: Mapping[str, str | int] | None = None, *, key: str = "", per_page: int = 100
    ) -> AsyncIterator[Any]:
        """Every item of a list; pages are fetched as they are needed.

        Args:
            path: the list.
            params: its query.
            key: where the list is when the page is an object: `check_runs`.
            per_page: GitHub gives at most 100.
        """
        answer = await self.get(path, {**(params or {}), "per_page": per_page})
        while True:
            page = answer.json.get(key) if key and isinstance(answer.json, dict) else answer.json
            if not isinstance(page, list):
                message = f"GitHub answered GET {path} without a list"
                raise UnexpectedAnswer(message)
            for item in page:
                yield item
            following = self._line.next_page(answer.headers)
            if not following:
                return
            answer = await self.get(following)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        idempotent: bool,
        write: Write | None = None,
    ) -> Response:
        """Send, and repeat as far as `may_repeat` allows; a refused token is replaced once, whatever the method."""
        attempt, renewed = 1, False
        while True:
            await self._may_send(method, write)
            token = await self._token()
            try:
                answer = await self._line.exchange(method, path, token=token, params=params, json=json)
            except BadCredentials:
                if renewed or not self._another_token_may_help(token):
                    raise
                renewed = True
            except GitHubUnavailable as trouble:
                if not may_repeat(trouble, attempt=attempt, idempotent=idempotent):
                    raise
                log.warning("github_call_repeated", method=method, path=path, attempt=attempt, because=str(trouble))
                await self._rest(attempt)
                attempt += 1
            else:
                return _response(answer)


def _response(answer: httpx.Response) -> Response:
    if not answer.content:
        return Response(None, answer.status_code, answer.headers)
    try:
        return Response(answer.json(), answer.status_code, answer.headers)
    except ValueError:
        # A proxy's login page, for one. Its text is not repeated: it may be anybody's.
        message = f"{answer.url.host} answered {answer.request.method} {answer.url.path} with something else than JSON"
        raise UnexpectedAnswer(message) from None
