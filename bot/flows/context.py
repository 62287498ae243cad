"""What every flow works with: the adapters, made once by `bot.app`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

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
        stops: set to make an executing run look at its row, by run id.
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
    stops: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def installation(self, run: Run) -> Installation:
        """The installation that speaks for a run's repository."""
        return self.github.installation(run.installation_id)

    def files(self, run: Run) -> RunFiles:
        """Where a run lives on disk."""
        return RunFiles(directory=self.data_dir / "runs" / str(run.number))

    async def stop(self, run_id: str, because: str) -> None:
        """Make a run stop: durably, and at once if it executes here."""
        await self.runs.ask_to_stop(run_id, because)
        self.stops[run_id].set()
