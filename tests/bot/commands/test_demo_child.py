"""Processes of the demo: found by their directory, and ended with what they started."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.commands.demo_child import Child, gone, output_of, processes_of, sweep

NAPPING = ["sh", "-c", 'echo "up and running"; echo about >&2; setsid sleep 60 & wait']


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}


@pytest.fixture
def stray(tmp_path: Path, env: dict[str, str]) -> Iterator[Child]:
    """A process with a child that left its process group."""
    child = Child("stray", NAPPING, env=env, cwd=tmp_path, log=tmp_path / "stray.log")
    yield child
    asyncio.run(sweep(tmp_path))
    asyncio.run(child.wait())


async def first_line(child: Child) -> str:
    while not (line := child.first_line()):
        await asyncio.sleep(0.01)
    return line


async def test_a_child_is_read_while_it_runs(stray: Child) -> None:
    async with asyncio.timeout(20):
        assert await first_line(stray) == "up and running"
    assert not stray.ended


async def test_whatever_left_the_group_is_still_found_and_swept(stray: Child, tmp_path: Path) -> None:
    async with asyncio.timeout(20):
        await first_line(stray)
        while "sleep 60" not in processes_of(tmp_path).values():  # before that, setsid has not left the group yet.
            await asyncio.sleep(0.01)
        await stray.end()
    assert stray.ended
    assert list((await gone(tmp_path, within=0)).values()) == ["sleep 60"]
    await sweep(tmp_path)
    assert processes_of(tmp_path) == {}


async def test_a_command_gives_its_exit_code_and_all_that_it_said(tmp_path: Path, env: dict[str, str]) -> None:
    argv = [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)"]
    assert await output_of(argv, env=env, cwd=tmp_path, log=tmp_path / "command.log") == (3, "out\nerr\n")


async def test_a_cancelled_command_is_ended(tmp_path: Path, env: dict[str, str]) -> None:
    running = asyncio.create_task(output_of(["sleep", "60"], env=env, cwd=tmp_path, log=tmp_path / "sleep.log"))
    async with asyncio.timeout(20):
        while not processes_of(tmp_path):
            await asyncio.sleep(0.01)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert processes_of(tmp_path) == {}
