"""Who asked for what, what was decided, and why. Rows are only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.ops.own_secrets import OWN
from bot.store.models import audit
from bot.store.rows import Rows

Decision = Literal["allowed", "refused", "noted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One decision.

    Attributes:
        id: of what was decided (`comment:12.0`); a repeated step writes one row.
        at: aware.
        actor: login, `operator` for whoever sits at the machine, or `interlock`.
        permission: what GitHub said that the actor may do, when it was read for this decision; "" when it was not.
        action: the command or event, such as `boxes run`.
        decision: refused, allowed, or a fact that was only noted.
        reason: a code for machines (`not_permitted`), stable between versions; "" where nothing needs a reason.
        detail: for people.
    """

    id: str
    at: datetime
    actor: str
    action: str
    decision: Decision
    repo_id: int
    repo: str
    pr: int | None = None
    head_sha: str = ""
    permission: str = ""
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """An entry in its place."""

    number: int
    entry: Entry


class Audit:
    """The list of decisions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def write(self, entry: Entry) -> None:
        """Add a row, once for each id."""
        await self._rows.insert_once(audit, OWN.within({name: getattr(entry, name) for name in Entry.__slots__}))

    async def recent(self, *, limit: int = 100, before: int | None = None, repo_id: int | None = None) -> list[Row]:
        """The newest rows, newest first; `before` is the number of the last row of the page before."""
        query: sa.Select[Any] = sa.select(audit).order_by(audit.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.number < before)
        if repo_id is not None:
            query = query.where(audit.c.repo_id == repo_id)
        return [Row(row.pop("number"), Entry(**row)) for row in await self._rows.all(query)]
