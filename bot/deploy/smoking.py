"""Smoke tests: boxes of the release that ask it at an address, before users are sent there and after.

They are run as boxes of a run are: by a child of the runner, isolated as the machine can, with a record that says what
came of each. What has its verdict in a record is not asked again after a crash. No selection that matches nothing, no
box that was skipped and no runner that broke is ever taken for a yes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bot.deploy.files import DeployFiles
from bot.domain.deploy.plan import Plan
from bot.domain.deploy.release import digest
from bot.ops.processes import end, end_orphan, start, sweep
from bot.ops.runner_child import LAUNCH, RUNNER_HOME, runner_environ
from runner.events import BoxFinished, Event, RunFinished, from_line
from runner.execute.files import remove_tree
from runner.model import Verdict
from runner.verdict import EXIT_GREEN, EXIT_INTERRUPTED, EXIT_NOTHING_SELECTED, EXIT_RED, EXIT_USAGE

Which = Literal["before", "after"]

TIMEOUT = 600.0
"""Seconds for all boxes of one look, their setups included; each box has its own timeout besides."""

SHOWN = 3
"""Red boxes that the sentence names."""

_ASKED = frozenset({Verdict.PASSED, Verdict.FLAKY})
_TAIL = 300


@dataclass(frozen=True, slots=True)
class Smoked:
    """What came of it.

    Attributes:
        ok: every box that had to be green is, and at least one has looked at the release.
        because: the sentence that people read.
        record: the runner's event stream (`runner.events/1`).
    """

    ok: bool
    because: str
    record: Path


async def smoke(
    files: DeployFiles,
    plan: Plan,
    address: str,
    which: Which,
    *,
    sandbox: str = "auto",
    image: str = "",
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - being late is an answer.
) -> Smoked:
    """Run the environment's smoke boxes of the release's tree against an address.

    Safe to repeat after a crash at any point: what an earlier life left running is ended, what it found out counts.
    When it is cancelled, nothing of it is left running.

    Args:
        files: of the deployment; `tree` holds the release.
        plan: says which boxes, and whether heads of pull requests come to this environment.
        address: `http://host:port` or `host:port`; boxes find it in `$TARGET_URL`, and reach nothing else unless they
            name it.
        which: `before` or `after` the switch; each has records of its own.
        sandbox: `auto`, `full` or `off`, as for runs.
        image: the container image for machines that isolate by containers; "" for none.
        timeout: seconds for everything together.
    """
    selection = str(plan.settings.get("smoke", ""))
    place = _Place(files.directory / "smoke" / which)
    place.directory.mkdir(parents=True, exist_ok=True)
    # By its directory: two installations on one machine may have deployments of the same id.
    run_id = f"smoke-{digest(str(place.directory.resolve()))[:16]}"
    await end_orphan(place.note, run_id)
    earlier = place.records()
    if earlier and (over := _over(earlier[-1])) is not None and over.exit_code in {EXIT_GREEN, EXIT_RED}:
        return _judged(place, selection, over.exit_code)
    words = [selection, "--target", address if "://" in address else f"http://{address}"]
    words += ["--trust", _trust(plan), "--sandbox", sandbox, "--run-id", run_id, "--flaky", "fail"]
    words += [f"--done={path}" for path in earlier]
    code = await _run(files, place, words, run_id=run_id, image=image, within=timeout)
    if code is None:
        return Smoked(False, f"the boxes of {selection} were not done after {timeout:g} s", place.records()[-1])
    return _judged(place, selection, code)


def _trust(plan: Plan) -> str:
    """Where heads of pull requests come, boxes reach what those may; elsewhere the default branch has spoken."""
    return "T1" if plan.settings.get("pull_requests") else "T0"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one look's files are."""

    directory: Path

    @property
    def note(self) -> Path:
        return self.directory / "child.json"

    @property
    def log(self) -> Path:
        return self.directory / "child.log"

    def records(self) -> list[Path]:
        """The event streams of its children, oldest first."""
        return sorted(self.directory.glob("events-*.jsonl"), key=lambda path: int(path.stem.removeprefix("events-")))

    def next_record(self) -> Path:
        return self.directory / f"events-{len(self.records()) + 1}.jsonl"


