"""Child processes of the demo: started in sessions of their own, and ended with everything that they started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import bot

# Isolated mode, as for the bot's own children: this very Interlock is started, whatever the working directory holds.
_LAUNCH = "import sys; sys.path.insert(0, sys.argv.pop(1)); from bot.cli import main; sys.exit(main())"
_HOME = str(Path(bot.__file__).resolve().parent.parent)

GRACE = 8.0
"""Seconds that a child has to end by itself."""

POLL = 0.02


def interlock(*arguments: str) -> list[str]:
    """The command line of an `interlock` command."""
    return [sys.executable, "-I", "-c", _LAUNCH, _HOME, *arguments]


class Child:
    """A process in a session of its own, which may outlive this one. `log` gets its errors, `output` what it prints."""

    def __init__(self, name: str, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> None:
        self.name = name
        self.log = log
        self.output = log.with_suffix(".out")
        with log.open("ab") as errors, self.output.open("wb") as output:
            # asyncio's own processes are killed with their loop; one that is kept must not be.
            self._process = subprocess.Popen(  # noqa: S603 - our own commands, as a list.
                list(argv),
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id, which is its process group's too."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """It lives no more."""
        return self._process.poll() is not None

    def printed(self) -> str:
        """All that it said."""
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in (self.output, self.log))

    def first_line(self) -> str:
        """The first line that it printed, once that is whole; before, ""."""
        text = self.output.read_text(encoding="utf-8", errors="replace")
        return text.partition("\n")[0] if "\n" in text else ""

    async def wait(self) -> int:
        """Its exit code, when it has ended."""
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 - a process sets no event.
            await asyncio.sleep(POLL)
        return code

    async def kill(self) -> None:
        """What `kill -9` does, to this process alone."""
        self._process.kill()
        await self.wait()

    async def end(self) -> None:
        """Ask it to stop, insist, and take what is left of its group along."""
        self._process.terminate()
        try:
            async with asyncio.timeout(GRACE):
                await self.wait()
        except TimeoutError:
            await self.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


async def output_of(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path) -> tuple[int, str]:
    """Run a command to its end; its exit code, and what it printed. Cancelling ends it."""
    child = Child(argv[0], argv, env=env, cwd=cwd, log=log)
    try:
        code = await child.wait()
    except asyncio.CancelledError:
        await asyncio.shield(child.end())
        raise
    return code, child.printed()


def processes_of(directory: Path) -> dict[int, str]:
    """Processes that work in a directory or were told of it, with their command lines; none where there is no /proc."""
    mark = os.fsencode(directory)
    found: dict[int, str] = {}
    with contextlib.suppress(FileNotFoundError), os.scandir("/proc") as entries:
        for entry in entries:
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                command = _command_in(Path(entry.path), mark)
                if command:
                    found[int(entry.name)] = command
    return found


def _command_in(process: Path, mark: bytes) -> str:
    """The command line of a process that has `mark` in it, in its environment or in its working directory."""
    command = (process / "cmdline").read_bytes()
    places = (command, (process / "environ").read_bytes(), os.fsencode((process / "cwd").readlink()))
    return command.replace(b"\0", b" ").decode("utf-8", "replace").strip() if any(mark in p for p in places) else ""


async def gone(directory: Path, *, within: float) -> dict[int, str]:
    """Wait until no process works in a directory; returns those that still do."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            while processes_of(directory):  # noqa: ASYNC110 - as above.
                await asyncio.sleep(POLL)
    return processes_of(directory)


async def sweep(directory: Path) -> None:
    """Kill what works in a directory, until nothing does; a process may fork while we look."""
    for _ in range(50):
        left = processes_of(directory)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(POLL)
