"""What GitHub has a page for and no REST: buttons, the merge queue, jobs of workflows; and questions about this hub.

All under `/_hub/`, for programs on this machine (a demo, a box); in-process users call `LocalHub` directly.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from bot.localhub.acts import checks, environments, queue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from bot.localhub.faults import Faults
    from bot.localhub.forge import Forge

PREFIX = "/_hub/"
AVATAR = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
    '<rect width="40" height="40" fill="hsl({hue},45%,55%)"/>'
    '<text x="20" y="27" font-family="sans-serif" font-size="20" fill="#fff" text-anchor="middle">{letter}</text></svg>'
)


class Admin:
    """The hub's own endpoints."""

    def __init__(self, forge: Forge, faults: Faults) -> None:
        self._forge = forge
        self._faults = faults

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
            case ("POST", *what):
                return self._act(what, body)
            case _:
                return _missing()

    def _act(self, what: Sequence[str], body: Any) -> Response:
        match what:
            case ("check-runs", run_id, "requested_action") if run_id.isdecimal():
                return self._press(int(run_id), str(body.get("identifier", "")), str(body.get("by", "")))
            case ("merge-queue",):
                return self._enqueue(str(body.get("repository")), body.get("number"), str(body.get("by")))
            case ("workflow-jobs",):
                return self._want(str(body.get("repository")), body)
            case ("faults",):
                return self._spoil(body)
            case _:
                return _missing()

    def _avatar(self, user_id: int) -> Response:
        user = self._forge.state.users.get(user_id)
        letter = (user.login[0] if user else "?").upper()
        return Response(AVATAR.format(hue=user_id * 47 % 360, letter=letter), media_type="image/svg+xml")

    def _spoil(self, body: Any) -> Response:
        try:
            self._faults.next(body.pop("method"), body.pop("path"), **body)
        except (KeyError, TypeError, re.error) as wrong:
            return PlainTextResponse(f"no such fault: {wrong}\n", status_code=422)
        return JSONResponse({}, status_code=201)

    def _enqueue(self, repository: str, number: Any, by: str) -> Response:
        repo = self._forge.state.repository(repository)
        pull = self._forge.state.pull(repo, number) if repo and isinstance(number, int) else None
        if repo is None or pull is None or self._forge.state.user(by) is None:
            return PlainTextResponse("no such pull request or user\n", status_code=404)
        try:
            group = queue.enqueue(self._forge, repo, pull, by, required=("Interlock",))
        except ValueError as conflict:
            return PlainTextResponse(f"{conflict}\n", status_code=422)
        return JSONResponse({"head_sha": group.head_sha, "head_ref": group.head_ref}, status_code=201)

    def _want(self, repository: str, body: Any) -> Response:
        repo, by = self._forge.state.repository(repository), str(body.get("by"))
        if repo is None or self._forge.state.user(by) is None:
            return PlainTextResponse("no such repository or user\n", status_code=404)
        sha = self._forge.git(repo).resolve(str(body.get("sha") or repo.default_branch))
        days = body.get("days", environments.DAYS)
        if sha is None or not body.get("environment") or not isinstance(days, int | float):
            return PlainTextResponse("a job needs an environment, and a commit of the repository\n", status_code=422)
        name = str(body["environment"])
        row = environments.want(self._forge, repo, name, sha=sha, by=by, ref=str(body.get("ref", "")), days=days)
        shown = {"run_id": row.run_id, "deployment_id": row.deployment_id, "state": row.state}
        return JSONResponse(shown, status_code=201)

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


def _missing() -> Response:
    return PlainTextResponse("the hub has no such endpoint\n", status_code=404)
