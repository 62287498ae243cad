"""The durable engine: flows whose finished steps are remembered, over DBOS. The only module that knows dbos.

A flow is an async function of a `Flow` and its arguments. Between steps it only decides; every side effect is a step.
After a crash the flow is run again from its beginning, finished steps answer from memory, and the step that was under
way is run once more: steps are therefore safe to repeat.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from dbos import DBOS, Serializer, SetWorkflowID
from sqlalchemy import event

from bot.codec import Codec, StepFailed

log = structlog.get_logger()
Result = TypeVar("Result")
Body = Callable[["Flow", Any], Awaitable[Any]]

FLOW_VERSION = "1"
"""Bumped by hand when the order of steps in a flow changes; flows of another version are left alone."""

_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_FORGOTTEN_AT_ONCE = 500

EMBEDDED = "embedded"
"""The one executor of a data directory. It is a constant so that a restart recovers what the last process left."""


class Flow:
    """What a flow body may do besides deciding."""

    def __init__(self, flow_id: str, engine: Engine) -> None:
        self.id = flow_id
        self._engine = engine

    async def step(self, name: str, body: Callable[..., Awaitable[Result]], *args: object) -> Result:
        """Run `body(*args)` unless its result is remembered.

        Raises:
            Exception: what the body raised, the same type now and on every replay; types that the codec does not know
                arrive as `StepFailed` from the first time on.
        """

        async def run() -> Result:
            try:
                return await body(*args)
            except Exception as error:  # whatever a step raises has to be written down for its replays.
                if self._engine.codec.knows(error):
                    raise
                log.exception("step_crashed", flow=self.id, step=name)
                raise StepFailed(type(error).__name__, str(error)) from error

        return await DBOS.run_step_async({"name": name}, run)

    async def sleep(self, seconds: float) -> None:
        """Wait; the end of the wait survives a restart."""
        await DBOS.sleep_async(seconds)

    async def start(self, name: str, flow_id: str, args: object) -> None:
        """Start another flow by its registered name; a flow that exists already is left as it is."""
        await self._engine.start(name, flow_id, args)


class Engine:
    """Registers, starts and recovers flows. One per process, because dbos is.

    Args:
        url: SQLAlchemy address of the engine's own SQLite file.
        codec: what flows may remember.
    """

    def __init__(self, *, url: str, codec: Codec) -> None:
        self.codec = codec
        self._flows: dict[str, Callable[..., Any]] = {}
        self._running: dict[str, asyncio.Task[Any] | None] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        DBOS(
            config={
                "name": "interlock",
                "system_database_url": url,
                "system_database_engine": _sqlite(url),
                "application_version": FLOW_VERSION,
                "executor_id": EMBEDDED,
                "notification_listener_polling_interval_sec": 0.25,
                "serializer": _JSON(codec),
                "log_level": "WARNING",
            }
        )

    def register(self, name: str, body: Body) -> None:
        """Make a flow startable by name. Before `launch`, so that recovery finds it."""

        async def flow(args: Any) -> Any:
            flow_id = str(DBOS.workflow_id)
            self._running[flow_id] = asyncio.current_task()
            self._idle.clear()
            try:
                with structlog.contextvars.bound_contextvars(flow=flow_id):
                    return await body(Flow(flow_id, self), args)
            finally:
                self._running.pop(flow_id, None)
                if not self._running:
                    self._idle.set()

        flow.__name__ = flow.__qualname__ = name
        self._flows[name] = DBOS.workflow(name=name)(flow)

    async def launch(self) -> None:
        """Open the database and take up what an earlier process left. Call from the loop that flows shall run in."""
        # In the loop's own thread, because dbos adopts the loop that it finds running here.
        DBOS.launch()
        await asyncio.sleep(0)

    async def start(self, name: str, flow_id: str, args: object) -> None:
        """Start a flow under an id of the caller's; a second start of the same id changes nothing."""
        with SetWorkflowID(flow_id):
            await DBOS.start_workflow_async(self._flows[name], args)

    async def unfinished(self, prefix: str = "") -> tuple[str, ...]:
        """Ids of flows that are neither done nor failed, oldest first."""
        rows = await DBOS.list_workflows_async(
            status=["PENDING", "ENQUEUED"], workflow_id_prefix=prefix or None, load_input=False, load_output=False
        )
        return tuple(row.workflow_id for row in rows)

    async def status(self, flow_id: str) -> str | None:
        """`SUCCESS`, `ERROR`, `PENDING`, … of a flow, or None when it does not exist."""
        found = await DBOS.get_workflow_status_async(flow_id)
        return str(found.status) if found else None

    async def forget(self, prefix: str = "", *, before: datetime) -> int:
        """Forget ended flows whose id begins with `prefix` and that were started before then; how many they were.

        For flows whose ids never come again. Flows that they started are kept.
        """
        forgotten = 0
        while True:
            rows = await DBOS.list_workflows_async(
                status=list(_ENDED),
                workflow_id_prefix=prefix or None,
                end_time=before.isoformat(),
                limit=_FORGOTTEN_AT_ONCE,
                load_input=False,
                load_output=False,
            )
            if not rows:
                return forgotten
            await DBOS.delete_workflows_async([row.workflow_id for row in rows])
            forgotten += len(rows)

    async def idle(self, *, apart_from: str = "") -> None:
        """Wait until no flow runs in this process, apart from those whose id begins so ("" for no exception)."""
        if not apart_from:
            await self._idle.wait()
        while others := [
            task for flow_id, task in self._running.items() if task and not flow_id.startswith(apart_from)
        ]:
            await asyncio.wait(others)

    async def close(self) -> None:
        """Stop taking up work. Flows under way are cut off, stay recorded, and are taken up at the next launch."""
        if self._closed:
            return
        self._closed = True
        tasks = [task for task in self._running.values() if task is not None]
        for task in tasks:
            task.cancel()  # dbos records nothing for a cancelled task, so the flow stays pending
        await asyncio.gather(*tasks, return_exceptions=True)
        # dbos joins its threads, and some of them wait for this loop.
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        # It has made its own threads this loop's, and they are gone: whoever goes on in the loop needs others.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


