"""The child process that runs boxes: started, followed through its record, ended, and found again after a crash.

The bot never runs boxes in its own process. A run is `runner run --jsonl … --done …` in a session of its own; the JSONL
file is the record, and this module reads it while it grows. A child that outlived its bot is ended before anything is
started again, by its pid and start time, and by the run's id in the environment of whatever is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

import runner
from runner.events import Event, RunFinished, from_line
from runner.execute.files import remove_tree
from runner.verdict import EXIT_INTERRUPTED

log = structlog.get_logger()

POLL = 0.05
"""Seconds between two looks at the record."""

TERM_GRACE = 5.0
"""Seconds that a child has to end its boxes after SIGTERM."""

RUNNER_HOME = str(Path(runner.__file__).resolve().parent.parent)
# Isolated mode: neither the working directory nor PYTHON* variables decide which `runner` this is.
LAUNCH = "import sys; sys.path.insert(0, sys.argv.pop(1)); from runner.cli import main; sys.exit(main())"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFiles:
    """Where a run lives on disk."""

    directory: Path

    @property
    def tree(self) -> Path:
        """The files under test."""
        return self.directory / "tree"

    @property
    def base(self) -> Path:
        """The base commit's files, for configuration and metadata."""
        return self.directory / "base"

    @property
    def scratch(self) -> Path:
        """Temporary files of the child and its boxes; a child that was killed leaves them here, and nowhere else."""
        return self.directory / "tmp"

    @property
    def logs(self) -> Path:
        """One log for each attempt of each box."""
        return self.directory / "logs"

    @property
    def artifacts(self) -> Path:
        """What boxes left in `$BOX_ARTIFACTS`."""
        return self.directory / "artifacts"

    @property
    def child(self) -> Path:
        """Pid and start time of the child, while there is one."""
        return self.directory / "child.json"

    def records(self) -> list[Path]:
        """The event streams of the run's children, oldest first."""
        return sorted(self.directory.glob("events-*.jsonl"), key=lambda path: int(path.stem.removeprefix("events-")))

    def next_record(self) -> Path:
        """The file for the next child's events."""
        return self.directory / f"events-{len(self.records()) + 1}.jsonl"

    def events(self) -> list[Event]:
        """Everything recorded so far, in order; a line cut off by a crash is left out."""
        return [event for path in self.records() for event in _read(path)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """What the child is told.

    Attributes:
        run_id: unique; also what its processes are found by.
        selection: runner's selection text.
        done: event streams of earlier runs whose verdicts count and are not made again.
        trust: trust level, printed and recorded.
        history: the file of durations.
        cache: the directory of parsed suites.
    """

    run_id: str
    selection: str
    done: Sequence[Path]
    trust: str
    history: Path
    cache: Path


class ChildCrashed(Exception):
    """The child ended without finishing its record, for no reason of the boxes. Repeating the run is safe."""

    def __init__(self, code: int, tail: str) -> None:
        self.code = code
        self.tail = tail
        super().__init__(code, tail)


async def execute(
    files: RunFiles,
    plan: ChildPlan,
    *,
    on_events: Callable[[Sequence[Event]], Awaitable[None]],
    stop: asyncio.Event,
) -> RunFinished | None:
    """Run what has no verdict yet, and tell `on_events` as the record grows.

    Safe to repeat after a crash at any point: an orphan is ended first, and recorded verdicts are not made again.

    Returns:
        The record's last event, or None when `stop` was set before it was written.

    Raises:
        ChildCrashed: the runner itself failed; its record stands.
    """
    await end_orphan(files, plan.run_id)
    earlier = files.records()
    if earlier and (finished := _finished(earlier[-1])) is not None and finished.exit_code != EXIT_INTERRUPTED:
        return finished
    record = files.next_record()
    process = await _start(files, plan, record, done=[*plan.done, *earlier])
    ended = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(stop.wait())
    try:
        async for events in _follow(record, ended, stopping):
            await on_events(events)
        if not ended.done():
            await _end(process, ended)
    finally:
        stopping.cancel()
        if not ended.done():
            await _end(process, ended)
        await _sweep(plan.run_id)
        files.child.unlink(missing_ok=True)
    await on_events(())
    finished = _finished(record)
    if finished is None and not stop.is_set():
        raise ChildCrashed(ended.result(), _tail(files.directory / "child.log"))
    return None if stop.is_set() and (finished is None or finished.exit_code == EXIT_INTERRUPTED) else finished


def runner_argv(files: RunFiles, command: str, *, has_base: bool, launch: str = LAUNCH) -> list[str]:
    """The words that start a runner's command on a run's tree, with the metadata of the base where there is one."""
    argv = [sys.executable, "-I", "-c", launch, RUNNER_HOME, "-C", str(files.tree), command]
    return [*argv, "--base", str(files.base)] if has_base else argv


def runner_environ(cache: Path) -> dict[str, str]:
    """All that a runner inherits: what finds programs, and where parsed suites are kept. So no secret can leak."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "XDG_CACHE_HOME": str(cache)}


async def end_orphan(files: RunFiles, run_id: str) -> None:
    """End the child of an earlier life of the bot, and every process of the run."""
    # A box of this version can write what it likes here: whatever is no pid of ours is passed over.
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        known = json.loads(files.child.read_text(encoding="utf-8"))
        if known["pid"] > 1 and known["start"] and _start_time(known["pid"]) == known["start"]:
            log.warning("orphan_ended", pid=known["pid"], run=run_id)
            os.kill(known["pid"], signal.SIGTERM)
            for _ in range(int(TERM_GRACE / POLL)):
                if _start_time(known["pid"]) != known["start"]:
                    break
                await asyncio.sleep(POLL)
    await _sweep(run_id)
    files.child.unlink(missing_ok=True)


async def _start(files: RunFiles, plan: ChildPlan, record: Path, *, done: Sequence[Path]) -> asyncio.subprocess.Process:
    if files.scratch.is_dir():
        await asyncio.to_thread(remove_tree, str(files.scratch))
    files.scratch.mkdir()
    argv = [*runner_argv(files, "run", has_base=files.base.is_dir()), plan.selection]
    argv += ["--jsonl", str(record), "--logs", str(files.logs)]
    argv += ["--history", str(plan.history), "--run-id", plan.run_id, "--trust", plan.trust]
    argv += ["--sandbox", "off", "--clean-env", "--flaky", "fail", "--format", "plain"]
    for path in done:
        argv += ["--done", str(path)]
    with (files.directory / "child.log").open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=files.directory,
            env={**runner_environ(plan.cache), "BOX_RUN_ID": plan.run_id, "TMPDIR": str(files.scratch)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    files.child.write_text(json.dumps({"pid": process.pid, "start": _start_time(process.pid)}), encoding="utf-8")
    return process


async def _follow(
    record: Path, ended: asyncio.Task[int], stopping: asyncio.Task[bool]
) -> AsyncIterator[Sequence[Event]]:
    """New events as they are written, until the child ends or is to be stopped."""
    position = 0
    while True:
        over = ended.done()
        events, position = _read_from(record, position)
        if events:
            yield events
        if over or stopping.done():
            return
        await asyncio.wait({ended, stopping}, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)


async def _end(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    done, _ = await asyncio.wait({ended}, timeout=TERM_GRACE)
    if not done:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await ended


async def _sweep(run_id: str) -> None:
    """Kill what still carries the run's id, until nothing does; a process may fork while we look."""
    for _ in range(100):
        left = _processes_of(run_id)
        if not left:
            return
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.01)
    log.error("processes_left_alive", run=run_id, pids=_processes_of(run_id))


