"""Deployments as they happen: controllers as processes, a real router, real releases, and users who never ask twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bot.deploy.confine import Allowance
from bot.deploy.files import DeployFiles
from bot.deploy.journal import Entry, JournalDamaged, read
from bot.deploy.supervise import Ended, Terms, carry_out, controller_environ
from bot.deploy.targets.opening import open_target
from bot.deploy.targets.process import ProcessTarget
from bot.domain.deploy.answers import Answer, Pass
from bot.domain.deploy.environment import TargetSpec
from bot.domain.deploy.plan import Kind, Plan, plan_to_json
from bot.domain.deploy.release import Release
from bot.ops.clock import SystemClock

APP = Path(__file__).with_name("rollout_app.py")
OPEN = Allowance(kinds=frozenset({"process", "command"}), unconfined=True, path=os.environ["PATH"])

Section = Mapping[str, Any]

WATCH: Section = {"for": 1.5, "probes": [{"http": "/health", "every": 0.1, "timeout": 0.5}], "traffic": True}


def a_release(letter: str) -> Release:
    return Release(repo_id=1, sha=letter * 40, artifact=f"tree:{letter}", config="c")


async def every_gate_passes() -> Answer:
    return Pass("every gate passes")


async def unheard(_entries: Sequence[Entry]) -> None:
    """Nobody wants to know."""


@dataclass(slots=True)
class Users:
    """Keep-alive connections that ask one request after the other; what fails is lost, and counted.

    Attributes:
        answered: requests by the release that answered them well.
        failed: when each of the others was asked, in seconds since the epoch, and what came of it.
    """

    port: int
    pause: float = 0.004
    answered: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[float, str]] = field(default_factory=list)

    async def come(self) -> None:
        """One user, until cancelled."""
        while True:
            with contextlib.suppress(ConnectionError, OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    while await self._ask(reader, writer):
                        await asyncio.sleep(self.pause)
                finally:
                    writer.close()
            await asyncio.sleep(self.pause)

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        asked = time.time()
        try:
            writer.write(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            body = (await reader.readexactly(length)).decode()
            status = int(head.split(b" ", 2)[1])
        except (ConnectionError, asyncio.IncompleteReadError) as broken:
            self.failed.append((asked, type(broken).__name__))
            return False
        if status != 200:
            self.failed.append((asked, str(status)))
        else:
            self.answered[body] += 1
        return b"connection: close" not in head.lower()

    @property
    def total(self) -> int:
        """All requests."""
        return sum(self.answered.values()) + len(self.failed)

    @contextlib.asynccontextmanager
    async def coming(self, count: int = 4) -> AsyncIterator[Users]:
        """So many of them, meanwhile."""
        users = [asyncio.create_task(self.come()) for _ in range(count)]
        try:
            yield self
        finally:
            for user in users:
                user.cancel()
            await asyncio.wait(users)


@dataclass(slots=True)
class Rollout:
    """One environment with a process target, and the deployments into it.

    Attributes:
        directory: where everything is.
        router: `haproxy` or `caddy`.
        section: more of the environment's configuration.
    """

    directory: Path
    router: str = "haproxy"
    section: Section = field(default_factory=dict)
    port: int = 0
    numbers: int = 0

    def __post_init__(self) -> None:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            self.port = one.getsockname()[1]

    @property
    def place(self) -> Path:
        return self.directory / "place"

    @property
    def spec(self) -> TargetSpec:
        command = f"exec {sys.executable} -I {APP} $INTERLOCK_RELEASE"
        options = {
            "command": command,
            "health": "/health",
            "listen": f"127.0.0.1:{self.port}",
            "router": self.router,
            "stop_timeout": 2.0,
            "start_timeout": 20.0,
        }
        return TargetSpec(kind="process", options=options)

    @property
    def settings(self) -> Section:
        target = {"kind": self.spec.kind, **self.spec.options}
        return {
            "target": target,
            "strategy": {"kind": "blue_green"},
            "watch": WATCH,
            "rollback": {"drain": 0.5, "keep_old": "never"},
            **self.section,
        }

    def target(self, token: int = 10**6) -> ProcessTarget:
        """The target, by default with a token that is newer than all."""
        target = open_target(self.spec, self.place, token=token, allowance=OPEN)
        assert isinstance(target, ProcessTarget)
        return target

    async def deployment(
        self, release: Release, previous: Release | None = None, *, kind: Kind = "deploy"
    ) -> DeployFiles:
        """A deployment whose plan is written, as the bot does."""
        self.numbers += 1
        files = DeployFiles(self.directory / "deployments" / str(self.numbers))
        files.tree.mkdir(parents=True)
        live = (await self.target(0).observe()).live
        plan = Plan(
            deployment=f"d{self.numbers}",
            number=self.numbers,
            repo="octo/app",
            environment="production",
            kind=kind,
            release=release,
            previous=previous,
            slot="green" if live == "blue" else "blue",
            previous_slot=live,
            settings=self.settings,
            token=self.numbers,
        )
        files.plan.write_text(json.dumps(plan_to_json(plan)), "utf-8")
        return files

    def terms(self, gates: Callable[[], Awaitable[Answer]] = every_gate_passes) -> Terms:
        return Terms(
            gates=gates, on_entries=unheard, clock=SystemClock(), environ={**controller_environ(), **OPEN.environ()}
        )

    async def carry_out(self, files: DeployFiles) -> Ended:
        async with asyncio.timeout(90):
            return await carry_out(files, self.place, self.terms())

    async def put_live(self, release: Release) -> None:
        """The first release of the environment."""
        target = self.target(0)
        tree = self.directory / "first"
        tree.mkdir(parents=True)
        await target.start("blue", release, tree, "first")
        async with asyncio.timeout(20):
            while type(await target.ready("blue")).__name__ != "Ready":
                await asyncio.sleep(0.02)
        await target.route({"blue": 100})

    def slot_pid(self, slot: str) -> int:
        return int(json.loads((self.place / "slots" / slot / "process.json").read_text())["pid"])

    @contextlib.asynccontextmanager
    async def cleaned(self) -> AsyncIterator[Rollout]:
        """Nothing of it is left afterwards."""
        try:
            yield self
        finally:
            for number in range(1, self.numbers + 1):
                kill_controller(DeployFiles(self.directory / "deployments" / str(number)))
            for slot in ("blue", "green"):
                with contextlib.suppress(OSError, KeyError, ValueError):
                    os.kill(self.slot_pid(slot), signal.SIGCONT)
            await self.target().take_down()


def controller_of(files: DeployFiles) -> int | None:
    """The controller that wrote that it started last; None if there is none."""
    with contextlib.suppress(JournalDamaged):
        started = [entry.data["pid"] for entry in read(files) if entry.data.get("what") == "started"]
        return int(started[-1]) if started else None
    return None


def kill_controller(files: DeployFiles) -> None:
    """Kill it, as the kernel does when memory is short: no handler runs."""
    if (pid := controller_of(files)) is not None and is_controller(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def is_controller(pid: int) -> bool:
    """Whether that process is a controller still; numbers are given again."""
    with contextlib.suppress(OSError):
        return b"bot.deploy.main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


async def reaches(files: DeployFiles, kind: str, *, within: float = 60.0, **data: Any) -> Entry:
    """Wait for an entry of a journal; the first with these facts."""
    async with asyncio.timeout(within):
        while True:
            for entry in read(files):
                if entry.kind == kind and all(entry.data.get(name) == value for name, value in data.items()):
                    return entry
            await asyncio.sleep(0.005)


HAS = {router: shutil.which(router) is not None for router in ("haproxy", "caddy")}
