"""What GitHub has a page for and no API: pressing a button of a check run, and asking this hub about itself.

All under `/_hub/`, for programs on this machine (a demo, a box); in-process users call `LocalHub` directly.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from bot.localhub.acts import checks

if TYPE_CHECKING:
    from starlette.requests import Request

    from bot.localhub.forge import Forge

PREFIX = "/_hub/"
AVATAR = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
    '<rect width="40" height="40" fill="hsl({hue},45%,55%)"/>'
    '<text x="20" y="27" font-family="sans-serif" font-size="20" fill="#fff" text-anchor="middle">{letter}</text></svg>'
)


class Admin:
    """The hub's own endpoints."""

    def __init__(self, forge: Forge) -> None:
        self._forge = forge

    async def respond(self, request: Request) -> Response:
        """Answer one call."""
        words = request.url.path.removeprefix(PREFIX).split("/")
        body: Any = json.loads(await request.body() or b"{}")
        match (request.method, *words):
            case ("GET", "avatars", user_id) if user_id.isdecimal():
                return self._avatar(int(user_id))
            case ("GET", "pending"):
                return JSONResponse({"deliveries": self._forge.hooks.pending()})
            case ("POST", "settle"):
                await self._forge.hooks.settled()
                return JSONResponse({"deliveries": self._forge.hooks.pending()})
            case ("POST", "clock", "advance"):
                self._forge.clock.advance(float(body["seconds"]))
                return JSONResponse({"now": self._forge.clock.stamp()})
            case ("POST", "check-runs", run_id, "requested_action") if run_id.isdecimal():
                return self._press(int(run_id), str(body.get("identifier", "")), str(body.get("by", "")))
            case _:
                return PlainTextResponse("the hub has no such endpoint\n", status_code=404)

    def _avatar(self, user_id: int) -> Response:
        user = self._forge.state.users.get(user_id)
        letter = (user.login[0] if user else "?").upper()
        return Response(AVATAR.format(hue=user_id * 47 % 360, letter=letter), media_type="image/svg+xml")

    def _press(self, run_id: int, identifier: str, by: str) -> Response:
        run = self._forge.state.runs.get(run_id)
        repo = self._forge.state.repositories.get(run.repository_id) if run else None
        if run is None or repo is None or self._forge.state.user(by) is None:
            return PlainTextResponse("no such check run or user\n", status_code=404)
        try:
            checks.request_action(self._forge, repo, run, identifier, by)
        except LookupError as missing:
            return PlainTextResponse(f"{missing}\n", status_code=422)
        return JSONResponse({}, status_code=201)
