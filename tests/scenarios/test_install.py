"""A stranger sets the bot up: from an empty data directory to the first green check, against a GitHub on loopback.

Everything is what a person would start: `interlock setup`, a browser that presses two buttons, `interlock serve`,
`interlock doctor`.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import json
import os
import re
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from bot.localhub.contract import Contract, Violation
from bot.localhub.contract_wire import ContractMiddleware
from bot.localhub.hub import LocalHub
from tests.fakes.bot_process import HOME
from tests.fakes.world import REPO, box


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Server:
    """An empty machine with an address, and the commands that somebody types on it."""

    hub: LocalHub
    home: Path
    port: int = field(default_factory=free_port)
    running: list[asyncio.subprocess.Process] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_dir(self) -> Path:
        return self.home / "data"

    @property
    def credentials(self) -> Path:
        return self.data_dir / "credentials"

    async def start(self, *argv: str) -> asyncio.subprocess.Process:
        """Type `interlock …`."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "PYTHONPATH": str(HOME),
            "PYTHONUNBUFFERED": "1",
            "INTERLOCK_DATA_DIR": str(self.data_dir),
            "INTERLOCK_SANDBOX": "off",
            "INTERLOCK_DRAIN_SECONDS": "0",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot.cli",
            *argv,
            env=environ,
            cwd=self.home,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.running.append(process)
        return process

    async def setup(self, *argv: str) -> asyncio.subprocess.Process:
        """Type `interlock setup`, for this machine's address and the stand-in."""
        return await self.start("setup", "--url", self.url, "--github", self.hub.url, "--port", str(self.port), *argv)

    async def run(self, *argv: str) -> tuple[int, str]:
        """Type a command and wait for its end."""
        process = await self.start(*argv)
        async with asyncio.timeout(60):
            said, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, said.decode()

    async def serve(self) -> asyncio.subprocess.Process:
        """Type `interlock serve`, and wait until it is ready."""
        process = await self.start("serve", "--port", str(self.port))
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/health/ready")).status_code == 200:
                        return process
                assert process.returncode is None, (await process.communicate())[0].decode()
                await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End whatever still runs."""
        for process in self.running:
            if process.returncode is None:
                process.kill()
                await process.communicate()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    violations: list[Violation] = []
    hub = LocalHub()
    hub.app = ContractMiddleware(hub.app, Contract.load(), violations.append, judged=hub.is_api)
    await hub.start()
    server = Server(hub, tmp_path)
    yield server
    await server.stop()
    await hub.stop()
    assert violations == []


async def read_until(process: asyncio.subprocess.Process, pattern: str) -> re.Match[str]:
    """What a command prints, up to a line that matches."""
    assert process.stdout is not None
    said = ""
    async with asyncio.timeout(30):
        while line := (await process.stdout.readline()).decode():
            said += line
            if match := re.search(pattern, line):
                return match
    pytest.fail(f"it ended without {pattern!r}:\n{said}")


@dataclass
class Browser:
    """A person's browser: opens pages, presses the one button of a form."""

    client: httpx.AsyncClient

    async def press(self, page: httpx.Response, **fill: str) -> httpx.Response:
        """Send the page's form, with hidden fields as they stand."""
        form = re.search(r'<form method="post"(?: action="([^"]*)")?>(.*?)</form>', page.text, re.DOTALL)
        assert form, page.text
        inputs = re.findall(r'<input(?: type="hidden")? name="(\w+)" value="([^"]*)"', form[2])
        values = {name: html.unescape(value) for name, value in inputs} | fill
        where = urljoin(str(page.url), html.unescape(form[1] or ""))
        return await self.client.post(where, data=values)

    async def follow(self, page: httpx.Response) -> httpx.Response:
        """Go where the page sends the browser."""
        return await self.client.get(urljoin(str(page.url), page.headers["location"]))


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with httpx.AsyncClient() as client:
        yield Browser(client)


async def register(server: Server, browser: Browser, setup: asyncio.subprocess.Process) -> httpx.Response:
    """Press setup's button, GitHub's button, and come back; returns the page at the end."""
    page = await browser.client.get((await read_until(setup, r"(http://\S+/setup\?token=\S+)"))[1])
    assert page.status_code == 200
    asked = await browser.press(page)
    assert "Create GitHub App" in asked.text
    back = await browser.press(asked)
    assert back.status_code == 302, back.text
    done = await browser.follow(back)
    assert done.status_code == 303, done.text
    assert "code=" not in done.headers["location"]
    return await browser.follow(done)


async def findings(server: Server) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """What the doctor says, by the name of what was looked at."""
    code, said = await server.run("doctor", "--json")
    document = json.loads(said)
    assert document["schema"] == "interlock.doctor/1"
    by_name: dict[str, list[dict[str, Any]]] = {}
    for one in document["findings"]:
        by_name.setdefault(one["name"], []).append(one)
    return code, by_name


async def test_from_an_empty_server_to_the_first_green_check(server: Server, browser: Browser) -> None:
    server.hub.create_repository(
        REPO, files={"boxes/tier-1/1_ok.sh": box()}, collaborators={"mona": "write"}, install=False
    )
    setup = await server.setup("--org", "octo", "--no-browser")
    done = await register(server, browser, setup)
    assert "Install it on your repositories" in done.text
    await read_until(setup, "✓ registered interlock-127-0-0-1, owned by octo")
    await read_until(setup, "✓ wrote")
    await read_until(setup, "✓ reachable: a signed ping .* was taken in, a forged one was not")
    await read_until(setup, "✓ a webhook that GitHub sent has arrived")
    install_page = (await read_until(setup, r"(http://\S+/installations/new)"))[1]
    await browser.press(await browser.client.get(install_page))
    await read_until(setup, "✓ installed on octo")
    await read_until(setup, "interlock serve --host 127.0.0.1 --port")
    assert await setup.wait() == 0

    bot = await server.serve()
    code, found = await findings(server)
    assert [one for names in found.values() for one in names if one["level"] == "error"] == []
    assert {one["found"] for one in found["reachable"]} == {
        f"a signed ping to {server.url}/webhooks was taken in, a forged one was not"
    }
    assert found["app"][0]["found"] == "interlock-127-0-0-1, owned by octo; permissions: operate"
    assert found["installation"][0]["found"] == "octo: everything that the App asks for is granted"
    assert code == 0

    sha = server.hub.commit(REPO, "topic", {"x": "y"}, "Change", "mona")
    pull = server.hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
    async with asyncio.timeout(30):
        while not any(run.conclusion == "success" for run in server.hub.check_runs(REPO, sha)):
            await asyncio.sleep(0.05)
    assert {run.name for run in server.hub.check_runs(REPO, sha)} >= {"Interlock", "Interlock / tier 1"}
    async with asyncio.timeout(30):
        while not server.hub.comments(REPO, pull.number):
            await asyncio.sleep(0.05)
    bot.send_signal(signal.SIGTERM)
    await bot.communicate()
    assert bot.returncode == 0


@pytest.mark.requirement("S-28")
async def test_what_setup_writes_only_its_owner_can_read(server: Server, browser: Browser) -> None:
    setup = await server.setup()
    await register(server, browser, setup)
    await read_until(setup, "✓ wrote")
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in server.credentials.iterdir()}
    assert files == {"interlock.toml": 0o600, "private-key.pem": 0o600, "webhook-secret": 0o600}
    assert stat.S_IMODE(server.credentials.stat().st_mode) == 0o700
    # Where users of boxes pass through, nothing of it lies open.
    assert [path.name for path in server.data_dir.iterdir()] == ["credentials"]
