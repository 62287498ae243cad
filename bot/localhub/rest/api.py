"""The way of every REST call: who is it, may they, what is the answer, and the headers that GitHub puts around it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from bot.localhub import access, refusals
from bot.localhub.access import ANYBODY
from bot.localhub.clock import new_guid
from bot.localhub.contract_wire import ORDERED
from bot.localhub.refusals import Refused
from bot.localhub.rest import (
    apps,
    checks,
    comments,
    contents,
    deployments,
    environments,
    issues,
    pulls,
    refs,
    releases,
    repositories,
    statuses,
    teams,
    users,
)
from bot.localhub.rest.call import Call, Endpoint, Reply

if TYPE_CHECKING:
    import re

    from starlette.requests import Request
    from starlette.types import Send

    from bot.localhub.access import Caller
    from bot.localhub.faults import Fault, Faults, Garbled
    from bot.localhub.forge import Forge
    from bot.localhub.limits import Limits, Window
    from bot.localhub.records import Json, Repository

MODULES = (
    *(apps, users, teams, repositories, contents, refs, pulls, issues, comments, checks, statuses),
    *(deployments, environments, releases),
)
ENDPOINTS: tuple[Endpoint, ...] = (
    *(endpoint for module in MODULES for endpoint in module.ENDPOINTS),
    repositories.COMMIT,
)
LARGEST_BODY = 10_000_000


class Api:
    """The REST API of one hub."""

    def __init__(self, forge: Forge, faults: Faults, limits: Limits) -> None:
        self._forge = forge
        self._faults = faults
        self._limits = limits
        self._table: list[tuple[re.Pattern[str], Endpoint]] = [(one.pattern(), one) for one in ENDPOINTS]

    def owns(self, path: str) -> bool:
        """Whether a path is the API's (and no page's)."""
        roots = ("/repos/", "/app", "/installation", "/user", "/users/", "/rate_limit", "/repositories/", "/orgs/")
        return path.startswith(roots) and not path.startswith("/apps/")

    async def respond(self, request: Request) -> Answer:
        """Answer one call."""
        path = request.scope["raw_path"].decode().partition("?")[0] if "raw_path" in request.scope else request.url.path
        fault = self._faults.take(request.method, request.url.path)
        if fault and fault.delay:
            await asyncio.sleep(fault.delay)
        body = await request.body()
        spoiled = fault is not None and (fault.status > 0 or fault.reset)
        if spoiled and fault and not fault.after_commit:
            return self._spoiled(request, fault)
        answer = self._answer(request, path, body)
        if fault and fault.garbled:
            answer.garble(fault.garbled)
        if fault and fault.drip:
            answer.drip = fault.drip
        return self._spoiled(request, fault) if spoiled and fault else answer

    def _spoiled(self, request: Request, fault: Fault) -> Answer:
        window = self._limits.window("anonymous", self._forge.clock.seconds())
        body = {
            "message": fault.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(fault.status),
        }
        reply = Reply(status=fault.status or 200, body=body, headers=fault.headers)
        return self._finish(request, reply, window, headers=not fault.headers, reset=fault.reset)

    def _answer(self, request: Request, path: str, body: bytes) -> Answer:
        """Everything between the last byte in and the first byte out happens at once: no other call comes between."""
        documentation = "https://docs.github.com/rest"
        caller = ANYBODY
        try:
            endpoint, names = self._find(request.method, path)
            documentation = endpoint.documentation
            caller = access.caller_of(self._forge, request.headers.get("authorization", ""))
            window = self._limits.window(caller.bucket, self._forge.clock.seconds())
            if endpoint.path != "/rate_limit":
                self._spend(window, caller)
            self._admit(endpoint, caller)
            call = Call(
                forge=self._forge,
                caller=caller,
                endpoint=endpoint,
                path=names,
                query=dict(request.query_params),
                headers=request.headers,
                url=self._forge.url + request.url.path,
                body=_json(body),
                window=window,
                found=self._repository(endpoint, names, caller, path),
            )
            reply = endpoint.answer(call)
        except Refused as refused:
            window = self._limits.window(caller.bucket, self._forge.clock.seconds())
            to = {"location": refused.location} if refused.location else {}
            reply = Reply(status=refused.status, body=refused.body(documentation), headers=to)
        return self._finish(request, reply, window)

    def _find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        for pattern, endpoint in self._table:
            if endpoint.method == method and (match := pattern.fullmatch(path)):
                return endpoint, {name: unquote(value) for name, value in match.groupdict().items()}
        raise refusals.not_found()

    def _spend(self, window: Window, caller: Caller) -> None:
        if window.remaining == 0:
            whom = caller.bucket.replace("installation ", "installation ID ").replace("user ", "user ID ")
            raise Refused(403, f"API rate limit exceeded for {whom}.")
        window.used += 1

    def _admit(self, endpoint: Endpoint, caller: Caller) -> None:
        if endpoint.who == "app" and caller.kind != "app":
            raise refusals.bad_jwt("A JSON web token could not be decoded")
        if endpoint.who == "installation" and caller.kind != "installation":
            raise Refused(403, "You must authenticate with an installation access token in order to list repositories.")

    def _repository(self, endpoint: Endpoint, names: dict[str, str], caller: Caller, path: str) -> Repository | None:
        if "owner" not in names:
            return None
        name = f"{names['owner']}/{names['repo']}"
        repo = self._forge.state.repository(name)
        if repo is None:
            if moved := self._forge.state.repository_of_old(name):
                there = f"{self._forge.url}{path.replace(f'/repos/{name}', f'/repos/{moved.full_name}', 1)}"
                raise Refused(301, "Moved Permanently", location=there)
            raise refusals.not_found()
        access.require(self._forge, caller, repo, endpoint.needs, endpoint.role)
        return repo

    def _finish(
        self, request: Request, reply: Reply, window: Window, *, headers: bool = True, reset: bool = False
    ) -> Answer:
        content = _content(reply)
        out = {
            "date": format_datetime(self._forge.clock.now(), usegmt=True),
            "server": "github.com",
            "x-github-media-type": "github.v3; format=json",
            "x-github-api-version-selected": request.headers.get("x-github-api-version", "2022-11-28"),
            "x-github-request-id": new_guid().upper().replace("-", ":"),
            **reply.headers,
        }
        if content is not None:
            out["content-type"] = reply.media
        if request.method == "GET" and reply.status == 200 and content is not None:
            tag = f'W/"{hashlib.sha256(content).hexdigest()}"'
            out.update(
                {"etag": tag, "cache-control": "private, max-age=60, s-maxage=60", "vary": "Accept, Authorization"}
            )
            if _names(request.headers.get("if-none-match", ""), tag):
                window.used = max(0, window.used - 1)  # a 304 to an authenticated caller costs nothing.
                reply, content = replace(reply, status=304), None
                del out["content-type"]
        if headers:
            out.update(window.headers())
        return Answer(reply.status, out, content or b"", reset=reset)


class Answer:
    """A finished response; with `reset` the connection closes before it is complete.

    Attributes:
        drip: seconds between two of the eight pieces in which it comes; 0 sends it at once.
    """

    def __init__(self, status: int, headers: dict[str, str], content: bytes, *, reset: bool) -> None:
        self.drip = 0.0
        self._status = status
        self._headers = headers
        self._content = content
        self._reset = reset

    def garble(self, how: Garbled) -> None:
        """Make it no JSON any more; an order, so the contract does not judge it."""
        self._headers[ORDERED] = how
        if how == "page":
            self._headers["content-type"] = "text/html"
            self._content = b"<html><body>Unicorn!</body></html>"
        else:
            self._content = self._content[: len(self._content) // 2]

    async def send(self, send: Send) -> None:
        """Send it."""
        length = len(self._content) + (1 if self._reset else 0)
        headers = [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in self._headers.items()]
        if self._status not in {204, 304}:
            headers.append((b"content-length", b"%d" % length))
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        content = self._content
        if self.drip:
            step = len(content) // 8 + 1
            for start in range(0, len(content), step):
                await send({"type": "http.response.body", "body": content[start : start + step], "more_body": True})
                await asyncio.sleep(self.drip)
            content = b""
        await send({"type": "http.response.body", "body": content, "more_body": self._reset})


def _json(body: bytes) -> Json:
    if not body.strip():
        return {}
    try:
        parsed: Any = json.loads(body)
    except ValueError as wrong:
        raise Refused(400, "Problems parsing JSON") from wrong
    if not isinstance(parsed, dict):
        raise Refused(400, "Body should be a JSON object")
    return parsed


def _content(reply: Reply) -> bytes | None:
    if reply.body is None or isinstance(reply.body, bytes):
        return reply.body
    return json.dumps(reply.body, separators=(",", ":"), ensure_ascii=False).encode()


def _names(header: str, tag: str) -> bool:
    wanted = tag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") in {wanted, "*"} for one in header.split(","))
