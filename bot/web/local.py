"""Who sits at the machine, as far as a request can tell. What only they may do or see asks here."""

from __future__ import annotations

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.deploy.callers import Callers

LOOPBACK = frozenset({"127.0.0.1", "::1"})
_LOCAL_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_CALLERS = "interlock.callers"
_BY_PROXIES = frozenset({"forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"})


class Doorman:
    """An application whose callers over loopback are told apart: a release of this machine does not sit at it.

    Args:
        app: what answers.
        callers: who tells them apart; None where there are none to be told apart.
    """

    def __init__(self, app: ASGIApp, callers: Callers | None) -> None:
        self._app = app
        self._callers = callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with who can be asked about it."""
        await self._app({**scope, _CALLERS: self._callers}, receive, send)


def is_local(request: Request) -> bool:
    """Who sits at the machine. Behind a proxy everybody looks local, so what a proxy adds counts as remote.

    So does HTTP/1.0, which proxies speak by default and browsers do not, and any Host but this machine's: a page of
    another site could have its name resolve to 127.0.0.1. And so does a release that runs on this machine.
    """
    client = request.client.host if request.client else ""
    forwarded = any(name in _BY_PROXIES or name.startswith("x-forwarded-") for name in request.headers)
    old = request.scope.get("http_version") == "1.0"
    host = _LOCAL_HOST.fullmatch(request.headers.get("host", ""))
    return client in LOOPBACK and host is not None and not forwarded and not old and not _is_release(request.scope)


def _is_release(scope: Scope) -> bool:
    callers: Callers | None = scope.get(_CALLERS)
    return callers is not None and callers.is_release(tuple(scope["client"]), tuple(scope["server"]))


def require_local(request: Request, sentence: str) -> None:
    """Let nobody else in.

    Args:
        request: whatever came.
        sentence: what the others are told, without a full stop.

    Raises:
        HTTPException: 403, with the sentence.
    """
    if not is_local(request):
        raise HTTPException(403, sentence)


def require_json(request: Request) -> None:
    """Take a body only where its sender declared it as JSON, which a form of another site's page cannot do.

    A script of such a page would have to ask this server for leave first, and is never given it. What a browser says
    of the page all the same is looked at, too.

    Raises:
        HTTPException: 415 or 403.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        raise HTTPException(415, "the body has to be declared as application/json")
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise HTTPException(403, "pages of other sites may not ask for this")
