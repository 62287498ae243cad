"""From the inbox to flows: at once for what has just come in, and again for whatever a crash left without one."""

from __future__ import annotations

import asyncio
import contextlib

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.deliveries import Ignore
from bot.flows import conclude, on_commit, on_delivery
from bot.flows.context import Context
from bot.github.errors import GitHubProblem
from bot.store.deliveries import Delivery

log = structlog.get_logger()

SWEEP_EVERY = 30
"""Seconds between two looks for deliveries and runs without a flow."""

BATCH = 100


class Dispatch:
    """Starts a flow for each delivery that asks for something; the others are closed with their reason."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._scheduler = AsyncIOScheduler(timezone="UTC")

    async def start(self) -> None:
        """Take up what is left from before, then whatever comes."""
        self._task = asyncio.create_task(self._pump(), name="dispatch")
        await self.sweep()
        self._scheduler.add_job(self.sweep, "interval", seconds=SWEEP_EVERY, max_instances=1, coalesce=True)
        self._scheduler.start()

    async def stop(self) -> None:
        """Start nothing more; what waits is found by the next sweep."""
        self._scheduler.shutdown(wait=False)
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def accept(self, delivery: Delivery) -> None:
        """Take a delivery that is durable."""
        self._idle.clear()
        self._queue.put_nowait(delivery)

    @property
    def busy(self) -> bool:
        """Whether deliveries wait for their flow."""
        return not self._idle.is_set()

    async def idle(self) -> None:
        """Wait until every accepted delivery has its flow, or its reason for none."""
        await self._idle.wait()

    async def sweep(self) -> None:
        """Start flows for open deliveries and open runs. Starting one that exists changes nothing."""
        for delivery in await self._ctx.inbox.open():
            await self._start(delivery)
        for run in await self._ctx.runs.all_open():
            status = await self._ctx.engine.status(run.id)
            if status == "ERROR":
                log.error("run_orphaned", run=run.id)
                with contextlib.suppress(GitHubProblem):
                    await conclude.admit_failure(self._ctx, run.id, run.id)
            elif status is None:
                await self._ctx.engine.start(on_commit.NAME, run.id, run.id)

    async def _pump(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while not self._queue.empty() and len(batch) < BATCH:
                batch.append(self._queue.get_nowait())
            try:
                await self._take(batch)
            except SQLAlchemyError as error:
                log.error("dispatch_postponed", because=type(error).__name__)  # noqa: TRY400 - the sweep repeats it.
            if self._queue.empty():
                self._idle.set()

    async def _take(self, batch: list[Delivery]) -> None:
        ignored: list[tuple[str, str]] = []
        for delivery in batch:
            actions = on_delivery.actions_of(delivery, own_app_id=self._ctx.github.app_id)
            reasons = [action.reason for action in actions if isinstance(action, Ignore)]
            if len(reasons) == len(actions):
                ignored.append((delivery.id, f"ignored: {'; '.join(reasons)}"))
            else:
                await self._start(delivery)
        if ignored:
            await self._ctx.inbox.close(ignored)

    async def _start(self, delivery: Delivery) -> None:
        await self._ctx.engine.start(on_delivery.NAME, delivery.id, delivery.id)
