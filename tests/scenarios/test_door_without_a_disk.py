"""The disk is full, or somebody holds the database: what cannot be kept is not acknowledged, and all else goes on.

And what a bot of its own process leaves behind where others can look.
"""

from __future__ import annotations

import re
import resource
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot.localhub.hooks import headers
from bot.localhub.hub import LocalHub
from tests.fakes.bot_process import BotProcess, bot_process


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    hub = LocalHub()
    await hub.start()
    yield hub
    await hub.stop()


async def deliver(hub: LocalHub, bot: BotProcess, guid: str, size: int = 10) -> httpx.Response:
    """What GitHub sends for a ping of so many bytes."""
    body = b'{"zen": "' + b"x" * size + b'"}'
    async with httpx.AsyncClient(timeout=10) as github:  # GitHub's own patience.
        sent = headers(hub.app_record, "ping", guid, body)
        return await github.post(f"{bot.url}/webhooks", content=body, headers=sent)


@pytest.mark.requirement("S-38")
async def test_a_full_disk_refuses_and_an_emptied_one_takes_in(hub: LocalHub, tmp_path: Path) -> None:
    async with bot_process(hub, tmp_path) as bot:
        assert (await deliver(hub, bot, "before-it-is-full")).status_code == 202
        # No file may grow beyond what the write-ahead log has already: the kernel refuses every further byte.
        wal = (bot.data_dir / "app.sqlite-wal").stat().st_size
        soft, hard = resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, (wal, resource.RLIM_INFINITY))
        refused = await deliver(hub, bot, "while-it-is-full", size=1_000_000)
        assert (refused.status_code, refused.json()) == (
            503,
            {"error": "the delivery could not be stored; redeliver it later"},
        )
        resource.prlimit(bot.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        again = await deliver(hub, bot, "while-it-is-full", size=1_000_000)
        assert (again.status_code, again.json()["duplicate"]) == (202, False)
        assert "Traceback" not in bot.log.read_text()


@pytest.mark.requirement("S-38")
async def test_a_held_database_refuses_before_github_hangs_up(hub: LocalHub, tmp_path: Path) -> None:
    async with bot_process(hub, tmp_path) as bot:
        with sqlite3.connect(bot.data_dir / "app.sqlite", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (await deliver(hub, bot, "while-it-is-held")).status_code == 503
            other.execute("ROLLBACK")
        other.close()
        again = await deliver(hub, bot, "while-it-is-held")
        assert (again.status_code, again.json()["duplicate"]) == (202, False)
        assert "Traceback" not in bot.log.read_text()


@pytest.mark.requirement("S-28")
async def test_no_secret_is_in_the_log_the_health_page_the_database_or_a_dump(hub: LocalHub, tmp_path: Path) -> None:
    async with bot_process(hub, tmp_path) as bot:
        assert (await deliver(hub, bot, "0123-4567-89ab")).status_code == 202
        wrong = {**headers(hub.app_record, "ping", "0123-4567-89ac", b"{}"), "X-Hub-Signature-256": hub.webhook_secret}
        async with httpx.AsyncClient() as stranger:
            assert (await stranger.post(f"{bot.url}/webhooks", content=b"{}", headers=wrong)).status_code == 401
        shown = (await bot.get("/health/detailed")).text + bot.log.read_text()
        limits = Path(f"/proc/{bot.process.pid}/limits").read_text()
        assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)
        await bot.terminate()
        kept = b"".join(path.read_bytes() for path in bot.data_dir.rglob("*") if path.is_file())
    lines = [line for line in hub.private_key.splitlines() if not line.startswith("-----")]
    for secret in (hub.webhook_secret, *lines):
        assert secret not in shown
        assert secret.encode() not in kept
