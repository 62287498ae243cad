"""One throwaway server as a process: started, waited for, hurt when a control says so, ended for certain."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from runner.services.confine import CLEAN, write_passwd
from runner.services.ground import CannotProvide

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from runner.services.confine import Cell

PATIENCE = 30.0  # seconds until a server must answer
_POLITE = 3.0  # seconds from its stop signal to SIGKILL
_BETWEEN_PINGS = 0.005
_LOOKS = 200  # for the effect of a signal, at the pace of pings
_STILL = frozenset("TtZX")  # states of a process that does nothing.
_TAIL = 300  # characters of its log in a message
# Longer paths do not fit into a socket's address.
_LONGEST_ADDRESS = 100


class Server:
    """A server that is, or will be, a process.

    Args:
        name: the service's, for messages.
        argv: its own command line, with an absolute program.
        directory: its own, which exists; sockets in its command line are relative to it.
        cell: how it is confined.
        ping: raises OSError as long as it does not answer.
        stop: the signal by which it leaves nothing behind, also when nothing confines it.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        directory: str,
        cell: Cell,
        ping: Callable[[], Awaitable[None]],
        stop: signal.Signals = signal.SIGKILL,
    ) -> None:
        self._name = name
        self._argv = tuple(argv)
        self._directory = directory
        self._cell = cell
        self._ping = ping
        self._stop = stop
        self._process: asyncio.subprocess.Process | None = None
        self._paused: list[int] = []

    @property
    def pid(self) -> int:
        """The process that was started, -1 when none lives; inside bubblewrap the server is a descendant of it."""
        alive = self._process is not None and self._process.returncode is None
        return self._process.pid if alive and self._process is not None else -1

    async def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            CannotProvide: it ended or did not answer in time; it does not run then.
        """
        write_passwd(self._cell, self._directory)
        filter_fd = self._cell.open_filter()
        die_by = self._stop.name.removeprefix("SIG")
        command = self._cell.command(self._argv, self._directory, die_by=die_by, filter_fd=filter_fd)
        log = os.open(f"{self._directory}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=CLEAN,
                cwd=None if self._cell.bwrap else self._directory,
                start_new_session=True,
                pass_fds=[filter_fd] if filter_fd >= 0 else (),
            )
        finally:
            os.close(log)
            if filter_fd >= 0:
                os.close(filter_fd)
        try:
            await asyncio.wait_for(self._answers(), PATIENCE)
        except TimeoutError:
            await self.end()
            message = f"{self._name} did not answer in {PATIENCE:g} s{self._said()}"
            raise CannotProvide(message) from None
        except asyncio.CancelledError:
            await self.end()
            raise

    async def _answers(self) -> None:
        while True:
            try:
                return await self._ping()
            except OSError:
                if self.pid < 0:
                    message = f"{self._name} does not start{self._said()}"
                    raise CannotProvide(message) from None
            await asyncio.sleep(_BETWEEN_PINGS)

    async def kill(self) -> None:
        """SIGKILL, whatever it is doing; returns when it is gone."""
        if self._process is None:
            return
        self._paused.clear()
        _send([*family(self._process.pid), self._process.pid], signal.SIGKILL)
        await self._process.wait()

    async def pause(self) -> None:
        """SIGSTOP for all of its processes; returns when none of them runs any more."""
        if self.pid < 0 or self._paused:
            return
        self._paused = [*family(self.pid), self.pid]
        _send(self._paused, signal.SIGSTOP)
        for _ in range(_LOOKS):
            if all(_state(pid) in _STILL for pid in self._paused):
                return
            await asyncio.sleep(_BETWEEN_PINGS)

    def resume(self) -> None:
        """The end of a pause."""
        _send(self._paused, signal.SIGCONT)
        self._paused.clear()

    async def revive(self) -> None:
        """Whatever was done to it, it runs again afterwards, with what it had written down.

        Raises:
            CannotProvide: it does not start again.
        """
        if self.pid < 0:
            await self.start()
        else:
            self.resume()

    async def end(self) -> None:
        """End it with all of its processes."""
        if self.pid >= 0 and not self._cell.bwrap and self._stop is not signal.SIGKILL and self._process is not None:
            self.resume()
            _send([self._process.pid], self._stop)
            try:
                await asyncio.wait_for(self._process.wait(), _POLITE)
            except TimeoutError:
                pass
        await self.kill()

    def _said(self) -> str:
        """The end of its log, for a message."""
        try:
            with open(f"{self._directory}.log", encoding="utf-8", errors="replace") as log:
                text = " ".join(log.read().split())
        except OSError:
            return ""
        return f": {text[-_TAIL:]}" if text else ""


def address(path: str) -> str:
    """A spelling of a socket's path that is short enough for one, good as long as this process holds it open."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        return path
    directory = os.path.dirname(path)
    if directory not in _open_directories:
        _open_directories[directory] = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{_open_directories[directory]}/{os.path.basename(path)}"


_open_directories: dict[str, int] = {}


def family(pid: int) -> list[int]:
    """All living descendants of a process, as far as /proc tells."""
    found: list[int] = []
    pending = [pid]
    while pending:
        for child in _children(pending.pop()):
            found.append(child)
            pending.append(child)
    return found


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    found: list[int] = []
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += map(int, file.read().split())
        except OSError:
            continue
    return found


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
