"""HAProxy, told by its runtime interface: a switch is one number in a map, read anew for every request.

No process is reloaded for a switch and no connection closed, so none is lost. The map's file is written first: a router
that starts again does what was decided last. Written for HAProxy 2.4 and later, tried with 2.6.

Source: HAProxy's management guide, "9.3. Unix Socket commands", and its configuration manual.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import Mapping
from pathlib import Path

from bot.deploy import wire
from bot.deploy.durable import put
from bot.deploy.residents import Resident, Wanted
from bot.deploy.routers.router import NOBODY, Front, answering
from bot.deploy.target import Counts, Slot, TargetUnreachable

_WITHIN = 5.0
_FILES = 65536
"""Without a limit HAProxy makes room for as many connections as the machine allows, which can be a billion."""

_CONFIG = """\
# Written by Interlock; changes are lost.
global
    stats socket unix@admin.sock mode 600 level admin expose-fd listeners
    # Else two routers could have one address, and the kernel would divide users between them.
    noreuseport
{user}
defaults
    mode http
    option forwardfor
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout http-keep-alive 60s
    # A slot may close a connection at the moment at which it is used again. Only then, and only what may be asked
    # twice, is asked once more; no failure of a release is hidden.
    retries 1
    retry-on empty-response
frontend users
    bind {listen}
    http-request disable-l7-retry unless METH_GET
    http-request set-var(txn.share) str(green),map_str_int(share.map,-1)
    http-request return status 503 content-type text/plain string "no release serves here" hdr Retry-After 5 \
if {{ var(txn.share) -m int lt 0 }}
    http-request set-var(txn.lot) rand(100),sub(txn.share)
    use_backend green if {{ var(txn.lot) -m int lt 0 }}
    default_backend blue
backend blue
    server blue 127.0.0.1:{blue}
backend green
    server green 127.0.0.1:{green}
"""


class HAProxy:
    """One HAProxy.

    Args:
        program: its path.
        directory: its own.
        front: what it is to do.
        user: as whom it runs once it listens; "" for ours.
    """

    counters = True
    promise = "no request is lost in a switch"

    def __init__(self, program: str, directory: Path, front: Front, *, user: str = "") -> None:
        self._program = program
        self._directory = directory
        self._config = config(front, user=user)
        self._resident = Resident(directory)

    async def up(self) -> None:
        """Have it run; one with another configuration hands its listening sockets over."""
        nonce = hashlib.sha256(self._config.encode()).hexdigest()[:16]
        life = self._resident.look()
        if life.alive and life.nonce == nonce:
            return
        self._write()
        argv = [self._program, "-db", "-f", "haproxy.cfg"]
        argv += ["-x", "admin.sock", "-sf", str(life.pid)] if life.alive else []
        wanted = Wanted(argv=argv, directory=self._directory, files=_FILES)
        await self._resident.start(wanted, nonce=nonce, intent={"argv": argv})
        await self._answers(nonce)

    async def share(self) -> int | None:
        """What the running map says."""
        if not self._resident.look().alive:
            return None
        for line in (await self._ask("show map share.map")).splitlines():
            words = line.split()
            if len(words) == 3 and words[1] == "green":
                return int(words[2])
        return NOBODY

    async def give(self, share: int) -> None:
        """Write the map's file, then set the map."""
        self._decide(share)
        await self.up()
        said = await self._ask(f"set map share.map green {share}")
        if said.strip():
            message = f"haproxy refused to switch: {said.strip()}"
            raise TargetUnreachable(message)

    async def counts(self) -> Mapping[Slot, Counts]:
        """What its counters say; answers that it gave itself because a slot gave none are failures of that slot."""
        return {
            row["# pxname"]: Counts(
                answers=sum(int(row[f"hrsp_{kind}"] or 0) for kind in ("1xx", "2xx", "3xx", "4xx", "5xx", "other")),
                failures=int(row["hrsp_5xx"] or 0) + int(row["srv_abrt"] or 0),
            )
            for row in await self._backends()
        }

    async def under_way(self, slot: Slot) -> int:
        """Sessions of a slot that have a request."""
        return sum(int(row["scur"] or 0) for row in await self._backends() if row["# pxname"] == slot)

    async def down(self) -> None:
        """End it."""
        await self._resident.stop(1.0)
        self._resident.forget()

    async def _backends(self) -> list[dict[str, str]]:
        if not self._resident.look().alive:
            return []
        # 2: of backends alone.
        stat = await self._ask("show stat -1 2 -1")
        return list(csv.DictReader(line for line in stat.splitlines() if line.strip()))

    def _decide(self, share: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        put(self._directory / "share.map", f"green {share}\n")

    def _write(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        put(self._directory / "haproxy.cfg", self._config)
        if not (self._directory / "share.map").exists():
            self._decide(NOBODY)

    async def _answers(self, nonce: str) -> None:
        """Wait until the process of this start answers on the admin socket.

        Raises:
            TargetUnreachable: it ended, or took too long. The message has what it printed.
        """

        async def says_so() -> bool:
            life = self._resident.look()
            return life.nonce == nonce and await self._says_pid() == life.pid

        await answering("haproxy", self._resident, says_so, _WITHIN)

    async def _says_pid(self) -> int:
        try:
            said = await self._ask("show info")
        except TargetUnreachable:
            return 0
        return next((int(line[5:]) for line in said.splitlines() if line.startswith("Pid: ")), 0)

    async def _ask(self, command: str) -> str:
        try:
            async with (
                asyncio.timeout(_WITHIN),
                wire.connected(self._directory / "admin.sock") as (reader, writer),
            ):
                writer.write(f"{command}\n".encode())
                await writer.drain()
                return (await reader.read(-1)).decode(errors="replace")
        except (OSError, TimeoutError) as refused:
            message = f"haproxy does not answer: {refused}"
            raise TargetUnreachable(message) from refused


def config(front: Front, *, user: str = "") -> str:
    """The text of its configuration; names of files are relative to its directory."""
    host, port = front.listen
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    drop = f"    user {user}\n" if user else ""
    return _CONFIG.format(listen=where, blue=front.ports["blue"], green=front.ports["green"], user=drop)
