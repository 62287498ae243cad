"""What a pull request changes of its base's boxes, asked of a process of its own and kept with the run.

What it weakens stands on the run's check, what it would configure on a check of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import structlog

from bot.domain.checks import Annotation, Check
from bot.domain.preview import preview
from bot.domain.scrutiny import Weakening, weakenings
from bot.flows.asking import NoAnswer, answer_of, start_asking
from bot.flows.child import runner_argv
from bot.flows.run_files import RunFiles
from bot.ops.runner_child import runner_environ
from runner.whole_file import write_whole

log = structlog.get_logger()

KEPT = "weakened.json"
PREVIEW = "preview.json"


async def compare(files: RunFiles, cache: Path) -> None:
    """Look once for what the head weakens; safe to repeat. Nothing of either tree is executed.

    What cannot be read of either tree is part of the answer; what can still go wrong is a bug, and says so in the log.
    """
    kept = files.directory / KEPT
    if kept.exists() or not files.base.is_dir():
        return
    argv = [*runner_argv(files, "compare", has_base=True), "--json", "--suites"]
    try:
        document = await answer_of(await start_asking(argv, directory=files.directory, environ=runner_environ(cache)))
    except NoAnswer as why:
        log.warning("weakening_unknown", because=str(why))
        unknown = f"what this change weakens could not be found out: {why}"
        document = {"changes": [{"says": unknown, "unknown": True}]}
    check = await asyncio.to_thread(preview, document)
    write_whole(str(files.directory / PREVIEW), [json.dumps([asdict(check)] if check else [])])
    write_whole(str(kept), [json.dumps({"changes": document.get("changes")})])


@contextlib.asynccontextmanager
async def comparison(files: RunFiles, cache: Path) -> AsyncIterator[None]:
    """Look while boxes run, so that no verdict waits for it; it is over when the block is."""
    looking = asyncio.create_task(compare(files, cache))
    try:
        yield
    except BaseException:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        raise
    await looking


def previewed(files: RunFiles) -> tuple[Check, ...]:
    """The check that says what the change would configure; none when it changes nothing of that, or nobody looked."""
    try:
        kept = json.loads((files.directory / PREVIEW).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    return tuple(
        Check(**{**one, "annotations": tuple(Annotation(**note) for note in one["annotations"]), "buttons": ()})
        for one in kept
    )


def weakened(files: RunFiles) -> tuple[Weakening, ...] | None:
    """What was found; None when nobody looked yet, or there is no base to compare with."""
    try:
        document = json.loads((files.directory / KEPT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return weakenings(document) if isinstance(document, dict) else None
