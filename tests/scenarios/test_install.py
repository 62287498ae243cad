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

from bot.domain import grants
from bot.domain.grants import Tier
from bot.localhub.contract import Contract, Violation
from bot.localhub.contract_wire import ContractMiddleware
from bot.localhub.hub import LocalHub
from tests.fakes.bot_process import HOME
from tests.fakes.world import REPO, World, box


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
    # What came while setup was at the door was refused, and the bot has asked for it again.
    async with asyncio.timeout(30):
        while not any(one.event == "installation" and one.status_code == 202 for one in server.hub.deliveries()):
            await asyncio.sleep(0.05)
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


async def test_a_name_that_is_taken_is_said_by_github_and_can_be_changed_there(
    server: Server, browser: Browser
) -> None:
    setup = await server.setup("--name", "Interlock")
    page = await browser.client.get((await read_until(setup, r"(http://\S+/setup\?token=\S+)"))[1])
    refused = await browser.press(page)
    assert (refused.status_code, "Name has already been taken" in refused.text) == (422, True)
    assert not server.credentials.exists()


async def test_credentials_are_not_written_over_before_anybody_goes_to_github(server: Server, browser: Browser) -> None:
    setup = await server.setup()
    await register(server, browser, setup)
    await read_until(setup, "✓ wrote")
    before = {path.name: path.read_text() for path in server.credentials.iterdir()}
    setup.send_signal(signal.SIGINT)
    assert await setup.wait() == 130

    url = ("--url", server.url, "--github", server.hub.url, "--port", str(server.port))
    code, said = await server.run("setup", *url)
    assert code == 3
    assert "holds an App's credentials already; --replace keeps them beside" in said
    assert {path.name: path.read_text() for path in server.credentials.iterdir()} == before


async def test_a_taken_port_and_an_impossible_address_are_one_sentence_each(server: Server) -> None:
    with socket.create_server(("127.0.0.1", server.port)):
        code, said = await server.run(
            "setup", "--url", server.url, "--github", server.hub.url, "--port", str(server.port)
        )
    assert code == 3
    taken = f"port {server.port} on 127.0.0.1 is in use; stop what uses it, or choose another with --port"
    assert said == f"interlock setup: {taken}\n"
    code, said = await server.run("setup", "--url", "https://localhost")
    assert code == 3
    assert said == "interlock setup: --url: GitHub cannot reach localhost; give a name that the internet knows\n"


async def test_a_web_server_that_leads_elsewhere_is_found_while_there_is_no_bot_yet(
    server: Server, browser: Browser
) -> None:
    """The public address is the hub's here: something answers, and it is not Interlock."""
    url = ("--url", server.hub.url, "--github", server.hub.url, "--port", str(server.port))
    setup = await server.start("setup", *url)
    page = await browser.client.get((await read_until(setup, r"(http://\S+/setup\?token=\S+)"))[1])
    await browser.follow(await browser.press(await browser.press(page)))
    told = await read_until(setup, "✗ reachable: (.*)")
    assert "/webhooks is answered by something else (it says 405) → let the web server pass" in told[1]


async def test_the_doctor_says_what_is_broken_and_what_mends_it(server: Server, browser: Browser) -> None:
    code, found = await findings(server)
    assert code == 3
    assert all(one["fix"].startswith("let `interlock setup` write them: there is no ") for one in found["settings"])

    setup = await server.setup("--org", "octo")
    await register(server, browser, setup)
    await browser.press(await browser.client.get((await read_until(setup, r"(http://\S+/installations/new)"))[1]))
    assert await setup.wait() == 0
    code, found = await findings(server)
    assert [one["found"] for one in found["reachable"]] == ["not tried: the bot is not running"]
    assert code == 0

    app = next(app for app in server.hub.state.apps if app.owner == "octo")
    (installation,) = server.hub.state.installations.where(app_id=app.id)
    fewer = {name: level for name, level in app.permissions.items() if name != "checks"}
    server.hub.state.installations.change(installation, permissions=fewer)
    server.hub.state.apps.change(app, webhook_url="https://old.example/webhooks", webhook_secret="another")
    (server.credentials / "private-key.pem").chmod(0o644)
    await server.serve()
    code, found = await findings(server)
    assert code == 1
    errors = {name: one["found"] for name in found for one in found[name] if one["level"] == "error"}
    assert errors.pop("installation").startswith("octo: Checks: write is not granted, so nothing is reported")
    # The new bot asks at its start for what was refused; GitHub sends it to the wrong address now.
    errors.pop("deliveries", None)
    assert errors.pop("secrets").endswith("private-key.pem can be read by others (mode 0644)")
    assert errors == {
        "webhook": f"GitHub sends webhooks to https://old.example/webhooks, the bot is at {server.url}/webhooks"
    }

    server.hub.state.apps.drop(app)
    code, found = await findings(server)
    assert code == 1
    assert "GitHub does not accept them" in found["credentials"][0]["found"]


@pytest.mark.requirement("S-28")
async def test_no_secret_is_anywhere_but_where_setup_put_it(server: Server, browser: Browser) -> None:
    server.hub.create_repository(
        REPO, files={"boxes/tier-1/1_env.sh": box("env; exit 1")}, collaborators={"mona": "write"}, install=False
    )
    setup = await server.setup("--org", "octo")
    await register(server, browser, setup)
    await browser.press(await browser.client.get((await read_until(setup, r"(http://\S+/installations/new)"))[1]))
    said, _ = await setup.communicate()
    key = (server.credentials / "private-key.pem").read_text()
    secrets = [(server.credentials / "webhook-secret").read_text().strip(), *key.splitlines()[1:-1]]

    bot = await server.serve()
    sha = server.hub.commit(REPO, "topic", {"x": "y"}, "Change", "mona")
    server.hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
    async with asyncio.timeout(30):
        while not any(run.conclusion == "failure" for run in server.hub.check_runs(REPO, sha)):
            await asyncio.sleep(0.05)
    pages = (
        "/health",
        "/health/ready",
        "/health/detailed",
        "/",
        "/api/v1/runs",
        "/api/v1/runs/1",
        "/runs/1",
        "/nowhere",
    )
    shown = [said.decode(), *[(await browser.client.get(f"{server.url}{page}")).text for page in pages]]
    shown.append((await server.run("doctor", "--json"))[1])
    # A crash of the interpreter itself, with whatever it writes then.
    bot.send_signal(signal.SIGABRT)
    shown.append((await bot.communicate())[0].decode())
    files = [path for path in server.home.rglob("*") if path.is_file() and not path.is_relative_to(server.credentials)]
    assert {"app.sqlite", "engine.sqlite", "links.key"} <= {path.name for path in files}
    shown += [path.read_bytes().decode("latin-1") for path in files]
    shown += [repr(run) for run in server.hub.check_runs(REPO, sha)]
    assert len("".join(shown)) > 10_000
    assert [secret for secret in secrets for text in shown if secret in text] == []


async def test_with_the_smallest_set_checks_appear_without_a_comment(world: World) -> None:
    """What a missing permission stops is one feature, never the run."""
    world.repository({"boxes/tier-1/1_ok.sh": box()})
    observe = grants.permissions(Tier.OBSERVE)
    world.hub.state.installations.change(world.hub.installation("octo"), permissions=observe)
    pull = await world.open_pull_request({"x": "y"})
    await world.settle()
    assert pull.conclusion == "success"
    assert pull.comments == []
