"""The bot is killed while a sandboxed box runs, or while boxes are proved: nothing is left over, nothing is lost."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bot.localhub.hub import LocalHub
from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.fakes.bot_process import bot_process
from tests.fakes.world import OK, REPO, box
from tests.scenarios.test_crash import quiet, redeliver_what_failed
from tests.scenarios.test_scrutiny import proved

NAPS = ("86411", "86412", "86413")
"""Seconds that the box's processes sleep, and how they are told from all others."""
HANGS = f"setsid sleep {NAPS[0]} &\n(setsid sleep {NAPS[1]} &)\nsleep {NAPS[2]}"


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    hub = LocalHub()
    await hub.start()
    yield hub
    await hub.stop()


def asleep() -> set[str]:
    """Which of the naps are being taken on this machine, in whatever namespace."""
    found = set()
    for entry in os.scandir("/proc"):
        try:
            words = Path(entry.path, "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if words[0] == "sleep":
            found |= {*words} & {*NAPS}
    return found


async def until(holds: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.05)


async def test_what_a_killed_bot_left_in_a_sandbox_is_ended_by_the_next(hub: LocalHub, tmp_path: Path) -> None:
    if not (best := rungs(os.environ)[0]).works:
        pytest.skip(f"{MISSING} a sandbox: {best.why}")
    async with bot_process(hub, tmp_path, sandbox="full") as bot:
        hub.create_repository(REPO, collaborators={"mona": "write"}, files={"boxes/tier-1/1_green.sh": OK})
        hub.commit(REPO, "topic", {"boxes/tier-1/1_green.sh": box(HANGS)}, "Hang", "mona")
        pull = hub.open_pull_request(REPO, "topic", "main", "Hang", "mona")
        await until(lambda: asleep() == {*NAPS})
        await bot.kill()
        assert asleep() == {*NAPS}, "the child outlives its bot"

        hub.close_pull_request(REPO, pull.number, "mona")
        await hub.settled()
        await bot.start()
        await redeliver_what_failed(hub)
        await quiet(hub, bot)
        assert asleep() == set()


async def test_a_killed_bot_goes_on_with_proving(hub: LocalHub, tmp_path: Path) -> None:
    slow = proved(1, 'test "$(cat sum)" = 4 || { sleep 2; echo "sum is 4: no"; exit 1; }')
    async with bot_process(hub, tmp_path) as bot:
        hub.create_repository(REPO, collaborators={"mona": "write"}, files={"sum": "4\n", **slow})
        hub.commit(REPO, "topic", {"x": "y"}, "Change it", "mona")
        head = hub.open_pull_request(REPO, "topic", "main", "Change it", "mona").head_sha

        def check() -> tuple[str | None, str | None]:
            found = [run for run in hub.check_runs(REPO, head) if run.name == "Interlock"]
            return (found[0].conclusion, found[0].text) if found else (None, None)

        await until(lambda: check()[0] == "success" and bool(list(bot.data_dir.glob("runs/*/prover.json"))))
        await bot.kill()
        assert not check()[1]
        await bot.start()
        await until(lambda: check() == ("success", "**1 box, 1 proved capable of failing**"))
