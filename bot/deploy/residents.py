"""Processes that outlive whoever started them: slots and routers.

Each has a directory with a file of what was meant (`intent.json`), a file of what came of it (`process.json`, see
`bot.deploy.launcher`), and what it printed (`output.log`). The truth is asked of the machine: a process is known by its
number and the moment when it began. Every process of one also carries its mark in its environment, or is in its session
or below it, so that none is left when it is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.deploy import launcher
from bot.deploy.durable import get_json, put
from bot.deploy.launcher import birth
from bot.deploy.locking import held
from bot.deploy.polling import until
from bot.deploy.printed import Printed
from bot.deploy.target import TargetUnreachable

NONCE = "INTERLOCK_NONCE"
MARK = "INTERLOCK_RESIDENT"
_KILLING = 5.0
_STARTING = 10.0
"""Seconds that somebody else may take to start a process."""


@dataclass(frozen=True, slots=True)
class Life:
    """What there is of a resident: the nonce of its last start, "" for none; its process, and whether any lives."""

    nonce: str = ""
    pid: int = 0
    alive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be started.

    Attributes:
        argv: the first word is an absolute path.
        said: what it reads on standard input.
        directory: where it begins.
        files: how many files it may have open at most; 0 for as many as we may.
    """

    argv: Sequence[str]
    directory: Path
    said: str = ""
    files: int = 0


