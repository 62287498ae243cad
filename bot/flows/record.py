"""What a run's files say, in the words of the domain."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from bot.domain.checks import note
from bot.domain.progress import Progress
from bot.domain.subject import Subject
from bot.flows.child import RunFiles
from bot.flows.context import Context
from bot.store.runs import Run
from runner.events import SCHEMA, BoxFinished, PlannedBox, read, to_line
from runner.model import BoxId

PLAN = "plan.json"
VERDICTS = "verdicts.jsonl"
KEPT = "kept.jsonl"
HISTORY = "history.json"


def process_id(ctx: Context, run: Run) -> str:
    """The id that every process of the run carries in its environment.

    Processes are ended by it, so it must not be that of another bot on this machine, whose runs have numbers too.
    """
    return f"interlock-{ctx.instance}-{run.number}"


def subject(run: Run) -> Subject:
    """What the run is about."""
    return Subject(
        repo_id=run.repo_id,
        repo=run.repo,
        installation_id=run.installation_id,
        pr=run.pr,
        base_ref=run.base_ref,
        base_sha=run.base_sha,
        head_sha=run.head_sha,
        config_hash=run.config_hash,
    )


def note_of(run: Run) -> str:
    """The line that says what is tested."""
    return note(subject(run), merged=run.pr is not None)


def save_plan(files: RunFiles, boxes: Iterable[dict[str, Any]]) -> None:
    """Keep the list of all boxes that the subject has."""
    (files.directory / PLAN).write_text(json.dumps(list(boxes)), encoding="utf-8")


def expected(files: RunFiles) -> tuple[PlannedBox, ...]:
    """All boxes that the subject has."""
    path = files.directory / PLAN
    if not path.is_file():
        return ()
    return tuple(
        PlannedBox(
            box=BoxId(raw["suite"], raw["box"]), tier=raw["tier"], title=raw["title"], source=raw["source"], done=False
        )
        for raw in json.loads(path.read_text(encoding="utf-8"))
    )


def kept(ctx: Context, run: Run) -> tuple[BoxFinished, ...]:
    """Verdicts of the run that this one continues, which count for boxes that it does not execute."""
    path = ctx.files(run).directory / KEPT
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8") as lines:
        return tuple(event for event in read(lines) if isinstance(event, BoxFinished))


def progress(files: RunFiles, *, kept: Iterable[BoxFinished]) -> Progress:
    """The state of the run after everything recorded so far."""
    return Progress.of(files.events(), kept=kept, expected=expected(files))


def save_verdicts(files: RunFiles, state: Progress) -> None:
    """Keep every verdict that is in force, for a later run of the same subject."""
    lines = [json.dumps({"schema": SCHEMA})]
    lines += [to_line(box.result) for box in state.boxes if box.result is not None]
    (files.directory / VERDICTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
