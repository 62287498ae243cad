"""Runs a command of a release to its end: confined, in a session of its own, for so long at most, leaving nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.deploy.confine import Confinement

KILLED = -1
"""What stands for an exit code when a command's time was over."""

_MOST = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended.

    Attributes:
        code: its exit code; negative for a signal or when its time was over.
        out: what it wrote to standard output, its last MiB.
        printed: the end of what it wrote to standard error; with `together` of both.
    """

    code: int
    out: str
    printed: str

    def tail(self, lines: int = 20) -> str:
        """The last lines that people may want to read."""
        return "\n".join((self.printed or self.out).strip().splitlines()[-lines:])


async def run(
    confinement: Confinement,
    command: str | Sequence[str],
    *,
    directory: Path,
    environ: Mapping[str, str],
    reads: Iterable[Path] = (),
    writes: Iterable[Path] = (),
    network: bool = True,
    within: float,
    together: bool = False,
) -> Ran:
    """Run a command, a text by the shell.

    Args:
        confinement: what it may see, and who it is.
        command: what to run.
        directory: where.
        environ: its variables, besides PATH.
        reads: see `Confinement.argv`; so are `writes` and `network`.
        writes: the same.
        network: the same.
        within: seconds, after which it is killed with all that it has started.
        together: whether its two streams are one.

    Raises:
        Unbuildable: `environ` is too much.
    """
    words = ("/bin/sh", "-c", command) if isinstance(command, str) else tuple(command)
    process = await asyncio.create_subprocess_exec(
        *confinement.argv(words, directory=directory, reads=reads, writes=writes, network=network),
        cwd=directory,
        env={},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT if together else asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ended = False
    reading = [asyncio.create_task(_end_of(process.stdout))]
    reading += [asyncio.create_task(_end_of(process.stderr))] if process.stderr else []
    try:
        async with asyncio.timeout(within):
            with contextlib.suppress(ConnectionError):
                process.stdin.write(confinement.said(environ).encode())
                await process.stdin.drain()
                process.stdin.close()
            await process.wait()
            ended = True
    except TimeoutError:
        pass
    finally:
        # Also what it has left behind in its session, which may hold the pipes open.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        process.stdin.close()
        await asyncio.wait(reading, timeout=1.0)
        for task in reading:
            task.cancel()
    texts = [task.result() if task.done() and not task.cancelled() else "" for task in reading]
    printed = texts[0] if together else texts[1]
    if not ended:
        printed = f"{printed}\nkilled after {within:g} s".strip()
    assert process.returncode is not None
    return Ran(code=process.returncode if ended else KILLED, out=texts[0], printed=printed)


async def _end_of(stream: asyncio.StreamReader) -> str:
    found = b""
    while more := await stream.read(65536):
        found = (found + more)[-_MOST:]
    return found.decode(errors="replace")
