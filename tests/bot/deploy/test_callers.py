"""A release has the machine's network, and all the same it does not sit at the machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bot.deploy.callers import Callers, callers_of
from bot.deploy.confine import Allowance, Confinement, Way, choose
from bot.deploy.running import run
from bot.ops.listener import claim
from bot.web.local import Doorman, is_local
from bot.web.server import Server

PATH = "/usr/local/bin:/usr/bin:/bin"
ASK = """
import http.client, sys
wire = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=10)
wire.request("GET", "/")
print(wire.getresponse().read().decode())
"""
KINDS = frozenset({"process"})


async def who(request: Request) -> Response:
    return PlainTextResponse("local" if is_local(request) else "remote")


@contextlib.asynccontextmanager
async def serving(callers: Callers | None, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """A page that says whether whoever asks sits at the machine; gives its port."""
    [listener, *_] = sockets = claim(host, 0)
    app = Doorman(Starlette(routes=[Route("/", who)]), callers)
    server = Server(uvicorn.Config(app, lifespan="off", log_config=None, ws="none"))
    task = asyncio.create_task(server.serve(sockets))
    await server.listening.wait()
    yield listener.getsockname()[1]
    server.should_exit = True
    await task


def asking(port: int, host: str = "127.0.0.1") -> Sequence[str]:
    return ("/usr/bin/python3", "-I", "-c", ASK, host, str(port))


async def asked_by_a_release(confinement: Confinement, port: int) -> str:
    ran = await run(confinement, asking(port), directory=Path("/"), environ={}, within=20)
    assert ran.code == 0, ran.printed
    return ran.out.strip()


async def asked_by_a_person(port: int, host: str = "127.0.0.1") -> str:
    process = await asyncio.create_subprocess_exec(*asking(port, host), stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode().strip()


def confined(way: Way) -> tuple[Confinement, Callers]:
    """One way in which releases are kept apart, and who tells them from people then."""
    if os.geteuid():
        # Not counted as a missing component: whoever is not root has nothing to install.
        pytest.skip("only root can become another user")
    if way is Way.OWN_VIEW:
        chosen = choose(Allowance(path=PATH), root=False)
        callers: Callers | None = Callers(os.geteuid(), apart=False)
    else:
        allowance = Allowance(kinds=KINDS, user="nobody", path=PATH)
        chosen, callers = choose(allowance), callers_of(allowance)
    if not isinstance(chosen, Confinement) or chosen.way is not way:
        pytest.skip("missing component: a bubblewrap that works")
    assert callers is not None
    return chosen, callers


@pytest.mark.parametrize("way", [Way.VIEW, Way.OWN_VIEW])
async def test_a_release_gives_no_command_and_reads_no_page_over_loopback(way: Way) -> None:
    confinement, callers = confined(way)
    async with serving(callers) as port:
        assert await asked_by_a_release(confinement, port) == "remote"
        assert await asked_by_a_person(port) == "local"


async def test_a_person_who_asks_by_ipv6_sits_at_the_machine() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        # Not counted as a missing component: a kernel without IPv6 is not mended by installing something.
        pytest.skip("this machine has no IPv6")
    async with serving(Callers(os.geteuid(), apart=False), host="::1") as port:
        assert await asked_by_a_person(port, host="::1") == "local"


async def test_who_has_hung_up_is_nobody() -> None:
    callers = Callers(65534, apart=True)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    called = server.sockets[0].getsockname()
    _, writer = await asyncio.open_connection(*called)
    caller = writer.get_extra_info("sockname")
    assert not callers.is_release(caller, called)
    writer.close()
    await writer.wait_closed()
    assert callers.is_release(caller, called)
    server.close()
    await server.wait_closed()


def test_where_no_release_runs_nobody_has_to_be_told_apart() -> None:
    assert callers_of(Allowance(user="nobody", path=PATH)) is None
    assert callers_of(Allowance(kinds=KINDS, path="/nowhere", unconfined=True)) is None
