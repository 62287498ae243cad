"""How many requests a switch loses: none may be, with a client that keeps connections alive and never asks twice.

The real `process` target behind each router that is here: releases are started, switched to under load, drained and
stopped, ten times and for at least BENCH_REQUESTS requests (200 000). Then shares of a canary are counted, and a bad
mode shows that the harness sees losses: the old release is stopped before the switch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.figures import Figure, machine, report
from bench.servers import free_port
from bot.deploy.confine import Allowance
from bot.deploy.polling import until
from bot.deploy.routers.choosing import NoRouter, find
from bot.deploy.target import KeptTarget, Ready
from bot.deploy.targets.opening import open_target
from bot.domain.deploy.environment import TargetSpec
from bot.domain.deploy.release import Release

SWITCHES = 10
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "200000"))
CONNECTIONS = 32
CANARY = (5, 20, 50)
CANARY_REQUESTS = 10_000
ITSELF = Path(__file__).resolve()
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
RELEASES = tuple(Release(repo_id=1, sha=f"{n:040x}", artifact=f"tree:{n:040x}", config="") for n in range(SWITCHES + 3))


class Served(asyncio.Protocol):
    """A release as fast as Python has it: says its id."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        body = os.environ["INTERLOCK_RELEASE"].encode()
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def data_received(self, data: bytes) -> None:
        self.transport.write(self.answer * data.count(b"\r\n\r\n"))


@dataclass
class Seen:
    """What a client saw: answers by release, with the first one's arrival and the last one's request; and failures."""

    answers: Counter[str] = field(default_factory=Counter)
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)


class User(asyncio.Protocol):
    """One connection: asks as soon as it was answered. What it asked is answered, or has failed."""

    def __init__(self, seen: Seen, gone: asyncio.Future[None]) -> None:
        self.seen, self.gone, self.asked, self.found = seen, gone, 0.0, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.found, self.asked = b"", time.monotonic()
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.found += data
        head, _, body = self.found.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        if not length or len(body) < int(length):
            return
        release = body.decode()
        if head[9:12] != b"200":
            self.seen.failures[f"status {head[9:12].decode()}"] += 1
        else:
            self.seen.answers[release] += 1
            self.seen.first.setdefault(release, time.monotonic())
            self.seen.last[release] = max(self.asked, self.seen.last.get(release, 0.0))
        self.asked = 0.0
        if b"connection: close" in head.lower():
            self.transport.close()
        else:
            self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.asked:
            self.seen.failures["broken off" if exc else "closed"] += 1
        self.gone.set_result(None)


async def use(port: int) -> None:
    """Be the users until standard input ends; say every half second what was seen."""
    seen, loop = Seen(), asyncio.get_running_loop()

    async def stay() -> None:
        while True:
            try:
                gone = loop.create_future()
                await loop.create_connection(lambda: User(seen, gone), "127.0.0.1", port)  # noqa: B023 - made at once.
            except OSError:
                seen.failures["refused"] += 1
                await asyncio.sleep(0.01)
                continue
            await gone

    people = [asyncio.create_task(stay()) for _ in range(CONNECTIONS)]
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        print(json.dumps({**vars(seen), "total": seen.answers.total() + seen.failures.total()}), flush=True)
        if not line:
            os._exit(0)
        assert people


class Users:
    """The client, a process of its own, so that nothing that we do here delays it."""

    def __init__(self, port: int) -> None:
        argv = [sys.executable, __file__, "--use", str(port)]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    async def seen(self) -> dict[str, Any]:
        """What they saw until now."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(await asyncio.to_thread(self._process.stdout.readline))
        return said

    async def until(self, total: int) -> dict[str, Any]:
        """Wait until they have asked so often."""
        while True:
            seen = await self.seen()
            if seen["total"] >= total:
                return seen
            await asyncio.sleep(0.05)

    def leave(self) -> None:
        """End them."""
        self._process.kill()
        self._process.communicate()


@dataclass
class Ground:
    """A target with users."""

    target: KeptTarget
    place: Path
    users: Users
    slot: str = "blue"
    number: int = 0

    async def bring_up(self) -> str:
        """Start the next release in the idle slot."""
        idle = "green" if self.slot == "blue" else "blue"
        self.number += 1
        await start(self.target, idle, RELEASES[self.number], self.place)
        return idle

    async def retire(self, idle: str) -> None:
        """Drain and stop what was live, after a switch to `idle`."""
        await self.target.drain(self.slot, 5)
        await self.target.stop(self.slot)
        self.slot = idle


async def start(target: KeptTarget, slot: str, release: Release, place: Path) -> None:
    await target.start(slot, release, place, f"bench-{release.id}")

    async def ready() -> bool:
        return isinstance(await target.ready(slot), Ready)

    assert await until(ready, 60)


@contextlib.asynccontextmanager
async def ground(router: str) -> AsyncIterator[Ground]:
    """The target behind a router, one release live, with users."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as files:
        tree = Path(files)
        command = f"exec {sys.executable} {ITSELF} --serve"
        options = {"command": command, "health": "/", "listen": f"127.0.0.1:{port}", "router": router}
        allowance = Allowance(kinds=frozenset({"process"}), unconfined=True, path=os.environ["PATH"])
        spec = TargetSpec(kind="process", options=options)
        target = open_target(spec, Path(scratch, "place"), token=1, allowance=allowance)
        users = None
        try:
            await start(target, "blue", RELEASES[0], tree)
            await target.route({"blue": 100})
            users = Users(port)
            yield Ground(target, tree, users)
        finally:
            if users is not None:
                users.leave()
            await target.take_down()


