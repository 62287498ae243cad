"""A target in one process: two slots that answer HTTP, a router before them, and everything that can go wrong.

It keeps its word on what `bot.deploy.target` promises: repeats are harmless, `observe` tells the truth, and a token
that is older than one seen is refused. What it does not keep is anything across processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bot.deploy.target import (
    Capabilities,
    Counts,
    Dead,
    Fenced,
    NotYet,
    Observed,
    Readiness,
    Ready,
    SlotState,
    TargetUnreachable,
    Unbuildable,
)
from bot.domain.deploy.release import Release

Behaviour = Callable[[], int]
"""What a release answers: a status, 0 for never. Asked for every request."""

HANGS = 0


def well() -> int:
    return 200


@dataclass(slots=True)
class Running:
    """What is in a slot."""

    release: str
    nonce: str
    behave: Behaviour
    alive: bool = True


@dataclass(slots=True)
class SmallTarget:
    """The target. Open it with `opened`.

    Attributes:
        behaviours: by release id, how it answers; well, if it is not here.
        boots: by release id, what becomes of a start; it is ready at once, if it is not here.
        unreachable: calls that fail, by verb, and how often still; for ever if negative.
        calls: every call that changed something, in order.
        traffic: whether users come.
    """

    token: int = 1
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(
            strategies=frozenset({"blue_green", "canary", "recreate"}),
            idle_address=True,
            counters=True,
            keeps_old=True,
        )
    )
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    boots: dict[str, Readiness | Unbuildable] = field(default_factory=dict)
    unreachable: dict[str, int] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    slots: dict[str, Running] = field(default_factory=dict)
    weights: dict[str, int] = field(default_factory=dict)
    counted: dict[str, list[int]] = field(default_factory=dict)
    seen: int = 0
    addresses: dict[str, str] = field(default_factory=dict)

    async def observe(self) -> Observed:
        self._meet("observe", changes=False)
        slots = {name: SlotState(address=address) for name, address in self.addresses.items() if name != "live"}
        for name, slot in self.slots.items():
            address = self.addresses[name]
            slots[name] = SlotState(release=slot.release, nonce=slot.nonce, running=slot.alive, address=address)
        return Observed(
            slots=slots, weights=dict(self.weights), token=self.seen, address=self.addresses.get("live", "")
        )

    async def start(self, slot: str, release: Release, tree: Path, nonce: str) -> None:  # noqa: ARG002
        self._meet("start")
        there = self.slots.get(slot)
        if there is not None and there.alive and there.nonce == nonce:
            return
        fate = self.boots.get(release.id)
        if isinstance(fate, Unbuildable):
            raise fate
        self.calls.append(f"start {slot} {release.short}")
        self.slots[slot] = Running(
            release.id, nonce, self.behaviours.get(release.id, well), alive=not isinstance(fate, Dead)
        )

    async def ready(self, slot: str) -> Readiness:
        self._meet("ready", changes=False)
        there = self.slots.get(slot)
        if there is None:
            return Dead("nothing runs there")
        fate = self.boots.get(there.release)
        return fate if isinstance(fate, NotYet | Dead) else Ready()

    async def route(self, weights: Mapping[str, int]) -> None:
        self._meet("route")
        self.calls.append("route " + " ".join(f"{slot} {share}" for slot, share in sorted(weights.items())))
        self.weights = dict(weights)

    async def drain(self, slot: str, within: float) -> None:  # noqa: ARG002
        self._meet("drain")
        self.calls.append(f"drain {slot}")

    async def stop(self, slot: str) -> None:
        self._meet("stop")
        self.calls.append(f"stop {slot}")
        self.slots.pop(slot, None)

    async def counts(self) -> Mapping[str, Counts]:
        self._meet("counts", changes=False)
        return {slot: Counts(answers=answers, failures=failures) for slot, (answers, failures) in self.counted.items()}

    async def logs(self, slot: str, lines: int) -> str:
        return "\n".join(f"{slot} said {number}" for number in range(1, lines + 1)[-3:])

    def serve(self, slot: str) -> int:
        """What a slot answers now; `HANGS` for never, and 502 where nothing runs."""
        there = self.slots.get(slot)
        return there.behave() if there is not None and there.alive else 502

    def user(self, dice: random.Random) -> None:
        """One request of a user, counted as a router does."""
        if not any(self.weights.values()):
            return
        slot = dice.choices(list(self.weights), weights=list(self.weights.values()))[0]
        if (status := self.serve(slot)) != HANGS:
            counts = self.counted.setdefault(slot, [0, 0])
            counts[0] += 1
            counts[1] += status >= 500

    def _meet(self, verb: str, *, changes: bool = True) -> None:
        if left := self.unreachable.get(verb, 0):
            self.unreachable[verb] = left - 1
            message = f"{verb} is out of reach"
            raise TargetUnreachable(message)
        if changes:
            if self.token < self.seen:
                message = f"token {self.seen} was seen"
                raise Fenced(message)
            self.seen = self.token


@contextlib.asynccontextmanager
async def opened(target: SmallTarget, *, users: float = 0.0) -> AsyncIterator[SmallTarget]:
    """The target while its slots and its router answer; so many users a second come."""
    held: set[asyncio.StreamWriter] = set()

    def answering(which: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.add(writer)
            try:
                await reader.readuntil(b"\r\n\r\n")
                slot = which if which != "live" else max(target.weights, key=lambda one: target.weights[one])
                if (status := target.serve(slot)) != HANGS:
                    writer.write(f"HTTP/1.1 {status} So\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
                    writer.close()
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        return answer

    async def come() -> None:
        dice = random.Random(7)
        while users:
            target.user(dice)
            await asyncio.sleep(1 / users)

    servers = {
        which: await asyncio.start_server(answering(which), "127.0.0.1", 0) for which in ("blue", "green", "live")
    }
    for which, server in servers.items():
        target.addresses[which] = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    coming = asyncio.create_task(come())
    try:
        yield target
    finally:
        coming.cancel()
        for server in servers.values():
            server.close()
        for writer in held:
            writer.close()
        for server in servers.values():
            await server.wait_closed()
