"""Two slots on this machine, each a process, behind a router that is a process as well.

All of them outlive the controller and the bot. What is there is read from the machine and the running router; what
shall be there is written down first. Nothing here remembers.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.deploy import wire
from bot.deploy.confine import Confinement
from bot.deploy.durable import get_json, put
from bot.deploy.polling import until
from bot.deploy.ports import free_ports, listens
from bot.deploy.residents import Life, Resident, Wanted
from bot.deploy.routers.router import Router, directory_of, share_of, weights_of
from bot.deploy.running import run
from bot.deploy.target import (
    Capabilities,
    Counts,
    Dead,
    NotYet,
    Observed,
    Readiness,
    Ready,
    Slot,
    SlotState,
    TargetUnreachable,
    Unbuildable,
)
from bot.deploy.targets.fence import Fence
from bot.deploy.targets.options import ProcessOptions, variables
from bot.domain.deploy.release import Release
from bot.ops.clock import Clock

SLOTS: tuple[Slot, ...] = ("blue", "green")
BUILD_TIMEOUT = 1800.0
_HEALTH_TIMEOUT = 2.0
_TAIL = 20


def capabilities(promise: str, *, counters: bool) -> Capabilities:
    """What the target can do, with a router that promises and counts so."""
    return Capabilities(
        strategies=frozenset({"recreate", "blue_green", "canary"}),
        idle_address=True,
        counters=counters,
        keeps_old=True,
        promise=promise,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a process target stands on.

    Attributes:
        place: what it keeps of its environment.
        ports: of the slots.
        router: its router.
        confinement: of releases.
        secrets: by name.
        clock: says since when a slot starts.
    """

    place: Path
    ports: Mapping[Slot, int]
    router: Router
    confinement: Confinement
    secrets: Mapping[str, str]
    clock: Clock


