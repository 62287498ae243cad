"""Deployments, and where they are. The state is entered only along the edges of `bot.domain.deploy.states`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import EDGES, FINAL, IllegalEdge, State
from bot.store.models import deployments
from bot.store.rows import Rows


class Deployments:
    """All deployments that were ever asked for."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._rows = Rows(engine)

    async def add(self, wanted: Deployment) -> Deployment:
        """Remember a deployment under the next number; the one of the same id if there is one already."""
        while (known := await self.get(wanted.id)) is None:
            newest = await self._rows.first(sa.select(sa.func.max(deployments.c.number).label("number")))
            number = ((newest or {}).get("number") or 0) + 1
            fields = {name: getattr(wanted, name) for name in Deployment.__slots__}
            await self._rows.insert_once(deployments, {**fields, "number": number})
        return known

    async def get(self, deployment_id: str) -> Deployment | None:
        """One by its id."""
        return _first(await self._some(deployments.c.id == deployment_id))

    async def numbered(self, number: int) -> Deployment | None:
        """One by what people see."""
        return _first(await self._some(deployments.c.number == number))

    async def of_environment(self, repo_id: int, environment: str, *, limit: int = 100) -> list[Deployment]:
        """Those of an environment, newest first."""
        key = (deployments.c.repo_id == repo_id, deployments.c.environment == environment)
        return await self._some(*key, limit=limit)

    async def of_pull(self, repo_id: int, pr: int) -> list[Deployment]:
        """Those of a pull request, newest first."""
        return await self._some(deployments.c.repo_id == repo_id, deployments.c.pr == pr)

    async def open(self, repo_id: int | None = None, environment: str | None = None) -> list[Deployment]:
        """Those that have not ended, newest first; of everything, a repository, or one of its environments."""
        key: list[sa.ColumnElement[bool]] = [deployments.c.state.not_in([*map(str, FINAL)])]
        if repo_id is not None:
            key.append(deployments.c.repo_id == repo_id)
        if environment is not None:
            key.append(deployments.c.environment == environment)
        return await self._some(*key)

    async def newest(self, *, repo_id: int | None = None, limit: int = 100) -> list[Deployment]:
        """The newest of a repository or of all."""
        return await self._some(*([deployments.c.repo_id == repo_id] if repo_id is not None else []), limit=limit)

    async def enter(self, deployment_id: str, state: State, *, now: datetime, because: str = "") -> Deployment:
        """Move a deployment along one edge, whatever others do at the same time; entering a state again is harmless.

        Raises:
            IllegalEdge: it is somewhere else by now. Nothing was changed.
        """
        sources = [str(here) for here in State if here is state or state in EDGES[here]]
        values: dict[str, Any] = {"state": str(state), "because": because, "changed_at": now}
        if state in FINAL:
            values["finished_at"] = now
        key = (deployments.c.id == deployment_id, deployments.c.state.in_(sources), deployments.c.state != str(state))
        changed = await self._rows.write(sa.update(deployments).where(*key).values(**values))
        known = await self.get(deployment_id)
        assert known is not None, deployment_id
        if not changed and known.state is not state:
            raise IllegalEdge(known.state, state)
        return known

    async def correct(self, deployment_id: str, state: State, *, now: datetime, because: str) -> Deployment:
        """Say of a row that went another way than its journal where the deployment is: the journal is right."""
        values: dict[str, Any] = {"state": str(state), "because": because, "changed_at": now}
        values["finished_at"] = now if state in FINAL else None
        await self._rows.write(sa.update(deployments).where(deployments.c.id == deployment_id).values(**values))
        known = await self.get(deployment_id)
        assert known is not None, deployment_id
        return known

    async def note(self, deployment_id: str, **values: Any) -> None:
        """Remember facts about a deployment: any column but its id, number and state."""
        assert not {"id", "number", "state"} & set(values)
        await self._rows.write(sa.update(deployments).where(deployments.c.id == deployment_id).values(**values))

    async def _some(self, *key: sa.ColumnElement[bool], limit: int | None = None) -> list[Deployment]:
        query = sa.select(deployments).where(*key).order_by(deployments.c.number.desc())
        return [_deployment(row) for row in await self._rows.all(query.limit(limit) if limit else query)]


def _deployment(row: dict[str, Any]) -> Deployment:
    return Deployment(**{**row, "state": State(row["state"])})


def _first(found: Iterable[Deployment]) -> Deployment | None:
    return next(iter(found), None)