async def _run(
    files: DeployFiles, place: _Place, words: Sequence[str], *, run_id: str, image: str, within: float
) -> int | None:
    """Run the child to its end; its exit code, None when the time was over first."""
    record, scratch = place.next_record(), place.directory / "tmp"
    record.touch()
    if scratch.is_dir():
        await asyncio.to_thread(remove_tree, str(scratch))
    scratch.mkdir()
    shared = files.directory / "smoke"
    argv = [sys.executable, "-I", "-c", LAUNCH, RUNNER_HOME, "-C", str(files.tree), "run", *words]
    argv += ["--jsonl", str(record), "--format", "plain", "--logs", str(place.directory / "logs")]
    argv += ["--history", str(shared / "history"), "--setup-cache", str(shared / "setups")]
    environ = {**runner_environ(shared / "cache"), "BOX_RUN_ID": run_id, "TMPDIR": str(scratch)}
    if image:
        environ["INTERLOCK_SANDBOX_IMAGE"] = image
    process = await start(argv, directory=place.directory, environ=environ, output=place.log, note=place.note)
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({ended}, timeout=within)
        return ended.result() if ended.done() else None
    finally:
        if not ended.done():
            await end(process, ended)
        await sweep(run_id)
        place.note.unlink(missing_ok=True)


def _judged(place: _Place, selection: str, code: int) -> Smoked:
    record = place.records()[-1]
    if code == EXIT_NOTHING_SELECTED or (code == EXIT_USAGE and not _finished(place)):
        return Smoked(False, f"the release has no box in {selection}{_said(place)}", record)
    if code not in {EXIT_GREEN, EXIT_RED}:
        why = "was interrupted" if code == EXIT_INTERRUPTED else f"ended with exit code {code}"
        return Smoked(False, f"the runner {why}{_said(place)}", record)
    boxes = _finished(place)
    if code == EXIT_RED:
        return Smoked(False, _red(boxes) or f"a setup failed{_said(place)}", record)
    asked = sum(box.verdict in _ASKED for box in boxes)
    if not asked:
        return Smoked(False, f"every box of {selection} was skipped, so nothing has looked at the release", record)
    return Smoked(True, f"{asked} box{'es' if asked > 1 else ''} of {selection} passed", record)


def _finished(place: _Place) -> list[BoxFinished]:
    """The last verdict of each box."""
    found = {
        str(event.box): event for path in place.records() for event in _events(path) if isinstance(event, BoxFinished)
    }
    return list(found.values())


def _red(boxes: Sequence[BoxFinished]) -> str:
    red = [box for box in boxes if not box.green and box.gating]
    first = [box for box in red if box.verdict is not Verdict.BLOCKED] or red
    named = "; ".join(f"box {box.box} {box.title} {box.verdict.replace('_', ' ')}{_why(box)}" for box in first[:SHOWN])
    return f"{named} and {len(first) - SHOWN} more" if len(first) > SHOWN else named


def _why(box: BoxFinished) -> str:
    said = f"{box.failures[0].id}: {box.failures[0].message}" if box.failures else box.reason
    return f" ({said[:_TAIL]})" if said else ""


def _said(place: _Place) -> str:
    """The last line that the runner printed."""
    try:
        lines = place.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f": {lines[-1].removeprefix('runner: ')[:_TAIL]}" if lines else ""


def _over(record: Path) -> RunFinished | None:
    """The last event of a record that was written to its end."""
    return next((event for event in _events(record) if isinstance(event, RunFinished)), None)


def _events(record: Path) -> Iterator[Event]:
    text = record.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1]
    return (event for line in whole.splitlines() if (event := from_line(line)) is not None)
