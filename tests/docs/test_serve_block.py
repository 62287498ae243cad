"""The tutorial's `interlock serve`, run as it stands there, with a stand-in where it says GitHub."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path

import httpx

from bot.localhub.hub import LocalHub
from tests.fakes.bot_process import HOME
from tests.fakes.world import REPO, box

TUTORIAL = HOME / "docs" / "tutorial" / "01-protect-your-first-repository.md"


def block() -> str:
    """The commands that start the bot."""
    text = TUTORIAL.read_text(encoding="utf-8")
    [found] = re.findall(r"```sh not-run: it needs an App on GitHub; [^\n]*\n(.*?)```", text, re.DOTALL)
    return str(found)


async def test_the_bot_starts_as_the_tutorial_says_and_judges_a_pull_request(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    hub = LocalHub()
    await hub.start()
    (tmp_path / "interlock.private-key.pem").write_text(hub.private_key)
    # What a reader replaces by their own, and where GitHub is; nothing else differs from the page.
    script = block().replace("123456", str(hub.app_id)).replace("the-long-random-text", hub.webhook_secret)
    script = script.replace("interlock serve", f"exec interlock serve --port {port}")
    assert script.count(str(hub.app_id)) == 1
    assert script.count(hub.webhook_secret) == 1
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "INTERLOCK_GITHUB_API_URL": hub.url,
        "PYTHONPATH": str(HOME),
    }
    process = await asyncio.create_subprocess_exec("sh", "-euc", script, env=environ, cwd=tmp_path)
    try:
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                try:
                    ready = await client.get(f"http://127.0.0.1:{port}/health/ready")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                    assert process.returncode is None
                    continue
                if ready.status_code == 200:
                    break
        hub.webhook_url = f"http://127.0.0.1:{port}/webhooks"
        hub.create_repository(REPO, files={"boxes/tier-1/1_ok.sh": box()}, collaborators={"mona": "write"})
        sha = hub.commit(REPO, "topic", {"x": "y"}, "Change", "mona")
        hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
        async with asyncio.timeout(30):
            while not any(run.conclusion == "success" for run in hub.check_runs(REPO, sha)):
                await asyncio.sleep(0.05)
        [link] = {run.details_url for run in hub.check_runs(REPO, sha)}
        assert link.startswith("https://interlock.example.com/runs/")
    finally:
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        await hub.stop()