async def switches(router: str) -> list[Figure]:
    """Ten switches, and what they cost."""
    async with ground(router) as site:
        began, routed = time.monotonic(), []
        for n in range(1, SWITCHES + 1):
            idle = await site.bring_up()
            await site.users.until(REQUESTS * n // (SWITCHES + 1))
            routed.append(time.monotonic())
            await site.target.route({idle: 100})
            await asyncio.sleep(0.3)
            await site.retire(idle)
        seen = await site.users.until(REQUESTS)
        rate = seen["total"] / (time.monotonic() - began)
    first = [1000 * (seen["first"][RELEASES[n + 1].id] - at) for n, at in enumerate(routed)]
    last = [1000 * (seen["last"][RELEASES[n].id] - at) for n, at in enumerate(routed)]
    failed = sum(seen["failures"].values())
    print(f"{router}: {seen['total']} requests, failed: {seen['failures'] or 'none'}")
    return [
        Figure(what=f"{router}: failed of {seen['total']}", value=failed, unit="", promise=0),
        Figure(what=f"{router}: requests a second", value=rate, unit=""),
        Figure(what=f"{router}: first new answer, median", value=statistics.median(first), unit="ms", promise=50),
        Figure(what=f"{router}: last request to the old, most", value=max(last), unit="ms"),
    ]


async def canaries(router: str) -> list[Figure]:
    """Shares as users see them."""
    figures = []
    async with ground(router) as site:
        idle = await site.bring_up()
        for share in CANARY:
            await site.target.route({site.slot: 100 - share, idle: share})
            before = await site.users.seen()
            after = await site.users.until(before["total"] + CANARY_REQUESTS)
            got = after["answers"].get(RELEASES[1].id, 0) - before["answers"].get(RELEASES[1].id, 0)
            observed = 100 * got / (after["total"] - before["total"])
            figures.append(Figure(what=f"{router}: canary of {share} %, observed", value=observed, unit="%"))
    return figures


async def bad(router: str) -> list[Figure]:
    """The old release is stopped before the switch: users must notice, or this harness is blind."""
    async with ground(router) as site:
        idle = await site.bring_up()
        await site.users.until(2000)
        await site.target.stop(site.slot)
        await asyncio.sleep(0.2)
        await site.target.route({idle: 100})
        seen = await site.users.until((await site.users.seen())["total"] + 2000)
    failed = sum(seen["failures"].values())
    assert failed, "the harness does not see failures"
    return [Figure(what=f"{router}: failed, stopped before the switch", value=failed, unit="")]


async def measure() -> int:
    """Both routers, one after the other."""
    print(machine())
    figures: list[Figure] = []
    for router in ("haproxy", "caddy"):
        if isinstance(found := find(router, os.environ["PATH"]), NoRouter):
            print(found.because)
            continue
        for part in (switches, canaries, bad):
            figures += await part(router)
    return report(figures)


def main() -> int:
    """Measure, or be one of the processes that it takes."""
    match sys.argv[1:]:
        case ["--serve"]:

            async def serve() -> None:
                server = await asyncio.get_running_loop().create_server(
                    Served, "127.0.0.1", int(os.environ["PORT"]), backlog=512
                )
                await server.serve_forever()

            asyncio.run(serve())
        case ["--use", port]:
            asyncio.run(use(int(port)))
        case _:
            return asyncio.run(measure())
    return 0


if __name__ == "__main__":
    sys.exit(main())