class Resident:
    """One process that stays.

    Args:
        directory: its own; made when something is started.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._note = directory / "process.json"
        self.printed = Printed(directory / "output.log")

    def environ(self, nonce: str) -> dict[str, str]:
        """What its processes must have in their environment to be found, wherever they went."""
        return {NONCE: nonce, MARK: self._mark(nonce)}

    def look(self) -> Life:
        """What there is now."""
        noted = get_json(self._note)
        nonce, pid, began = noted.get("nonce"), noted.get("pid"), noted.get("birth")
        if not isinstance(nonce, str) or not isinstance(pid, int) or pid <= 1:
            return Life()
        life = Life(nonce, pid, alive=bool(began) and birth(pid) == began)
        # Its first process may be gone and others of it go on serving.
        return life if life.alive else Life(nonce, pid, alive=bool(self._family(life)))

    @property
    def family(self) -> frozenset[int]:
        """Every living process of it."""
        return frozenset(self._family(self.look()))

    @property
    def intent(self) -> dict[str, object]:
        """What was said of the last start; empty when there was none."""
        return get_json(self._directory / "intent.json")

    async def start(self, wanted: Wanted, *, nonce: str, intent: dict[str, object]) -> bool:
        """Start it. If one of this nonce lives, nothing is done.

        Two who start at the same moment start it once: the second waits until the first, or the process that the first
        has left behind, has said what came of it.

        Returns:
            Whether a process was started.

        Raises:
            TargetUnreachable: another start is stuck, or nothing could be started; nothing runs of this one.
        """
        async with held(self._directory / "start.lock", _STARTING) as lock:
            life = self.look()
            if life.alive and life.nonce == nonce:
                return False
            # First what is meant: who finds it, and no process, knows that one may be about to begin.
            self._mean({**intent, "nonce": nonce})
            if life.nonce != nonce:
                self.printed.renew()
            self._note.unlink(missing_ok=True)
            await self._launch(wanted, nonce, lock)
            return True

    async def stop(self, grace: float) -> None:
        """End every process of it: politely, and after `grace` seconds for certain. Nothing is left, or it raises.

        Raises:
            TargetUnreachable: some could not be ended.
        """
        life = self.look()
        family = self._family(life)
        _send(self._polite(life, family), signal.SIGTERM)

        async def none_left() -> bool:
            return not self._family(life)

        async def none_left_of_the_killed() -> bool:
            left = self._family(life)
            _send(left, signal.SIGKILL)
            return not left

        if not await until(none_left, grace) and not await until(none_left_of_the_killed, _KILLING):
            message = f"processes {', '.join(map(str, sorted(self._family(life))))} could not be ended"
            raise TargetUnreachable(message)

    def forget(self) -> None:
        """Take what was stopped as never started; what it printed stays."""
        self._note.unlink(missing_ok=True)
        (self._directory / "intent.json").unlink(missing_ok=True)

    def _mark(self, nonce: str) -> str:
        # Another bot on this machine may use the same nonces, but not the same directory.
        return hashlib.sha256(f"{self._directory}:{nonce}".encode()).hexdigest()[:32]

    def _mean(self, intent: dict[str, object]) -> None:
        put(self._directory / "intent.json", json.dumps(intent))

    async def _launch(self, wanted: Wanted, nonce: str, lock: int) -> None:
        spec = {
            "argv": list(wanted.argv),
            "said": wanted.said,
            "directory": str(wanted.directory),
            "files": wanted.files,
            "note": str(self._note),
            "nonce": nonce,
            "lock": lock,
        }
        with self.printed.open() as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", launcher.__file__),
                env={},
                stdin=asyncio.subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(lock,),
            )
        await process.communicate(json.dumps(spec).encode())
        if process.returncode:
            message = f"nothing could be started: {self.printed.tail(1) or process.returncode}"
            raise TargetUnreachable(message)

        # The process says who it is while it holds the lock; we wait for that, not for the program itself.
        async def said() -> bool:
            return self.look().nonce == nonce

        if not await until(said, _STARTING):
            message = f"nothing could be started: {self.printed.tail(1) or 'it did not say who it is'}"
            raise TargetUnreachable(message)

    def _family(self, life: Life) -> set[int]:
        """Every living process that belongs to it."""
        if not life.pid:
            return set()
        people = list(_everybody())
        mark = self._mark(life.nonce)
        alive = {one.pid for one in people}
        ours = self._began_with(life)
        found = {one.pid for one in people if ours and life.pid in {one.pid, one.session}}
        found |= {pid for pid in alive if _carries(pid, mark)}
        parents: dict[int, list[int]] = {}
        for one in people:
            parents.setdefault(one.parent, []).append(one.pid)
        waiting = list(found)
        while waiting:
            for child in parents.get(waiting.pop(), ()):
                if child not in found:
                    found.add(child)
                    waiting.append(child)
        return found

    def _began_with(self, life: Life) -> bool:
        """Whether the number of its first process is still its own; a session keeps it for as long as one is in it."""
        now = birth(life.pid)
        return not now or now == get_json(self._note).get("birth")

    def _polite(self, life: Life, family: set[int]) -> set[int]:
        """Whom to ask to end: not bubblewrap's own two processes, which would die and leave the rest alone."""
        return {pid for pid in family if _name(pid) != "bwrap"} or ({life.pid} & family)


@dataclass(frozen=True, slots=True)
class _One:
    pid: int
    parent: int
    session: int


def _everybody() -> Iterator[_One]:
    if not Path("/proc/self/stat").exists():
        yield from _everybody_by_ps()
        return
    with os.scandir("/proc") as entries:
        numbers = [entry.name for entry in entries if entry.name.isdigit()]
    for number in numbers:
        try:
            stat = Path(f"/proc/{number}/stat").read_bytes()
        except OSError:
            continue
        fields = stat.rpartition(b")")[2].split()
        if fields and fields[0] not in {b"Z", b"X"}:
            yield _One(int(number), int(fields[1]), int(fields[3]))


def _everybody_by_ps() -> Iterator[_One]:
    import subprocess  # noqa: PLC0415 - only on machines without /proc.

    asked = subprocess.run(["ps", "-axo", "pid=,ppid=,sess=,stat="], capture_output=True, text=True, check=False)  # noqa: S607
    for line in asked.stdout.splitlines():
        pid, parent, session, state = line.split()[:4]
        if not state.startswith("Z"):
            yield _One(int(pid), int(parent), int(session) if session.isdigit() else 0)


def _carries(pid: int, mark: str) -> bool:
    try:
        return f"{MARK}={mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _send(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
