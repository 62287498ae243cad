"""Deployments and records as whoever is outside reads them, while a bot may be at work: nothing is made or changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.record import Link
from bot.domain.deploy.states import State
from bot.store.models import approvals, deployments, records
from bot.store.rows import aware


class NotReadable(Exception):
    """The database cannot be read. The message is a sentence that names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A deployment, what was said for and against it, its record's place, and the place before it; None for none."""

    deployment: Deployment
    approvals: tuple[Approval, ...]
    link: Link | None
    previous: Link | None


class Reader:
    """A database that is only read.

    Args:
        url: SQLAlchemy's address of the bot's tables.
    """

    def __init__(self, url: str) -> None:
        self._path = Path(sa.make_url(url).database or "")

    def newest(self, *, repo: str = "", environment: str = "", limit: int = 100) -> list[Deployment]:
        """The newest deployments, of everything or of a part.

        Raises:
            NotReadable: also here and below, whenever the database does not answer.
        """
        query = sa.select(deployments).where(*_part(repo, environment)).order_by(deployments.c.number.desc())
        return [_deployment(row) for row in self._all(query.limit(limit))]

    def one(self, number: int) -> Found | None:
        """One by what people see."""
        rows = self._all(sa.select(deployments).where(deployments.c.number == number))
        if not rows:
            return None
        deployment = _deployment(rows[0])
        key = (records.c.repo_id == deployment.repo_id, records.c.environment == deployment.environment)
        chain = [_link(row) for row in self._all(sa.select(records).where(*key).order_by(records.c.place))]
        own = next((link for link in chain if link.number == number), None)
        before = [link for link in chain if own is None or link.place < own.place]
        said = (approvals.c[name] == getattr(deployment, name) for name in ("repo_id", "environment", "sha"))
        query = sa.select(approvals).where(*said).order_by(approvals.c.given_at, approvals.c.id)
        return Found(
            deployment=deployment,
            approvals=tuple(Approval(**{**row, "as_who": tuple(row["as_who"].split())}) for row in self._all(query)),
            link=own,
            previous=before[-1] if before else None,
        )

    def chains(self, *, repo: str = "", environment: str = "") -> dict[tuple[str, str], list[Link]]:
        """The records of each environment, oldest first, by the newest name of its repository, and its own."""
        query = (
            sa.select(records, deployments.c.repo)
            .join(deployments, deployments.c.id == records.c.deployment)
            .where(*_part(repo, environment))
            .order_by(records.c.repo_id, records.c.environment, records.c.place)
        )
        found: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for row in self._all(query):
            found.setdefault((row["repo_id"], row["environment"]), []).append(row)
        return {(rows[-1]["repo"], name): [_link(row) for row in rows] for (_, name), rows in found.items()}

    def _all(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        with self._open() as connection:
            try:
                return [aware(dict(row)) for row in connection.execute(query).mappings()]
            except sa.exc.DatabaseError as refused:
                message = f"{self._path} cannot be read: {refused.orig}"
                raise NotReadable(message) from refused

    @contextmanager
    def _open(self) -> Iterator[sa.Connection]:
        if not self._path.is_file():
            hint = "is this the bot's data directory? (--data-dir DIR, or INTERLOCK_DATA_DIR, names it)"
            message = f"{self._path} is not there: {hint}"
            raise NotReadable(message)
        engine = sa.create_engine(f"sqlite:///file:{quote(str(self._path))}?mode=ro&uri=true", poolclass=sa.NullPool)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def _part(repo: str, environment: str) -> list[sa.ColumnElement[bool]]:
    key: list[sa.ColumnElement[bool]] = [deployments.c.repo == repo] if repo else []
    return [*key, deployments.c.environment == environment] if environment else key


def _deployment(row: dict[str, Any]) -> Deployment:
    return Deployment(**{**row, "state": State(row["state"])})


def _link(row: dict[str, Any]) -> Link:
    return Link(place=row["place"], number=row["number"], hash=row["hash"])
