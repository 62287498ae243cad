"""Runs, the check runs that show them, and the one comment of a pull request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from bot.domain.run_states import OPEN, IllegalMove, RunState, sources
from bot.store.models import checks, comments, runs

_NUMBER_TRIES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A plan executed for one head. `number` is what people see; `id` is also the id of its flow.

    `kept_from` names an earlier run whose verdicts count for the boxes that are not selected. `stop_because` is set by
    whoever wants the run to stop; the run itself obeys. `cause` is `pull_request`, `push` or `merge_group`, "" in
    rows of old; `tree` is the SHA of the tree that is tested, "" while it is not known. `prove` is the selection of
    boxes that somebody wants proved: such a run makes no verdict anew. "" for every other run.
    """

    id: str
    number: int
    installation_id: int
    repo_id: int
    repo: str
    pr: int | None
    title: str
    author: str
    base_ref: str
    base_sha: str
    head_sha: str
    config_hash: str
    selection: str
    kept_from: str
    trust: str
    state: RunState
    conclusion: str
    because: str
    stop_because: str
    delivery: str
    cause: str
    tree: str
    prove: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheck:
    """A check run of ours on GitHub, how many annotations it has, and the digest of what it shows.

    `check_run_id` is 0 while it is not known: GitHub is about to be asked for it, or was when we crashed.
    """

    name: str
    check_run_id: int
    sent_annotations: int
    digest: str


