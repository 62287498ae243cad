"""`interlock setup`: from nothing to an App that GitHub knows, whose webhooks arrive.

It listens where the bot will listen, so the name, the certificate and the web server in front are tried before there is
a bot. What GitHub sends meanwhile, but for pings, is answered 503; the bot asks for it again when it starts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import webbrowser
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from socket import socket

import uvicorn

from bot.commands.setup_door import Door
from bot.commands.setup_plan import GITHUB, BadPlan, Plan, make_plan
from bot.domain import diagnosis
from bot.github.app import GitHubApp
from bot.github.deliveries_api import ask_again
from bot.github.errors import GitHubProblem
from bot.github.manifest import Credentials, convert
from bot.github.registration import installations, recent_deliveries
from bot.ops import logging as logs
from bot.ops.clock import Clock, SystemClock
from bot.ops.credentials import CredentialsExist, CredentialsNotWritten, require_room, write_credentials
from bot.ops.listener import CannotListen, claim
from bot.ops.self_ping import ping
from bot.ops.settings import default_data_dir
from bot.web.server import Server

INSTALL_SECONDS = 900.0
"""How long it waits for the first installation."""
GITHUBS_PING_SECONDS = 15.0
"""How long a redelivered ping may take; GitHub gives up on a webhook after ten."""
LOOK_SECONDS = 3.0
"""Between two looks at the installations, unless a webhook tells sooner."""

Tell = Callable[[str], None]


def setup(arguments: argparse.Namespace) -> int:
    """The command; returns its exit code: 0 set up, 1 something does not hold, 3 it cannot be done as asked."""
    try:
        plan = plan_of(arguments, os.environ)
        require_room(plan.data_dir, replace=plan.replace)
        sockets = claim(plan.host, plan.port)
    except (BadPlan, CredentialsExist, CredentialsNotWritten, CannotListen) as obstacle:
        print(f"interlock setup: {obstacle}", file=sys.stderr)  # noqa: T201 - the command's own output.
        return 3
    logs.configure(form="pretty", level="error")
    open_page = None if arguments.no_browser or not os.environ.get("DISPLAY") else webbrowser.open
    return asyncio.run(set_up(plan, sockets, _say, open_page=open_page))


def plan_of(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Plan:
    """The command line, completed from the environment that the bot would read.

    Raises:
        BadPlan: it cannot work.
    """
    return make_plan(
        url=arguments.url or environ.get("INTERLOCK_PUBLIC_URL", ""),
        github=arguments.github or environ.get("INTERLOCK_GITHUB_URL", "") or GITHUB,
        org=arguments.org,
        name=arguments.name,
        tier=arguments.tier,
        host=arguments.host,
        port=arguments.port,
        data_dir=Path(arguments.data_dir or environ.get("INTERLOCK_DATA_DIR", "") or default_data_dir(environ)),
        replace=arguments.replace,
        public=arguments.public,
    )


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the command's own output.


async def set_up(
    plan: Plan,
    sockets: list[socket],
    tell: Tell,
    *,
    open_page: Callable[[str], object] | None = None,
    install_seconds: float = INSTALL_SECONDS,
    clock: Clock | None = None,
) -> int:
    """Serve the page, keep what comes back, try the way that webhooks take, and wait for the first installation.

    Returns:
        0, or 1 when the App is registered and something about it does not hold.
    """
    clock = clock or SystemClock()
    written: list[Path] = []

    async def keep(code: str) -> Credentials:
        given = await convert(plan.api_url, code, now=clock.now())
        told = {"github_app_id": given.app_id, **plan.settings}
        written.append(
            write_credentials(plan.data_dir, told, private_key=given.private_key, webhook_secret=given.webhook_secret)
        )
        return given

    door = Door(plan, keep)
    async with _serving(door, sockets):
        tell(f"1. Open this address in a browser:\n\n   {door.url}\n")
        if not plan.through_public:
            forward = f"ssh -L {plan.port}:127.0.0.1:{plan.port} THIS-SERVER"
            tell(f"   From another machine: {forward}, or start with --public.\n")
        if open_page:
            await asyncio.to_thread(open_page, door.url)
        await door.until(lambda: door.made is not None)
        made = door.made
        assert made, "that is what was waited for"
        tell(f"✓ registered {made.name}, owned by {made.owner}\n✓ wrote {written[-1]}")
        async with GitHubApp(plan.api_url, made.app_id, made.private_key, clock, web_url=plan.web_url) as github:
            reached = await _try_the_way(plan, door, made, github, tell)
            tell(f"\n2. Install it on your repositories:\n\n   {made.install_page}\n")
            installed = await _first_installation(door, github, tell, install_seconds)
    tell(f"\n3. Start the bot:\n\n   {_start_line(plan)}\n")
    return 0 if reached and installed else 1


@contextlib.asynccontextmanager
async def _serving(door: Door, sockets: list[socket]) -> AsyncIterator[None]:
    config = uvicorn.Config(
        door.app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve(sockets))
    try:
        await server.listening.wait()
        yield
    finally:
        server.should_exit = True
        await serving


async def _try_the_way(plan: Plan, door: Door, made: Credentials, github: GitHubApp, tell: Tell) -> bool:
    """First from here, which can say what is wrong; then from GitHub, which is what counts."""
    found = diagnosis.reachability(plan.public_url, await ping(plan.public_url, made.webhook_secret))
    tell(diagnosis.line(found))
    if not found.good:
        return False
    try:
        async with asyncio.timeout(GITHUBS_PING_SECONDS):
            arrived = await _have_github_ping(door, github)
    except TimeoutError:
        arrived = False
    except GitHubProblem as problem:
        tell(f"! GitHub could not be asked for a ping: {problem}")
        return True
    if arrived:
        tell("✓ a webhook that GitHub sent has arrived")
    else:
        tell("✗ this machine reaches the address, GitHub does not: does a firewall let only some in?")
    return arrived


async def _have_github_ping(door: Door, github: GitHubApp) -> bool:
    """Have GitHub repeat the ping that it sent when the App was made, before anybody knew its secret."""
    app = github.itself()
    while True:
        pings = [one for one in await recent_deliveries(app) if one.event == "ping"]
        if pings:
            break
        await asyncio.sleep(1)
    await ask_again(app, pings[0].id)
    await door.until(lambda: pings[0].guid in door.arrived)
    return True


async def _first_installation(door: Door, github: GitHubApp, tell: Tell, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            while not (found := await installations(github.itself())):
                heard = len(door.arrived)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await door.until(lambda heard=heard: len(door.arrived) > heard)  # type: ignore[misc]
    except TimeoutError:
        tell("! it is not installed anywhere yet; that can be done at any time")
        return True
    except GitHubProblem as problem:
        tell(f"✗ its installations cannot be read: {problem}")
        return False
    for one in found:
        tell(f"✓ installed on {one.account}")
    return True


def _start_line(plan: Plan) -> str:
    listen = "" if (plan.host, plan.port) == ("127.0.0.1", 8080) else f" --host {plan.host} --port {plan.port}"
    place = "" if plan.data_dir == default_data_dir(os.environ) else f"INTERLOCK_DATA_DIR={plan.data_dir} "
    return f"{place}interlock serve{listen}"