def _make_private(file: Path) -> None:
    """Steps remember comments and names of private repositories: nobody but the bot's user reads the file.

    SQLite gives the files beside it the same mode. Versions before this one left all three open.
    """
    file.touch(mode=0o600)
    for path in (file, *(file.with_name(file.name + ending) for ending in ("-wal", "-shm"))):
        if path.exists():
            path.chmod(0o600)


def _sqlite(url: str) -> sa.Engine:
    if database := sa.make_url(url).database:
        _make_private(Path(database))
    engine = sa.create_engine(url, pool_size=10)

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = "IMMEDIATE"  # dbos relies on it to serialise writers
        # NORMAL may lose the last commits on a power cut, not on a crash; the inbox, which is FULL, starts them again.
        # The cache of a connection, in KiB: there are up to twenty, and each would grow to two MiB in time.
        pragmas = ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=30000", "foreign_keys=ON", "cache_size=-400")
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")
        if sqlite3.sqlite_version_info < (3, 42):
            connection.create_function("unixepoch", -1, _unixepoch)

    return engine


def _unixepoch(*modifiers: str) -> float:
    """SQLite's function of that name as dbos calls it, for libraries that do not know its modifier `subsec`.

    On Python 3.12 and newer dbos takes it for granted, though the library comes from the system: without it every
    timestamp is null, and the engine cannot start.
    """
    return time.time() if "subsec" in modifiers else int(time.time())


class _JSON(Serializer):
    """The codec in the shape that dbos asks for."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec

    def serialize(self, data: Any) -> str:
        return self._codec.dumps(data)

    def deserialize(self, serialized_data: str) -> Any:
        return self._codec.loads(serialized_data)

    def name(self) -> str:
        return "interlock_json_1"
