"""`/api/v1/audit`: who asked for what, what was decided, and why; newest first, in pages."""

from __future__ import annotations

from dataclasses import asdict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.flows.context import Context
from bot.store.audit import Row
from bot.web.local import require_local

SCHEMA = "interlock.audit/1"
MOST = 500


class AuditLog:
    """The rows of the audit. Nothing here changes them, and nothing else takes one away."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def routes(self) -> list[Route]:
        """For who sits at the machine."""
        return [Route("/api/v1/audit", self.page, methods=["GET"])]

    async def page(self, request: Request) -> Response:
        """At most `limit` rows (100), older than row `before`, of the repository with id `repo_id` or of all.

        `next` is what `before` has to be for the following page; null on the last one.
        """
        require_local(request, "only whoever sits at the machine may read the audit")
        limit = _number(request, "limit", most=MOST) or 100
        rows = await self._ctx.audit.recent(
            limit=limit + 1,
            before=_number(request, "before", most=1 << 53),
            repo_id=_number(request, "repo_id", most=1 << 53),
        )
        shown = rows[:limit]
        following = shown[-1].number if len(rows) > limit else None
        return JSONResponse({"schema": SCHEMA, "entries": [_plain(row) for row in shown], "next": following})


def _number(request: Request, name: str, *, most: int) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 17 and 0 < int(text) <= most):
        raise HTTPException(400, f"{name} is a number from 1 to {most}")
    return int(text)


def _plain(row: Row) -> dict[str, object]:
    return {"number": row.number, **asdict(row.entry), "at": row.entry.at.isoformat()}
