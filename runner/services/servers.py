"""Gives boxes the services that they need: leases them, puts a fault proxy before each, takes them back.

A giver of the attendant's (see `runner.services.ground`).
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from runner.fault import UP, Kind, read_fault
from runner.isolation import GIB, Limits
from runner.sandbox import cgroup
from runner.sandbox.reach import is_open
from runner.services.confine import find_cell
from runner.services.fault_api import PORT, FaultApi, Hurt
from runner.services.faults import FaultProxy
from runner.services.ground import CannotProvide, Provided
from runner.services.listening import Listening
from runner.services.registry import services
from runner.services.server import address
from runner.services.service import Place, choose

if TYPE_CHECKING:
    from runner.attendant import Wish
    from runner.fault import Fault
    from runner.sandbox.cgroup import Group
    from runner.services.ground import Ground
    from runner.services.installed import Installation
    from runner.services.service import Lease, Service

LOOPBACK = "127.0.0.1"
# All servers of a run together, or a query could take what its box may not.
LIMITS = Limits(memory=2 * GIB, processes=1024, workspace=0, tmp=0)
_numbers = itertools.count(1)
_OWN_PROCESS = frozenset({Kind.KILLED, Kind.PAUSED})


class Servers:
    """The servers of one run."""

    def __init__(self) -> None:
        self._services = services()
        self._chosen: dict[str, asyncio.Task[Installation]] = {}
        self._place: asyncio.Task[Place] | None = None
        self._group: Group | None = None
        self._held: dict[str, _Held] = {}

    async def provide(self, wish: Wish, ground: Ground) -> Provided:
        """Give a job its services, hurt from the start if its faults say so.

        Raises:
            CannotProvide: one of them is unknown, not installed, or does not start.
        """
        if not wish.needs:
            return Provided()
        held = self._held[wish.id] = _Held(wish)
        fault, hurt = _asked(wish)
        if self._place is None:
            self._place = asyncio.create_task(self._find_place(ground))
        place = await asyncio.shield(self._place)
        tasks = [self._lease(need, ground, place, fault if name_of(need) in hurt else UP) for need in wish.needs]
        held.leasing = [asyncio.create_task(task) for task in tasks]
        for need, lease in zip(wish.needs, await asyncio.gather(*held.leasing), strict=True):
            await held.add(self._services[name_of(need)], lease)
        for name in hurt:
            await held.hurts[name].hold(fault)
        await held.open_api()
        return Provided(env=held.env, sockets=held.sockets)

    async def release(self, id: str) -> None:  # noqa: A002 - as Wish.
        """Take back what a job was given."""
        held = self._held.pop(id, None)
        if held is not None:
            await held.end()

    async def close(self) -> None:
        """End every server."""
        held = list(self._held.values())
        self._held.clear()
        for one in held:
            one.hurry()
        await asyncio.gather(*(one.end() for one in held))
        await asyncio.gather(*(service.close() for service in self._services.values()))
        if self._group:
            self._group.remove()

    async def _find_place(self, ground: Ground) -> Place:
        cell = await find_cell(ground.environ)
        if cell.uid is not None and not is_open(ground.directory):
            message = f"servers cannot reach {ground.directory} (let TMPDIR be one that all users can pass through)"
            raise CannotProvide(message)
        self._group = cgroup.enter(f"services{next(_numbers)}", LIMITS)
        return Place(ground.directory, cell.within(self._group.procs if self._group else ()))

    async def _lease(self, need: str, ground: Ground, place: Place, fault: Fault) -> Lease:
        service = self._services.get(name_of(need))
        if service is None:
            message = f"needs {need}, which is no service (there are {', '.join(self._services)})"
            raise CannotProvide(message)
        if need not in self._chosen:
            version = need.partition(":")[2]
            found = choose(service, version, ground.environ, tuple(ground.search))
            self._chosen[need] = asyncio.create_task(found)
        installation = await asyncio.shield(self._chosen[need])
        return await service.lease(installation, place, private=fault.kind in _OWN_PROCESS)


class _Held:
    """What one job has."""

    def __init__(self, wish: Wish) -> None:
        self.env: dict[str, str] = {}
        self.sockets: dict[int, str] = {}
        self.hurts: dict[str, Hurt] = {}
        self.leasing: list[asyncio.Task[Lease]] = []
        self._wish = wish
        self._listening = Listening(wish)
        self._proxies: list[FaultProxy] = []

    async def add(self, service: Service, lease: Lease) -> None:
        """Put a proxy before a lease."""
        proxy = FaultProxy(lambda: asyncio.open_unix_connection(address(lease.socket)), seed=self._wish.id)
        self._proxies.append(proxy)
        if self._wish.unix:
            port, path = service.port, self._listening.path(service.name)
            await proxy.listen_unix(path, uid=self._wish.uid, gid=self._wish.gid)
        else:
            port, path = await proxy.listen_tcp(), ""
        self.sockets[port] = path
        self.env.update(lease.env(LOOPBACK, port))
        self.hurts[service.name] = Hurt(service.name, proxy, lease.server)

    async def open_api(self) -> None:
        """Let the box hurt what it has."""
        port, path = await self._listening.open(FaultApi(self.hurts).serve, name="faults", port=PORT)
        self.sockets[port] = path
        self.env["BOX_FAULTS"] = f"http://{LOOPBACK}:{port}"

    def hurry(self) -> None:
        """Do not wait for what is still being made."""
        for task in self.leasing:
            task.cancel()

    async def end(self) -> None:
        self._listening.close()
        await asyncio.gather(*(proxy.close() for proxy in self._proxies))
        leases = await asyncio.gather(*self.leasing, return_exceptions=True)
        await asyncio.gather(*(lease.end() for lease in leases if not isinstance(lease, BaseException)))


def name_of(need: str) -> str:
    """The service that a need names, without the version."""
    return need.partition(":")[0]


def _asked(wish: Wish) -> tuple[Fault, tuple[str, ...]]:
    """What a control does, and to which services: those that it names, or else all."""
    named = [name_of(need) for need in wish.needs]
    if wish.faults.get("kind", "fault") != "fault" or "is" not in wish.faults:
        return UP, ()
    try:
        fault = read_fault(wish.faults["is"])
    except ValueError as why:
        message = f"its control: {why}"
        raise CannotProvide(message) from why
    service = wish.faults.get("service", "")
    if service and service not in named:
        message = f"its control hurts {service}, which the box does not need"
        raise CannotProvide(message)
    return fault, (service,) if service else tuple(named)