class ProcessTarget:
    """See `bot.deploy.target.Target` for what each call promises."""

    def __init__(self, options: ProcessOptions, ground: Ground, *, token: int) -> None:
        self._options = options
        self._ground = ground
        self._fence = Fence(ground.place, token)
        self._router = ground.router
        self.capabilities = capabilities(ground.router.promise, counters=ground.router.counters)

    async def observe(self) -> Observed:
        """What runs, and what the running router does."""
        return Observed(
            slots={slot: self._state(slot) for slot in SLOTS},
            weights=weights_of(await self._router.share()),
            token=self._fence.highest,
            address=_url(*self._options.listen),
        )

    async def start(self, slot: Slot, release: Release, tree: Path, nonce: str) -> None:
        """Build the release in its files, once, and start it in the slot."""
        self._fence.check()
        resident = self._resident(slot)
        life = resident.look()
        if life.alive and life.nonce == nonce:
            return
        await self._build(release, tree)
        async with self._fence.passed():
            life = resident.look()
        if life.alive and life.nonce != nonce:
            await resident.stop(self._options.stop_timeout)
        async with self._fence.passed():
            wanted = self._wanted(slot, release, tree, nonce)
            intent: dict[str, object] = {
                "release": release.id,
                "sha": release.sha,
                "tree": str(tree),
                "at": self._ground.clock.now().timestamp(),
            }
            await resident.start(wanted, nonce=nonce, intent=intent)

    async def ready(self, slot: Slot) -> Readiness:
        """Whether the slot's own process answers at the slot's port."""
        resident = self._resident(slot)
        if not resident.intent:
            return Dead("nothing was started in it")
        because = await self._asked(slot)
        # Only now: what answered may be another program that took the port while this one went down.
        life = resident.look()
        if not life.nonce:
            because = "it is being started"
        elif not life.alive:
            return Dead("its process has ended", resident.printed.tail(_TAIL))
        if not because:
            return Ready()
        if self._waited(resident) > self._options.start_timeout:
            late = f"it was not ready within {self._options.start_timeout:g} s: {because}"
            return Dead(late, resident.printed.tail(_TAIL))
        return NotYet(because)

    async def route(self, weights: Mapping[Slot, int]) -> None:
        """Tell the router, and read back what it does."""
        share = share_of(weights)
        async with self._fence.passed():
            await self._router.up()
            await self._router.give(share)
            if (done := await self._router.share()) != share:
                message = f"the router was told to give green {share} of 100, and gives {done}"
                raise TargetUnreachable(message)

    async def drain(self, slot: Slot, within: float) -> None:
        """Wait until the router has no request with the slot."""
        self._fence.check()

        async def answered() -> bool:
            return not await self._router.under_way(slot)

        await until(answered, within)

    async def stop(self, slot: Slot) -> None:
        """End every process of the slot."""
        resident = self._resident(slot)
        async with self._fence.passed():
            life = resident.look()
        if not life.nonce:
            return
        # Nobody is held up meanwhile: only processes of this start are ended.
        await resident.stop(self._options.stop_timeout)
        async with self._fence.passed():
            if resident.look().nonce == life.nonce:
                resident.forget()

    async def counts(self) -> Mapping[Slot, Counts]:
        """What the router counted since it began. Logs are kept short on the way."""
        for slot in SLOTS:
            self._resident(slot).printed.trim()
        return await self._router.counts()

    async def logs(self, slot: Slot, lines: int) -> str:
        """The end of what the processes of the slot's last start printed; what was before lies beside it."""
        return self._resident(slot).printed.tail(lines)

    async def tend(self) -> None:
        """Bring back what should be there and is not: the router, and a process that serves users.

        For times in which no deployment goes on: during one, a process that is gone is a fact that judges a release.

        Raises:
            Fenced: one does.
        """
        async with self._fence.passed():
            if directory_of(self._ground.place).is_dir():
                await self._router.up()
            weights = weights_of(await self._router.share())
            for slot in SLOTS:
                resident = self._resident(slot)
                resident.printed.trim()
                if weights.get(slot) and resident.look().nonce and not resident.look().alive:
                    await self._again(slot, resident)

    async def take_down(self) -> None:
        """End the router and both slots. What slots printed stays."""
        async with self._fence.passed():
            await self._router.down()
            shutil.rmtree(directory_of(self._ground.place), ignore_errors=True)
        for slot in SLOTS:
            await self.stop(slot)

    async def _again(self, slot: Slot, resident: Resident) -> None:
        intent = resident.intent
        tree = Path(str(intent["tree"]))
        nonce = str(intent["nonce"])
        facts = {"INTERLOCK_RELEASE": str(intent["release"]), "INTERLOCK_SHA": str(intent["sha"])}
        await resident.start(self._started(slot, facts, tree, nonce), nonce=nonce, intent=dict(intent))

    async def _build(self, release: Release, tree: Path) -> None:
        """Run the build command, once for these files.

        Raises:
            Unbuildable: it failed; the message has the end of what it printed.
        """
        self._lay_out(tree)
        mark = self._ground.place / "built" / release.id
        if not self._options.build or get_json(mark).get("tree") == str(tree):
            return
        ran = await run(
            self._ground.confinement,
            self._options.build,
            directory=tree,
            environ={
                **variables(self._options, self._ground.secrets),
                **self._facts({"INTERLOCK_RELEASE": release.id, "INTERLOCK_SHA": release.sha}),
            },
            writes=(tree, self._home),
            within=BUILD_TIMEOUT,
            together=True,
        )
        if ran.code:
            message = f"the build ended with {ran.code}:\n{ran.tail()}"
            raise Unbuildable(message)
        self._mark(mark, tree)

    def _lay_out(self, tree: Path) -> None:
        if not tree.is_dir():
            message = f"the files of the release are not at {tree}"
            raise Unbuildable(message)
        if not self._home.is_dir():
            self._home.mkdir(parents=True)
            self._ground.confinement.own(self._home)
        self._ground.confinement.check_reach((tree, self._home))
        self._ground.confinement.own(tree)

    @staticmethod
    def _mark(mark: Path, tree: Path) -> None:
        mark.parent.mkdir(exist_ok=True)
        put(mark, json.dumps({"tree": str(tree)}))

    def _wanted(self, slot: Slot, release: Release, tree: Path, nonce: str) -> Wanted:
        facts = {"INTERLOCK_RELEASE": release.id, "INTERLOCK_SHA": release.sha}
        return self._started(slot, facts, tree, nonce)

    def _started(self, slot: Slot, release: Mapping[str, str], tree: Path, nonce: str) -> Wanted:
        confinement = self._ground.confinement
        environ = {
            **variables(self._options, self._ground.secrets),
            **self._facts(release),
            "PORT": str(self._ground.ports[slot]),
            "INTERLOCK_SLOT": slot,
            **self._resident(slot).environ(nonce),
        }
        command = ("/bin/sh", "-c", self._options.command)
        argv = confinement.argv(command, directory=tree, writes=(tree, self._home))
        return Wanted(argv=argv, said=confinement.said(environ), directory=tree)

    def _facts(self, release: Mapping[str, str]) -> dict[str, str]:
        return {"HOME": str(self._home), "INTERLOCK": "1", **release}

    @property
    def _home(self) -> Path:
        return self._ground.place / "home"

    def _resident(self, slot: Slot) -> Resident:
        if slot not in SLOTS:
            message = f"there is no slot {slot}: slots of a process target are blue and green"
            raise Unbuildable(message)
        return Resident(self._ground.place / "slots" / slot)

    def _state(self, slot: Slot) -> SlotState:
        resident = self._resident(slot)
        life: Life = resident.look()
        if not life.nonce:
            return SlotState()
        release = str(resident.intent.get("release", ""))
        address = _url("127.0.0.1", self._ground.ports[slot])
        return SlotState(release=release, nonce=life.nonce, running=life.alive, address=address)

    async def _asked(self, slot: Slot) -> str:
        """Why the slot is not ready; "" when it is.

        A process that is slow to find out that its port is taken is alive, and another one answers there.
        """
        if listens(self._ground.ports[slot], self._resident(slot).family) is False:
            return f"another program has its port {self._ground.ports[slot]}"
        where = ("127.0.0.1", self._ground.ports[slot])
        try:
            if not self._options.health:
                async with asyncio.timeout(_HEALTH_TIMEOUT), wire.connected(where):
                    return ""
            reply = await wire.get(where, self._options.health, timeout=_HEALTH_TIMEOUT)
        except (wire.NoAnswer, OSError, TimeoutError) as refused:
            return f"{self._options.health or 'its port'}: {refused}"
        return "" if reply.status == 200 else f"{self._options.health} answers {reply.status}"

    def _waited(self, resident: Resident) -> float:
        at = resident.intent.get("at")
        return self._ground.clock.now().timestamp() - at if isinstance(at, float) else 0.0


def ports_of(place: Path, options: ProcessOptions) -> Mapping[Slot, int]:
    """The slots' ports: those of the configuration, else two free ones, found once."""
    if len(options.ports) == len(SLOTS):
        return options.ports
    known = get_json(place / "ports.json")
    if all(isinstance(known.get(slot), int) for slot in SLOTS):
        return {slot: known[slot] for slot in SLOTS}
    place.mkdir(parents=True, exist_ok=True)
    ports = dict(zip(SLOTS, free_ports(str(place), len(SLOTS)), strict=True))
    put(place / "ports.json", json.dumps(ports))
    return ports


def _url(host: str, port: int) -> str:
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared with.
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
