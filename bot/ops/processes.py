"""Processes that the bot started for a run: begun in a session of their own, ended, and found again after a crash.

A sandboxed box shows neither its environment nor its session to others, and may belong to another user. It dies with
the runner that started it; what does not is found by its place below the runner, looked up before that one ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger()

POLL = 0.05
"""Seconds between two looks at a process that is to end."""

TERM_GRACE = 5.0
"""Seconds that a child has to end its boxes after SIGTERM."""


@dataclass(frozen=True, slots=True)
class Known:
    """A process, told by its start time from a later one with the same number."""

    pid: int
    start: int

    def is_alive(self) -> bool:
        """Whether it still runs; one that has ended and was not reaped does not."""
        return start_time(self.pid) == self.start


async def start(
    argv: Sequence[str],
    *,
    directory: Path,
    environ: Mapping[str, str],
    output: Path,
    note: Path,
    fds: Sequence[int] = (),
    niceness: int = 0,
) -> asyncio.subprocess.Process:
    """Start a child and write down which one it is, so that a later life of the bot can end it.

    Args:
        argv: its command line.
        directory: where it begins.
        environ: all that it inherits.
        output: where what it prints is appended.
        note: the file that says which process it is.
        fds: further descriptors that it inherits.
        niceness: how far it stands back behind everything else on the machine, and all that it starts.
    """
    with output.open("ab") as stream:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=directory,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            pass_fds=fds,
        )
    if niceness:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
    _note(note, process.pid)
    return process


async def end(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    """End a child of this life: politely, and after the grace for certain."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    done, _ = await asyncio.wait({ended}, timeout=TERM_GRACE)
    if not done:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await ended


async def end_orphan(note: Path, run_id: str) -> None:
    """End the child of an earlier life of the bot, and every process of the run."""
    family: list[Known] = []
    child = _noted(note)
    if child is not None and child.is_alive():
        log.warning("orphan_ended", pid=child.pid, run=run_id)
        family = [child, *_below(child.pid)]
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGTERM)
        for _ in range(int(TERM_GRACE / POLL)):
            if not child.is_alive():
                break
            await asyncio.sleep(POLL)
    await sweep(run_id, family)
    forget(note)


async def sweep(run_id: str, family: Iterable[Known] = ()) -> None:
    """Kill what still carries the run's id or is of its family, until nothing is; a process may fork while we look."""
    known = set(family)
    for _ in range(100):
        left = {*_marked(run_id), *(one.pid for one in known if one.is_alive())}
        if not left:
            return
        for pid in left:
            known.update(_below(pid))
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)
    log.error("processes_left_alive", run=run_id, pids=sorted(_marked(run_id)))


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone. With the pid it is unique."""
    fields = _stat(pid)
    return int(fields[19]) if fields else None


def forget(note: Path) -> None:
    """The child of a note has ended."""
    note.unlink(missing_ok=True)


def _note(note: Path, pid: int) -> None:
    note.write_text(json.dumps({"pid": pid, "start": start_time(pid)}), encoding="utf-8")


def _noted(note: Path) -> Known | None:
    # A box that is not isolated can write what it likes here: whatever is no pid of ours is passed over.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        raw = json.loads(note.read_text(encoding="utf-8"))
        pid, began = raw["pid"], raw["start"]
        if type(pid) is int and type(began) is int and 1 < pid < 1 << 31 and began:
            return Known(pid, began)
    return None


def _below(pid: int) -> list[Known]:
    """Every process that descends from one, while the line of parents still says so."""
    parents: dict[int, list[int]] = {}
    for other in _all():
        if fields := _stat(other):
            parents.setdefault(int(fields[1]), []).append(other)
    found: list[Known] = []
    reached = {pid}
    waiting = [pid]
    while waiting:
        for child in parents.get(waiting.pop(), ()):
            began = start_time(child)
            if child not in reached and began is not None:
                reached.add(child)
                found.append(Known(child, began))
                waiting.append(child)
    return found


def _marked(run_id: str) -> Iterator[int]:
    mark = f"BOX_RUN_ID={run_id}".encode()
    for pid in _all():
        with contextlib.suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                yield pid


def _all() -> list[int]:
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError), os.scandir("/proc") as entries:
        found += [int(entry.name) for entry in entries if entry.name.isdigit()]
    return found


def _stat(pid: int) -> list[str]:
    """The fields of a living process after its name; none when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    fields = stat.rpartition(")")[2].split()
    return [] if not fields or fields[0] in {"Z", "X"} else fields
