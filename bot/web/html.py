"""Answering with a page: nothing may be loaded, run or framed but what the page itself brings."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from starlette.responses import HTMLResponse, Response


def content_security_policy(nonce: str) -> str:
    """The header that our pages are made for: nothing but their own style, script and refreshing."""
    return (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def html(render: Callable[[str], str]) -> Response:
    """The answer; `render` is given the nonce that styles and scripts have to carry."""
    nonce = secrets.token_urlsafe(16)
    headers = {
        "Content-Security-Policy": content_security_policy(nonce),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(render(nonce), headers=headers)
