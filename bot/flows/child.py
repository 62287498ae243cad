"""The child process that runs boxes: started, followed through its record, and started again after a crash.

The bot never runs boxes in its own process. A run is `runner run --jsonl … --done …` in a session of its own; the JSONL
file is the record, and this module reads it while it grows. A child that outlived its bot is ended before anything is
started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bot.flows.run_files import RunFiles, finished, read_from, tail
from bot.ops.processes import POLL, end, start, sweep
from bot.ops.runner_child import LAUNCH, RUNNER_HOME, runner_environ
from runner.events import Event, RunFinished
from runner.execute.files import remove_tree
from runner.verdict import EXIT_INTERRUPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a run's code is executed: its boxes' healthy runs, and their proofs.

    Attributes:
        trust: trust level, printed and recorded.
        sandbox: what is asked for: `auto`, `full` or `off`.
        image: the container image for machines that isolate by containers; "" for none.
        cache: the directory of parsed suites.
        setups: the directory of what setups have made; nobody of another repository or trust level uses it.
        secrets: by name; empty unless the trust level allows them.
    """

    trust: str
    sandbox: str
    image: str
    cache: Path
    setups: Path
    secrets: Mapping[str, str]

    def environ(self) -> dict[str, str]:
        """All that the runner inherits."""
        image = {"INTERLOCK_SANDBOX_IMAGE": self.image} if self.image else {}
        return {**runner_environ(self.cache), **image}

    def argv(self, fds: Sequence[int]) -> list[str]:
        """The options that say so; `fds` is what `handed` gave."""
        argv = ["--trust", self.trust, "--sandbox", self.sandbox, "--clean-env", "--setup-cache", str(self.setups)]
        return [*argv, *(f"--secrets=/dev/fd/{fd}" for fd in fds)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """What the child is told.

    Attributes:
        run_id: unique; also what its processes are found by.
        selection: runner's selection text.
        done: event streams of earlier runs whose verdicts count and are not made again.
        history: the file of durations.
        excused: ids of boxes that do not gate, because somebody answers for them.
        terms: on what terms.
    """

    run_id: str
    selection: str
    done: Sequence[Path]
    history: Path
    terms: Terms
    excused: Sequence[str] = ()


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

    Safe to repeat after a crash at any point, once the orphan is ended: recorded verdicts are not made again.

    Returns:
        The record's last event, or None when `stop` was set before it was written.

    Raises:
        ChildCrashed: the runner itself failed; its record stands.
    """
    earlier = files.records()
    if earlier and (over := finished(earlier[-1])) is not None and over.exit_code != EXIT_INTERRUPTED:
        return over
    record = files.next_record()
    process = await _start(files, plan, record, done=[*plan.done, *earlier])
    ended = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(stop.wait())
    try:
        async for events in _follow(record, ended, stopping):
            await on_events(events)
        if not ended.done():
            await end(process, ended)
    finally:
        stopping.cancel()
        if not ended.done():
            await end(process, ended)
        await sweep(plan.run_id)
        files.child.unlink(missing_ok=True)
    await on_events(())
    over = finished(record)
    if over is None and not stop.is_set():
        raise ChildCrashed(ended.result(), tail(files.directory / "child.log"))
    return None if stop.is_set() and (over is None or over.exit_code == EXIT_INTERRUPTED) else over


def runner_argv(files: RunFiles, command: str, *, has_base: bool, launch: str = LAUNCH) -> list[str]:
    """The words that start a runner's command on a run's tree, with the metadata of the base where there is one.

    To be started in the run's directory.
    """
    argv = [sys.executable, "-I", "-c", launch, RUNNER_HOME, "-C", str(files.tree), command]
    argv += ["--base", str(files.base)] if has_base else []
    return [*argv, "--default-config", str(files.default)] if files.has_default else argv


@contextlib.contextmanager
def handed(secrets: Mapping[str, str]) -> Iterator[tuple[int, ...]]:
    """The descriptor from which a child reads the secrets once: they are never in a file, a command or an environment.

    A pipe, since what was read from one is gone: a box that inherited it by some mistake would find it empty.
    """
    if not secrets:
        yield ()
        return
    reading, writing = os.pipe()
    try:
        try:
            os.write(writing, json.dumps(dict(secrets)).encode())
        finally:
            os.close(writing)
        yield (reading,)
    finally:
        os.close(reading)


async def empty_scratch(files: RunFiles) -> None:
    """Make the directory for temporary files anew; a child that was killed leaves things in it."""
    if files.scratch.is_dir():
        await asyncio.to_thread(remove_tree, str(files.scratch))
    files.scratch.mkdir()


async def _start(files: RunFiles, plan: ChildPlan, record: Path, *, done: Sequence[Path]) -> asyncio.subprocess.Process:
    await empty_scratch(files)
    argv = [*runner_argv(files, "run", has_base=files.base.is_dir()), plan.selection]
    argv += ["--jsonl", str(record), "--logs", str(files.logs), "--history", str(plan.history)]
    argv += ["--run-id", plan.run_id, "--flaky", "fail", "--format", "plain"]
    argv += ["--no-gate", ",".join(plan.excused)] if plan.excused else []
    for path in done:
        argv += ["--done", str(path)]
    with handed(plan.terms.secrets) as fds:
        return await start(
            [*argv, *plan.terms.argv(fds)],
            directory=files.directory,
            environ={**plan.terms.environ(), "BOX_RUN_ID": plan.run_id, "TMPDIR": str(files.scratch)},
            output=files.directory / "child.log",
            note=files.child,
            fds=fds,
        )


async def _follow(
    record: Path, ended: asyncio.Task[int], stopping: asyncio.Task[bool]
) -> AsyncIterator[Sequence[Event]]:
    """New events as they are written, until the child ends or is to be stopped."""
    position = 0
    while True:
        over = ended.done()
        events, position = read_from(record, position)
        if events:
            yield events
        if over or stopping.done():
            return
        await asyncio.wait({ended, stopping}, timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
