"""From the inbox to flows: at once for what has just come in, and again for whatever a crash left without one.

It also fires the rounds that look for what never came in: `redeliver` and `reconcile`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from sqlalchemy.exc import SQLAlchemyError

from bot.domain.deliveries import Action, Ignore, StartRun
from bot.flows import conclude, housekeeping, on_commit, on_delivery, reconcile, redeliver, thaw
from bot.flows.context import Context
from bot.flows.deploying import rounds
from bot.github.errors import GitHubProblem
from bot.store.deliveries import Delivery

log = structlog.get_logger()

SWEEP_EVERY = 30
"""Seconds between two looks for deliveries and runs without a flow."""

CLOSE_AFTER = 0.25
"""Seconds that deliveries without a flow are gathered before one commit closes them: acknowledging comes first."""

FLOWS_PER_DELIVERY = 5
"""Flows that one delivery may use up; a bug that failed that often will fail again."""

JITTER = 3
"""Seconds by which rounds are spread, so that many bots do not call GitHub in step."""

ROUNDS = (
    (redeliver.NAME, redeliver.EVERY, ""),
    (reconcile.NAME, reconcile.EVERY, reconcile.EVERYWHERE),
)
"""What runs at start and again and again: the flow, how often, and its argument."""

ROUNDS_KEPT = timedelta(days=1)
"""How long the engine remembers that a round was made; nothing asks for it later."""

_GIVEN_UP = frozenset({"ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED"})
"""Statuses of a flow that will not go on by itself. The second: the process died in it again and again."""


class Dispatch:
    """Starts a flow for each delivery that asks for something; the others are closed with their reason."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._queue: asyncio.Queue[Delivery] = asyncio.Queue()
        self._ignored: list[tuple[str, str]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._some_ignored = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._scheduler = AsyncIOScheduler(timezone="UTC")
        self._rounds = rounds.Rounds(ctx)

    async def start(self) -> None:
        """Take up what is left from before, then whatever comes."""
        self._tasks = [asyncio.create_task(self._pump()), asyncio.create_task(self._close_ignored())]
        await self.sweep()
        self._every(timedelta(seconds=SWEEP_EVERY), self.sweep)
        await housekeeping.tidy(self._ctx)
        self._every(housekeeping.EVERY, housekeeping.tidy, self._ctx)
        await thaw.thaw(self._ctx)  # a freeze may have ended while nobody was there.
        self._every(timedelta(seconds=thaw.LOOK_EVERY), thaw.thaw, self._ctx)
        await self._rounds.start()
        self._every(timedelta(seconds=rounds.EVERY), self._rounds.go_round)
        began = self._ctx.clock.now().isoformat()
        for name, every, what in ROUNDS:
            # One of its own at each start: what was missed was most likely missed while nobody was there.
            await self._ctx.engine.start(name, f"{name}:start:{began}", what)
            self._every(every, self.fire, name, every, what)
        self._scheduler.start()

    async def fire(self, name: str, every: timedelta, what: str) -> None:
        """Start the round that is due. Its id is the same whoever fires it, so it happens once."""
        now = self._ctx.clock.now()
        due = now.timestamp() // every.total_seconds() * every.total_seconds()
        await self._ctx.engine.start(name, f"{name}:{int(due)}", what)
        await self._ctx.engine.forget(f"{name}:", before=now - ROUNDS_KEPT)

    def _every(self, every: timedelta, what: Callable[..., Awaitable[None]], *args: object) -> None:
        self._scheduler.add_job(
            what, "interval", args, seconds=every.total_seconds(), max_instances=1, coalesce=True, jitter=JITTER
        )

    async def stop(self) -> None:
        """Start nothing more; what waits is found by the next sweep. Stopping twice is harmless."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        await self._rounds.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

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
            await self._start_again(delivery)
        for run in await self._ctx.runs.all_open():
            status = await self._ctx.engine.status(run.id)
            if status in _GIVEN_UP:
                log.error("run_orphaned", run=run.id)
                with contextlib.suppress(GitHubProblem):
                    await conclude.admit_failure(self._ctx, run.id, run.id)
            elif status is None:
                await self._ctx.engine.start(on_commit.NAME, run.id, run.id)

    async def _pump(self) -> None:
        while True:
            delivery = await self._queue.get()
            try:
                await self._take(delivery)
            except SQLAlchemyError as error:
                log.error("dispatch_postponed", because=type(error).__name__)  # noqa: TRY400 - the sweep repeats it.
            self._rest()

    async def _take(self, delivery: Delivery) -> None:
        reading = on_delivery.understand(delivery, own_app_id=self._ctx.github.app_id)
        for oddity in reading.oddities:
            self._ctx.oddities.count(oddity)
        reasons = [reason for action in reading.actions if (reason := self._for_nothing(action))]
        if len(reasons) < len(reading.actions):
            await self._start(delivery)
            return
        log.debug("delivery_ignored", delivery=delivery.id, webhook=delivery.event, reason="; ".join(reasons))
        self._ignored.append((delivery.id, f"ignored: {'; '.join(reasons)}"))
        self._some_ignored.set()
        await asyncio.sleep(0)  # a burst must not keep the door from answering

    def _for_nothing(self, action: Action) -> str:
        """Why an action needs no flow; "" when it does."""
        match action:
            case Ignore(reason):
                return reason
            case StartRun(if_listed=True) if self._lacks(action):
                return "a push to a branch that the default branch's configuration does not list"
            case StartRun(cause="push", if_listed=False):
                self._ctx.listed.forget((action.installation_id, action.repo_id))
        return ""

    def _lacks(self, push: StartRun) -> bool:
        return self._ctx.listed.lacks((push.installation_id, push.repo_id), push.base_ref)

    async def _close_ignored(self) -> None:
        while True:
            await self._some_ignored.wait()
            await asyncio.sleep(CLOSE_AFTER)
            self._some_ignored.clear()
            batch, self._ignored = self._ignored, []
            try:
                await self._ctx.inbox.close(batch)
            except SQLAlchemyError as error:
                log.error("closing_postponed", because=type(error).__name__)  # noqa: TRY400 - the sweep repeats it.
            self._rest()

    def _rest(self) -> None:
        if self._queue.empty() and not self._ignored:
            self._idle.set()

    async def _start_again(self, delivery: Delivery) -> None:
        """Start a delivery's flow; after one that failed (a bug: outages are waited for) another, but not for ever."""
        for attempt in range(1, FLOWS_PER_DELIVERY + 1):
            flow_id = delivery.id if attempt == 1 else f"{delivery.id}~{attempt}"
            status = await self._ctx.engine.status(flow_id)
            if status is None:
                await self._ctx.engine.start(on_delivery.NAME, flow_id, delivery.id)
            if status not in _GIVEN_UP:
                return
        log.error("delivery_given_up", delivery=delivery.id)
        await self._ctx.inbox.close([(delivery.id, "given up: its flow failed every time; see the log")])

    async def _start(self, delivery: Delivery) -> None:
        await self._ctx.engine.start(on_delivery.NAME, delivery.id, delivery.id)
