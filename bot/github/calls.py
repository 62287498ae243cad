"""GitHub's verbs as the rest of Interlock speaks them, with the rules of repeating. Who speaks is a subclass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import structlog

from bot.github.answers import SAFE, may_repeat
from bot.github.errors import BadCredentials, GitHubUnavailable, Paced, RateLimited, UnexpectedAnswer
from bot.github.line import Line
from bot.github.pacer import Write
from bot.github.quiet import Quiet
from bot.github.remembered import Kept, Remembered
from bot.github.tokens import SecretToken

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Response:
    """A good answer. `json` is None when there was no body, and belongs to everybody; `headers` ignores case."""

    json: Any
    status: int
    headers: Mapping[str, str]


class Calls(ABC):
    """GitHub's verbs, spoken as somebody.

    Paths begin with a slash and are relative to the API's address. Every verb raises the tree of `bot.github.errors`.

    Whoever speaks keeps quiet while GitHub has asked them to; others go on.

    Attributes:
        share_left: of the calls that GitHub grants in this hour, as it last said; 1.0 while it said nothing.

    Args:
        name: tells this speaker from all others.
        line: where requests go.
        rest: waits before attempt number n + 1, given n.
        quiet: who keeps quiet.
    """

    def __init__(self, name: str, line: Line, rest: Callable[[int], Awaitable[object]], quiet: Quiet) -> None:
        self._name = name
        self._line = line
        self._rest = rest
        self._quiet = quiet
        self._remembered = Remembered()
        self.share_left = 1.0

    @abstractmethod
    async def _token(self) -> SecretToken:
        """What the next request identifies itself with."""

    @abstractmethod
    async def _may_send(self, method: str, write: Write | None) -> None:
        """Wait until a request may go out; `write` says what a content write is for."""

    @abstractmethod
    def _another_token_may_help(self, refused: SecretToken) -> bool:
        """GitHub answered 401 to `refused`; true when the next `_token` is a different one."""

    async def get(self, path: str, params: Mapping[str, str | int] | None = None, *, again: bool = False) -> Response:
        """Read. Repeated on `GitHubUnavailable`.

        Args:
            path: what.
            params: its query.
            again: it is read time and again: where GitHub confirms the last answer, that one is returned, and the call
                costs nothing of the rate limit.
        """
        if not again:
            return await self._call("GET", path, params=params, idempotent=True)
        key = f"{path}?{sorted((params or {}).items())}"
        kept = self._remembered.get(key)
        answer = await self._call("GET", path, params=params, idempotent=True, etag=kept.etag if kept else "")
        if kept and answer.status == httpx.codes.NOT_MODIFIED:
            return Response(kept.json, httpx.codes.OK, httpx.Headers(kept.headers))
        size = int(answer.headers.get("content-length") or 0)
        self._remembered.keep(key, Kept(answer.headers.get("etag", ""), answer.json, dict(answer.headers)), size)
        return answer

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
        self,
        path: str,
        params: Mapping[str, str | int] | None = None,
        *,
        key: str = "",
        per_page: int = 100,
        again: bool = False,
    ) -> AsyncIterator[Any]:
        """Every item of a list; pages are fetched as they are needed.

        Args:
            path: the list.
            params: its query.
            key: where the list is when the page is an object: `check_runs`.
            per_page: GitHub gives at most 100.
            again: as `get` has it.
        """
        answer = await self.get(path, {**(params or {}), "per_page": per_page}, again=again)
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
            answer = await self.get(following, again=again)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        idempotent: bool,
        write: Write | None = None,
        etag: str = "",
    ) -> Response:
        if until := self._quiet.until(self._name):
            # Calling on while limited is what gets an app banned.
            raise RateLimited(until)
        try:
            answer = await self._repeated(
                method, path, params=params, json=json, idempotent=idempotent, write=write, etag=etag
            )
        except Paced:
            raise  # that was us: nobody has asked for silence.
        except RateLimited as limited:
            raise await self._quiet.begin(self._name, limited) from None
        self._quiet.end(self._name)
        self._note(answer.headers)
        return answer

    async def _repeated(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None,
        json: object,
        idempotent: bool,
        write: Write | None,
        etag: str,
    ) -> Response:
        """Send, and repeat as far as `may_repeat` allows; a refused token is replaced once, whatever the method."""
        attempt, renewed = 1, False
        while True:
            await self._may_send(method, write)
            token = await self._token()
            try:
                return _response(
                    await self._line.exchange(method, path, token=token, params=params, json=json, etag=etag)
                )
            except BadCredentials:
                if renewed or not self._another_token_may_help(token):
                    raise
                renewed = True
            except GitHubUnavailable as trouble:
                if self._line.resting or not may_repeat(trouble, attempt=attempt, idempotent=idempotent):
                    raise
                log.warning("github_call_repeated", method=method, path=path, attempt=attempt, because=str(trouble))
                await self._rest(attempt)
                attempt += 1

    def _note(self, headers: Mapping[str, str]) -> None:
        remaining, limit = headers.get("x-ratelimit-remaining", ""), headers.get("x-ratelimit-limit", "")
        if remaining.isdecimal() and limit.isdecimal() and int(limit):
            self.share_left = int(remaining) / int(limit)


def _response(answer: httpx.Response) -> Response:
    if not answer.content:
        return Response(None, answer.status_code, answer.headers)
    try:
        return Response(answer.json(), answer.status_code, answer.headers)
    except ValueError:
        # A proxy's page, or half an answer. Its text is not repeated: it may be anybody's.
        method = answer.request.method
        message = f"{answer.url.host} answered {method} {answer.url.path} with something else than JSON"
        raise GitHubUnavailable(message, method not in SAFE) from None
