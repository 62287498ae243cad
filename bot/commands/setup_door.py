"""What answers while `interlock setup` runs: the page with the button, the way back from GitHub, and `/webhooks`.

It listens where the bot will listen, so what leads to it later is tried out now.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from bot.commands.setup_plan import Plan
from bot.domain.grants import GRANTS, permissions
from bot.github.errors import GitHubProblem
from bot.github.manifest import CodeRefused, Credentials, manifest, registration_page
from bot.ops.credentials import CredentialsNotWritten
from bot.web.webhooks import signed

LARGEST = 1024 * 1024
"""Bytes of a webhook that are read here; a ping is small."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    # The page's address holds the token; GitHub is told where its visitor comes from, not more.
    "Referrer-Policy": "strict-origin",
    "X-Content-Type-Options": "nosniff",
}

Keep = Callable[[str], Awaitable[Credentials]]
"""Exchanges a code and writes down what came for it."""


class Door:
    """One setup as the browser and GitHub meet it.

    Args:
        plan: what was asked for.
        keep: called with the code that came back with a good state; once it succeeded, never again.

    Attributes:
        made: the App's credentials as soon as they are written.
        arrived: the ids of the signed deliveries that came in.
    """

    def __init__(self, plan: Plan, keep: Keep) -> None:
        self._plan = plan
        self._keep = keep
        self._token = secrets.token_urlsafe(24)
        self._state = secrets.token_urlsafe(24)
        self._exchanging = asyncio.Lock()
        self._moved = asyncio.Condition()
        self.made: Credentials | None = None
        self.arrived: set[str] = set()
        folder = jinja2.FileSystemLoader(Path(__file__).parent)
        self._page = jinja2.Environment(loader=folder, autoescape=True).get_template("setup_page.html")
        self.app = Starlette(
            routes=[
                Route("/setup", self._begin),
                Route("/setup/callback", self._come_back),
                Route("/setup/done", self._end),
                Route("/webhooks", self._webhook, methods=["POST"]),
                Route("/{rest:path}", self._elsewhere),
            ]
        )

    @property
    def url(self) -> str:
        """The page's address, which only whoever runs setup knows."""
        return f"{self._plan.page_url}/setup?token={self._token}"

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something that this door sees is so."""
        async with self._moved:
            await self._moved.wait_for(holds)

    async def _tell(self) -> None:
        async with self._moved:
            self._moved.notify_all()

    def _known(self, request: Request) -> bool:
        return hmac.compare_digest(request.query_params.get("token", "").encode(), self._token.encode())

    async def _begin(self, request: Request) -> Response:
        if not self._known(request):
            return self._stranger()
        if self.made:
            return self._show(made=self.made)
        asked = manifest(
            name=self._plan.name,
            public_url=self._plan.public_url,
            redirect_url=f"{self._plan.page_url}/setup/callback",
            tier=self._plan.tier,
        )
        levels = permissions(self._plan.tier)
        return self._show(
            action=registration_page(self._plan.web_url, org=self._plan.org, state=self._state),
            owner=self._plan.org or "your own account",
            manifest=asked,
            text=json.dumps(asked),
            grants=[grant for grant in GRANTS if levels.get(grant.permission) == grant.level],
        )

    async def _come_back(self, request: Request) -> Response:
        """GitHub sends the browser here. The state proves that it left from our page."""
        if not hmac.compare_digest(request.query_params.get("state", "").encode(), self._state.encode()):
            wrong = "This did not begin on setup's page, so nothing was taken over."
            return self._show(400, wrong=wrong, remedy="Open the address that `interlock setup` printed.")
        async with self._exchanging:
            if self.made is None:
                try:
                    self.made = await self._keep(request.query_params.get("code", ""))
                except (CodeRefused, GitHubProblem, CredentialsNotWritten) as problem:
                    return self._refused(problem)
        await self._tell()
        # Away from an address that holds a code.
        return RedirectResponse(f"/setup/done?token={self._token}", status_code=303, headers=_HEADERS)

    def _refused(self, problem: CodeRefused | GitHubProblem | CredentialsNotWritten) -> Response:
        match problem:
            case CodeRefused():
                remedy = "Delete the App on GitHub if it is there, and begin again at the address that was printed."
                return self._show(400, wrong=f"{problem}.", remedy=remedy)
            case CredentialsNotWritten():
                remedy = "Its key cannot be had again: delete the App on GitHub, mend this, and begin again."
                return self._show(500, wrong=f"The App is registered, but {problem}.", remedy=remedy)
            case _:
                remedy = "Reload this page to try again; the code works for an hour."
                return self._show(502, wrong=f"{problem}.", remedy=remedy)

    async def _end(self, request: Request) -> Response:
        return self._show(made=self.made) if self._known(request) and self.made else self._stranger()

    async def _webhook(self, request: Request) -> Response:
        """As the bot would answer, except that only pings are taken in; GitHub keeps the others for the bot."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                return JSONResponse({"error": "setup is under way"}, status_code=413)
        header = request.headers.get("x-hub-signature-256", "")
        if self.made is None or not signed(body, header, [self.made.webhook_secret.encode()]):
            return JSONResponse({"error": "X-Hub-Signature-256 does not match"}, status_code=401)
        delivery = request.headers.get("x-github-delivery", "")
        self.arrived.add(delivery)
        await self._tell()
        if request.headers.get("x-github-event") != "ping":
            return JSONResponse({"error": "setup is under way; redeliver this later"}, status_code=503)
        return JSONResponse({"delivery": delivery, "duplicate": False}, status_code=202)

    async def _elsewhere(self, _request: Request) -> Response:
        return PlainTextResponse("Interlock is being set up.\n", status_code=404, headers=_HEADERS)

    def _stranger(self) -> Response:
        return PlainTextResponse(
            "Open the address that `interlock setup` printed.\n", status_code=403, headers=_HEADERS
        )

    def _show(self, status: int = 200, **values: object) -> Response:
        return HTMLResponse(self._page.render(**values), status_code=status, headers=_HEADERS)
