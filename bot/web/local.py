"""Who sits at the machine, as far as a request can tell. What only they may do or see asks here."""

from __future__ import annotations

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request

LOOPBACK = frozenset({"127.0.0.1", "::1"})
_LOCAL_HOST = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_BY_PROXIES = frozenset({"forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"})


def is_local(request: Request) -> bool:
    """Who sits at the machine. Behind a proxy everybody looks local, so what a proxy adds counts as remote.

    So does HTTP/1.0, which proxies speak by default and browsers do not, and any Host but this machine's: a page of
    another site could have its name resolve to 127.0.0.1.
    """
    client = request.client.host if request.client else ""
    forwarded = any(name in _BY_PROXIES or name.startswith("x-forwarded-") for name in request.headers)
    old = request.scope.get("http_version") == "1.0"
    host = _LOCAL_HOST.fullmatch(request.headers.get("host", ""))
    return client in LOOPBACK and host is not None and not forwarded and not old


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
