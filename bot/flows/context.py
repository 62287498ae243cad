"""What every flow works with: the adapters, made once by `bot.app`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from bot.domain.stopping import Cancelled, Stop, to_text
from bot.engine import Engine
from bot.flows.child import RunFiles
from bot.github.app import GitHubApp, Installation
from bot.github.workspace import Workspaces
from bot.ops.clock import Clock
from bot.ops.links import RunLinks
from bot.store.deliveries import Inbox
from bot.store.runs import Run, RunStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The adapters.

    Attributes:
        instance: tells this data directory's processes from those of every other bot on the machine.
        seats: one for each run that may execute at the same time.
        stops: of the runs that execute here, by run id; set to make one look at its row.
    """

    github: GitHubApp
    inbox: Inbox
    runs: RunStore
    engine: Engine
    clock: Clock
    links: RunLinks
    workspaces: Workspaces
    data_dir: Path
    instance: str
    seats: asyncio.Semaphore
    stops: dict[str, asyncio.Event] = field(default_factory=dict)

    def installation(self, run: Run) -> Installation:
        """The installation that speaks for a run's repository."""
        return self.github.installation(run.installation_id)

    async def run(self, run_id: str) -> Run:
        """The run of a flow; its row was made before the flow was started."""
        run = await self.runs.get(run_id)
        assert run is not None, run_id
        return run

    def files(self, run: Run) -> RunFiles:
        """Where a run lives on disk."""
        return RunFiles(directory=self.data_dir / "runs" / str(run.number))

    def cache(self, run: Run) -> Path:
        """Where the runner keeps the parsed suites of a run's repository."""
        return self.data_dir / "cache" / str(run.repo_id)

    async def stop(self, run_id: str, why: Stop) -> None:
        """Make a run stop: durably, and at once if it executes here."""
        await self.runs.ask_to_stop(run_id, to_text(why))
        if (executing := self.stops.get(run_id)) is not None:
            executing.set()

    async def cancel(self, repo_id: int, pr: int, *, by: str) -> None:
        """Stop every run of a pull request; `by` completes "cancelled by"."""
        for run in await self.runs.open_of(repo_id, pr):
            await self.stop(run.id, Cancelled(by))