def _processes_of(run_id: str) -> list[int]:
    mark = f"BOX_RUN_ID={run_id}".encode()
    found = []
    with contextlib.suppress(FileNotFoundError), os.scandir("/proc") as entries:
        for entry in entries:
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                environ = Path(entry.path, "environ").read_bytes()
                if mark in environ.split(b"\0"):
                    found.append(int(entry.name))
    return found


def _start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when it is gone. With the pid it is unique."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def _read(path: Path) -> list[Event]:
    return _read_from(path, 0)[0]


def _read_from(path: Path, position: int) -> tuple[list[Event], int]:
    """The events of whole lines after `position`, and where the next line begins."""
    try:
        with path.open("rb") as stream:
            stream.seek(position)
            data = stream.read()
    except FileNotFoundError:
        return [], position
    whole = data[: data.rfind(b"\n") + 1]
    found = (from_line(line.decode("utf-8", "replace")) for line in whole.splitlines())
    return [event for event in found if event is not None], position + len(whole)


def _finished(record: Path) -> RunFinished | None:
    return next((event for event in reversed(_read(record)) if isinstance(event, RunFinished)), None)


def _tail(path: Path, size: int = 4096) -> str:
    try:
        data = path.read_bytes()
    except OSError:
        return ""
    return data[-size:].decode("utf-8", "replace")
