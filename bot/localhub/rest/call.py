"""One call to the REST API: what came in, what goes out, and the row of the endpoint table that joins them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from bot.localhub import refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.localhub.access import Caller
    from bot.localhub.forge import Forge
    from bot.localhub.limits import Window
    from bot.localhub.records import App, Json, Repository

MOST_PER_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes out: `body` is JSON, or bytes of the media type `media`, or None for nothing."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media: str = "application/json; charset=utf-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What came in. Under /repos/{owner}/{repo} there is a `repo`, and the caller may do what the endpoint does."""

    forge: Forge
    caller: Caller
    endpoint: Endpoint
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    url: str
    body: Json
    window: Window
    found: Repository | None

    @property
    def repo(self) -> Repository:
        """The repository that the path names."""
        assert self.found, "only endpoints under /repos/{owner}/{repo} ask"
        return self.found

    @property
    def app(self) -> App:
        """The App that calls, by JWT or token."""
        if self.caller.app is None:
            raise refusals.Refused(403, "You must authenticate via a GitHub App.")
        return self.caller.app

    def number(self, name: str) -> int:
        """An integer in the path; endpoints allow only digits there."""
        return int(self.path[name])

    def page(self, rows: Sequence[Any]) -> tuple[list[Any], dict[str, str]]:
        """The rows of the page that was asked for, and the `Link` header that leads to the others."""
        size = max(1, min(MOST_PER_PAGE, _positive(self.query.get("per_page"), 30)))
        page = _positive(self.query.get("page"), 1)
        last = max(1, -(-len(rows) // size))
        links: dict[str, int] = {}
        if page > 1:
            links.update(prev=min(page - 1, last), first=1)
        if page < last:
            links.update(next=page + 1, last=last)
        shown = ", ".join(f'<{self.link(page=str(to))}>; rel="{rel}"' for rel, to in links.items())
        return list(rows[(page - 1) * size : page * size]), {"link": shown} if shown else {}

    def link(self, **changes: str) -> str:
        """This call's address with other query parameters."""
        return f"{self.url}?{urlencode({**self.query, **changes})}"


def _positive(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdecimal() and int(text) > 0 else otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One operation: method, path template, what it takes to call it, and the function that answers.

    `who` is `anyone`, `app` (JWT only) or `installation` (its token only); on a repository, `needs` and `role` decide
    further (see `access.require`).
    """

    method: str
    path: str
    answer: Callable[[Call], Reply]
    doc: str
    needs: tuple[str, ...] = ("metadata:read",)
    role: str = "read"
    who: str = "anyone"

    @property
    def documentation(self) -> str:
        """The page of GitHub's documentation about it."""
        return f"https://docs.github.com/rest/{self.doc}"

    def pattern(self) -> re.Pattern[str]:
        """The path as a regular expression: `{name}` one segment, `{name:int}` digits, `{name:rest}` with slashes."""
        kinds = {"": "[^/]+", "int": "[0-9]{1,18}", "rest": ".+"}
        pieces = re.split(r"\{(\w+)(?::(\w+))?\}", self.path)
        out = [re.escape(pieces[0])]
        for name, kind, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            out.append(f"(?P<{name}>{kinds[kind or '']}){re.escape(text)}")
        return re.compile("".join(out))
