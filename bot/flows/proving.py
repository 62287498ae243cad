"""Whether a green run's boxes can turn red: `runner falsify` in a child of its own, after the verdict.

It stands back behind runs, takes no seat from them, ends after a time, and is given up when a newer head comes. What it
finds out is kept with the run; a killed bot asks again, and what was proved before is reused.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from bot.domain.run_states import OPEN
from bot.domain.scrutiny import Proofs, proofs, without_control
from bot.flows import holds, record
from bot.flows.asking import LIMIT
from bot.flows.child import empty_scratch, handed, runner_argv
from bot.flows.context import Context
from bot.flows.execute import Executed, Stopped
from bot.flows.run_files import RunFiles
from bot.flows.terms import terms_of
from bot.ops.processes import end, end_orphan, start, sweep
from bot.store.runs import Run
from runner.select import select

log = structlog.get_logger()

NICENESS = 10
ANSWERS = "answers.json"


async def prove(ctx: Context, run_id: str) -> Executed | Stopped:
    """Find out which boxes of a green run can turn red. Safe to repeat; what is kept is not made again."""
    run = await ctx.run(run_id)
    files = ctx.files(run)
    await end_orphan(files.prover, _process_id(ctx, run))
    known = record.scrutiny(files)
    if known.falsify == "off" or known.proofs is not None or not files.tree.is_dir():
        return Executed()
    stop = ctx.stops.setdefault(run_id, asyncio.Event())
    try:
        if run.stop_because or (run.state not in OPEN and await _is_stale(ctx, run)):
            return Stopped()
        async with ctx.proving:
            found = None if stop.is_set() else await _prove(ctx, run, files, stop)
    finally:
        ctx.stops.pop(run_id, None)
    if found is None:
        return Stopped()
    log.info("boxes_proved", number=run.number, boxes=len(found.boxes), proven=found.proven, cut_off=found.cut_off)
    record.save_proofs(files, found)
    return Executed()


async def _is_stale(ctx: Context, run: Run) -> bool:
    """Whether the pull request has moved on; nobody reads then what would be found out."""
    newest = await ctx.runs.newest_of(run.repo_id, run.pr) if run.pr is not None else None
    return newest is not None and newest.head_sha != run.head_sha


async def _prove(ctx: Context, run: Run, files: RunFiles, stop: asyncio.Event) -> Proofs | None:
    """The answers, or None when it was stopped."""
    asked = await _asked(ctx, run)
    if not asked.keys() & record.with_sabotage(files):
        return without_control(asked)  # known without asking.
    answers = files.directory / ANSWERS
    answers.unlink(missing_ok=True)
    code = await _falsify(ctx, run, ",".join(asked), answers, stop)
    if stop.is_set():
        return None
    document = _read(answers)
    cut_off = "" if document else f"falsification ended without an answer (exit code {code})"
    if code is None:
        cut_off = f"falsification took longer than {ctx.falsify_seconds:g} s; the next run goes on with it"
    if cut_off:
        log.warning("proofs_cut_off", number=run.number, because=cut_off)
    return proofs(document, asked, cut_off=cut_off)


async def _asked(ctx: Context, run: Run) -> dict[str, str]:
    """The titles of the boxes to prove, by id: the green ones, of which somebody may want only some.

    Where proofs are required, some would make a run look proved that is not; there it is always all.
    """
    state = await holds.state_of(ctx, run)
    green = {box.box: box.title for box in state.boxes if box.green}
    wanted = set(green)
    if run.prove and record.scrutiny(ctx.files(run)).falsify != "require":
        red = [box.box for box in state.boxes if box.red]
        wanted = {box.id for box in select(run.prove, record.boxes(ctx.files(run)), failed=red)}
    return {str(box): title for box, title in green.items() if box in wanted}


async def _falsify(ctx: Context, run: Run, selection: str, answers: Path, stop: asyncio.Event) -> int | None:
    """Have a child write down the answers; its exit code, or None when it was ended for taking too long."""
    files = ctx.files(run)
    run_id = _process_id(ctx, run)
    await empty_scratch(files)
    terms = terms_of(ctx, run)
    argv = [*runner_argv(files, "falsify", has_base=files.base.is_dir()), selection]
    argv += ["--json", str(answers), "--cache", str(ctx.answers(run.repo_id, run.trust)), "--run-id", run_id]
    with handed(terms.secrets) as fds:
        process = await start(
            [*argv, *terms.argv(fds)],
            directory=files.directory,
            environ={**terms.environ(), "BOX_RUN_ID": run_id, "TMPDIR": str(files.scratch)},
            output=files.directory / "prover.log",
            note=files.prover,
            fds=fds,
            niceness=NICENESS,
        )
    ended = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({ended, stopping}, timeout=ctx.falsify_seconds, return_when=asyncio.FIRST_COMPLETED)
        in_time = ended.done()
    finally:
        stopping.cancel()
        if not ended.done():
            await end(process, ended)
        await sweep(run_id)
        files.prover.unlink(missing_ok=True)
    return ended.result() if in_time else None


def _process_id(ctx: Context, run: Run) -> str:
    return f"{record.process_id(ctx, run)}-proofs"


def _read(path: Path) -> Mapping[str, Any]:
    """The document of answers; empty when there is none to go by."""
    try:
        if path.stat().st_size > LIMIT:
            return {}
        document = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
