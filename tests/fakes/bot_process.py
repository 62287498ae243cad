"""The bot as a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx

from bot.localhub.hub import LocalHub

HOME = Path(__file__).parents[2]


class BotProcess:
    """`interlock serve` on a fixed port and data directory, startable again after a kill."""

    def __init__(
        self, hub: LocalHub, directory: Path, *, sandbox: str = "off", settings: Mapping[str, str] | None = None
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.data_dir = directory / "bot"
        self.log = directory / "bot.log"
        self.url = f"http://127.0.0.1:{self.port}"
        self._environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(HOME),
            "INTERLOCK_DATA_DIR": str(self.data_dir),
            "INTERLOCK_GITHUB_API_URL": hub.url,
            "INTERLOCK_GITHUB_APP_ID": str(hub.app_id),
            "INTERLOCK_GITHUB_PRIVATE_KEY": hub.private_key,
            "INTERLOCK_WEBHOOK_SECRET": hub.webhook_secret,
            "INTERLOCK_MAX_RUNS": "2",
            "INTERLOCK_SANDBOX": sandbox,
            "INTERLOCK_DRAIN_SECONDS": "0.5",
            **(settings or {}),
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process that was started last."""
        assert self._process is not None, "start it first"
        return self._process

    async def start(self) -> None:
        """Start it and wait until it is ready for deliveries."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bot.cli",
                "serve",
                "--port",
                str(self.port),
                env=self._environ,
                cwd=self.data_dir.parent,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(30), httpx.AsyncClient() as client:
            while True:
                assert self._process.returncode is None, self.log.read_text()
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.url}/health/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """Kill it, as the kernel does when memory is short: no handler runs."""
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def terminate(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(45):
            return await self.process.wait()

    async def get(self, path: str) -> httpx.Response:
        """Ask it something, as whoever sits at its machine."""
        async with httpx.AsyncClient() as client:
            return await client.get(f"{self.url}{path}")


def processes_of_runs(data_dir: Path) -> list[int]:
    """Every process that a run on this data directory started and that is still alive."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                environ = Path(entry.path, "environ").read_bytes()
                cmdline = Path(entry.path, "cmdline").read_bytes()
                if b"BOX_RUN_ID=interlock-" in environ and str(data_dir).encode() in environ + cmdline:
                    found.append(int(entry.name))
    return found


@contextlib.asynccontextmanager
async def bot_process(
    hub: LocalHub, directory: Path, *, sandbox: str = "off", settings: Mapping[str, str] | None = None
) -> AsyncIterator[BotProcess]:
    """A bot that hears what the hub sends, dead afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    bot = BotProcess(hub, directory, sandbox=sandbox, settings=settings)
    hub.webhook_url = f"{bot.url}/webhooks"
    await bot.start()
    try:
        yield bot
    finally:
        await bot.kill()
