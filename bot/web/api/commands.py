"""`/api/v1/commands`: what can be asked for, and asking for it from the machine itself."""

from __future__ import annotations

import json
import secrets
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.domain.commands.entry import Surface
from bot.domain.commands.telling import description
from bot.flows.commands.obey import Obeyed
from bot.flows.context import Context
from bot.flows.operating import operate
from bot.github.errors import GitHubProblem
from bot.ops.operator_key import FILE
from bot.web.local import require_json, require_local

SCHEMA = "interlock.command/1"
MAX_BODY = 128 * 1024
"""Bytes of a request; the longest command that GitHub would store fits."""

_NO_KEY = (
    f"send what {FILE} in the data directory holds, as `Authorization: Bearer …`; "
    "`interlock command` does so for whoever may read that file"
)
_ELSEWHERE = "only whoever sits at the machine may give commands here; on GitHub, write a comment"


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    repo: Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    pr: Annotated[int, Field(gt=0, lt=1 << 31)] | None = None
    command: Annotated[str, Field(max_length=65_536)]


class Commands:
    """The registry as JSON, and a way to use it."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def routes(self) -> list[Route]:
        """Both are for who sits at the machine."""
        return [
            Route("/api/v1/commands", self.describe, methods=["GET"]),
            Route("/api/v1/commands", self.give, methods=["POST"]),
        ]

    async def describe(self, request: Request) -> Response:
        """Every verb, its usage, who may use it and where."""
        require_local(request, _ELSEWHERE)
        return JSONResponse(description())

    async def give(self, request: Request) -> Response:
        """Carry one command out; 200 when it was, 422 when not, 404 for an unknown repository, 502 without GitHub."""
        require_local(request, _ELSEWHERE)
        require_json(request)
        if not self._ctx.operator.fits(request.headers.get("authorization", "")):
            raise HTTPException(401, _NO_KEY)
        asked = _read(await _body(request))
        surface = Surface.CLI if request.headers.get("user-agent", "").startswith("interlock/") else Surface.REST
        try:
            done = await operate(
                self._ctx,
                repo=asked.repo,
                pr=asked.pr,
                text=asked.command,
                surface=surface,
                name=secrets.token_hex(8),
            )
        except GitHubProblem as problem:
            return JSONResponse(_told(done=False, reason="github", said=str(problem), runs=[]), status_code=502)
        return await self._answer(done)

    async def _answer(self, done: Obeyed) -> Response:
        found = [run.number for run_id in done.runs if (run := await self._ctx.runs.get(run_id)) is not None]
        status = 200 if done.done else 404 if done.reason == "unknown_repository" else 422
        return JSONResponse(_told(done=done.done, reason=done.reason, said=done.said, runs=found), status_code=status)


def _told(*, done: bool, reason: str, said: str, runs: list[int]) -> dict[str, object]:
    return {"schema": SCHEMA, "done": done, "reason": reason, "said": said, "runs": runs}


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"the body has more than {MAX_BODY} bytes")
    return body


def _read(body: bytes) -> _Asked:
    try:
        return _Asked.model_validate(json.loads(body))
    except (ValueError, RecursionError) as bad:
        first = bad.errors(include_url=False, include_input=False)[0] if isinstance(bad, ValidationError) else None
        where = ".".join(map(str, first["loc"])) if first else ""
        because = f"{where}: {first['msg'].lower()}" if first else "the body is no JSON object"
        raise HTTPException(400, because) from None