class RunStore:
    """All that is known of runs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def create(self, run_id: str, *, now: datetime, **facts: Any) -> Run:
        """Insert a queued run, or return the one that has this id already."""
        # One statement takes the next number and the row's place: two flows that begin at once get two numbers.
        following = sa.select(sa.func.coalesce(sa.func.max(runs.c.number), 0) + 1).scalar_subquery()
        values = {"id": run_id, "number": following, "state": RunState.QUEUED, "created_at": now, **facts}
        for attempt in range(_NUMBER_TRIES):
            if (known := await self.get(run_id)) is not None:
                return known
            try:
                async with self._engine.begin() as connection:
                    await connection.execute(sa.insert(runs).values(**values))
                break
            except IntegrityError:  # somebody else took the id, or (not on SQLite) the number
                if attempt == _NUMBER_TRIES - 1:
                    raise
        found = await self.get(run_id)
        assert found is not None, run_id
        return found

    async def get(self, run_id: str) -> Run | None:
        """A run by id."""
        return await self._first(sa.select(runs).where(runs.c.id == run_id))

    async def by_number(self, number: int) -> Run | None:
        """A run by the number that people see."""
        return await self._first(sa.select(runs).where(runs.c.number == number))

    async def enter(self, run_id: str, state: RunState, **values: Any) -> None:
        """Let a run go on to a state, and change other columns with it. The only way to change a run's state.

        Raises:
            IllegalMove: it cannot go there from where it is; nothing was changed.
        """
        # One statement looks and changes: of two who want different ends, the second is refused.
        key = (runs.c.id == run_id) & runs.c.state.in_(sources(state))
        async with self._engine.begin() as connection:
            done = await connection.execute(sa.update(runs).where(key).values(state=state, **values))
        if not done.rowcount:
            run = await self.get(run_id)
            assert run is not None, run_id
            raise IllegalMove(run_id, run.state, state)

    async def update(self, run_id: str, **values: Any) -> None:
        """Change columns of one run; its state is changed by `enter`."""
        assert "state" not in values, "a run's state is changed by `enter`"
        async with self._engine.begin() as connection:
            await connection.execute(sa.update(runs).where(runs.c.id == run_id).values(**values))

    async def move(self, repo_id: int, *, repo: str, installation_id: int) -> None:
        """Let a repository's runs follow it to another name, or another account. Its number stays."""
        named = sa.update(runs).where(runs.c.repo_id == repo_id)
        async with self._engine.begin() as connection:
            await connection.execute(named.values(repo=repo, installation_id=installation_id))

    async def recent(self, limit: int = 50) -> list[Run]:
        """The newest runs, newest first."""
        return await self._all(sa.select(runs).order_by(runs.c.number.desc()).limit(limit))

    async def newest_of(self, repo_id: int, pr: int) -> Run | None:
        """The newest run whose head was the pull request's when it was prepared.

        A delivery that comes late makes a run for a head of the past. It gives way before it knows a base.
        """
        query = sa.select(runs).where(runs.c.repo_id == repo_id, runs.c.pr == pr, runs.c.base_sha != "")
        return await self._first(query.order_by(runs.c.number.desc()))

    async def newest_in(self, repo_id: int) -> Run | None:
        """The newest run of a repository."""
        return await self._first(sa.select(runs).where(runs.c.repo_id == repo_id).order_by(runs.c.number.desc()))

    async def newest_named(self, repo: str) -> Run | None:
        """The newest run of the repository that was then called so."""
        query = sa.select(runs).where(sa.func.lower(runs.c.repo) == repo.lower())
        return await self._first(query.order_by(runs.c.number.desc()))

    async def open_of(self, repo_id: int, pr: int) -> list[Run]:
        """Runs of a pull request that have not ended, oldest first."""
        query = sa.select(runs).where(runs.c.repo_id == repo_id, runs.c.pr == pr, runs.c.state.in_(OPEN))
        return await self._all(query.order_by(runs.c.number))

    async def of_pull(self, repo_id: int, pr: int, limit: int = 100) -> list[Run]:
        """The newest runs of a pull request, newest first."""
        query = sa.select(runs).where(runs.c.repo_id == repo_id, runs.c.pr == pr)
        return await self._all(query.order_by(runs.c.number.desc()).limit(limit))

    async def of_head(self, repo_id: int, pr: int | None, head_sha: str) -> list[Run]:
        """Runs of one head of one pull request (or of a pushed head), newest first."""
        of_pr = runs.c.pr == pr if pr is not None else runs.c.pr.is_(None)
        query = sa.select(runs).where(runs.c.repo_id == repo_id, of_pr, runs.c.head_sha == head_sha)
        return await self._all(query.order_by(runs.c.number.desc()))

    async def green_of_tree(self, repo_id: int, tree: str, config_hash: str, *, since: datetime) -> list[Run]:
        """Runs of the same files under the same configuration that ended green since then, newest first."""
        same = (runs.c.repo_id == repo_id) & (runs.c.tree == tree) & (runs.c.config_hash == config_hash)
        green = (runs.c.state == RunState.FINISHED) & (runs.c.conclusion == "success") & (runs.c.finished_at >= since)
        known = (runs.c.tree != "") & (runs.c.config_hash != "")
        return await self._all(sa.select(runs).where(same, green, known).order_by(runs.c.number.desc()).limit(10))

    async def of_other_pulls(self, repo_id: int, head_sha: str, pr: int | None) -> list[Run]:
        """The newest run with an outcome, or with one to come, of every other pull request that has had this head.

        Without a pull request (of a push) all are others.
        """
        told = sa.or_(runs.c.state.in_(OPEN), runs.c.conclusion != "")
        of_head = (runs.c.repo_id == repo_id) & (runs.c.head_sha == head_sha) & (runs.c.base_sha != "")
        other = runs.c.pr != pr if pr is not None else runs.c.pr.is_not(None)
        newest = sa.select(sa.func.max(runs.c.number)).where(of_head, other, told).group_by(runs.c.pr)
        return await self._all(sa.select(runs).where(runs.c.number.in_(newest)).order_by(runs.c.number))

    async def all_open(self) -> list[Run]:
        """Every run that has not ended, oldest first."""
        return await self._all(sa.select(runs).where(runs.c.state.in_(OPEN)).order_by(runs.c.number))

    async def count_open(self) -> int:
        """How many runs have not ended."""
        query = sa.select(sa.func.count()).select_from(runs).where(runs.c.state.in_(OPEN))
        async with self._engine.connect() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def ask_to_stop(self, run_id: str, because: str) -> None:
        """Record that a run shall stop; the first reason stays."""
        statement = sa.update(runs).where(runs.c.id == run_id, runs.c.stop_because == "").values(stop_because=because)
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def checks_of(self, run_id: str) -> dict[str, StoredCheck]:
        """The check runs that show a run, by name."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(sa.select(checks).where(checks.c.run_id == run_id))
            return {
                row.name: StoredCheck(
                    name=row.name,
                    check_run_id=row.check_run_id,
                    sent_annotations=row.sent_annotations,
                    digest=row.digest,
                )
                for row in rows
            }

    async def intend_checks(self, run_id: str, names: Iterable[str]) -> None:
        """Remember that GitHub is about to be asked for check runs of these names; none of them may be known yet."""
        rows = [
            {"run_id": run_id, "name": name, "check_run_id": 0, "sent_annotations": 0, "digest": ""} for name in names
        ]
        async with self._engine.begin() as connection:
            await connection.execute(sa.insert(checks), rows)

    async def save_check(self, run_id: str, check: StoredCheck) -> None:
        """Remember a check run of ours."""
        values = {
            "check_run_id": check.check_run_id,
            "sent_annotations": check.sent_annotations,
            "digest": check.digest,
        }
        key = (checks.c.run_id == run_id) & (checks.c.name == check.name)
        async with self._engine.begin() as connection:
            done = await connection.execute(sa.update(checks).where(key).values(**values))
            if not done.rowcount:
                await connection.execute(sa.insert(checks).values(run_id=run_id, name=check.name, **values))

    async def comment_of(self, repo_id: int, pr: int) -> int | None:
        """The id of the comment that we keep on a pull request."""
        query = sa.select(comments.c.comment_id).where(comments.c.repo_id == repo_id, comments.c.pr == pr)
        async with self._engine.connect() as connection:
            found: int | None = (await connection.execute(query)).scalar()
            return found

    async def save_comment(self, repo_id: int, pr: int, comment_id: int) -> None:
        """Remember which comment is ours."""
        key = (comments.c.repo_id == repo_id) & (comments.c.pr == pr)
        async with self._engine.begin() as connection:
            done = await connection.execute(sa.update(comments).where(key).values(comment_id=comment_id))
            if not done.rowcount:
                await connection.execute(sa.insert(comments).values(repo_id=repo_id, pr=pr, comment_id=comment_id))

    async def _first(self, query: sa.Select[Any]) -> Run | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        return _run(row) if row else None

    async def _all(self, query: sa.Select[Any]) -> list[Run]:
        async with self._engine.connect() as connection:
            return [_run(row) for row in await connection.execute(query)]


def _run(row: sa.Row[Any]) -> Run:
    fields = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented accessor.
    fields["state"] = RunState(fields["state"])
    for name in ("created_at", "finished_at"):  # SQLite gives back the time that it was given in UTC, and forgets that.
        if (moment := fields[name]) is not None and moment.tzinfo is None:
            fields[name] = moment.replace(tzinfo=UTC)
    return Run(**fields)
