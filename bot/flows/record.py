"""What a run's files say, in the words of the domain."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bot.domain.checks import ANNOTATIONS, note
from bot.domain.configuration import InForce
from bot.domain.progress import Excused, Progress
from bot.domain.run_states import OPEN
from bot.domain.scrutiny import Proof, Proofs, Scrutiny, Weakening, named
from bot.domain.subject import Subject
from bot.flows.comparing import weakened
from bot.flows.context import Context
from bot.flows.run_files import RunFiles
from bot.store.runs import Run
from runner.events import SCHEMA, BoxFinished, PlannedBox, RunFinished, read, to_line
from runner.model import Box, BoxId
from runner.whole_file import write_whole

PLAN = "plan.json"
REPORT = "report.json"
IN_FORCE = "in_force.json"
PROOFS = "proofs.json"
VERDICTS = "verdicts.jsonl"
KEPT = "kept.jsonl"
HISTORY = "history.json"
ACCEPTED = "accepted.json"
SHOWN = "shown.json"
NOTES = "notes.json"


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
    return note(subject(run))


def save_plan(files: RunFiles, boxes: Iterable[dict[str, Any]]) -> None:
    """Keep the list of all boxes that the subject has."""
    (files.directory / PLAN).write_text(json.dumps(list(boxes)), encoding="utf-8")


def plan(files: RunFiles) -> list[dict[str, Any]]:
    """All boxes that the subject has, as `runner list` describes them."""
    path = files.directory / PLAN
    listed: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return listed


def save_in_force(files: RunFiles, known: InForce) -> None:
    """Keep which configuration the run is judged by."""
    write_whole(str(files.directory / IN_FORCE), [json.dumps(asdict(known))])


def in_force(files: RunFiles) -> InForce | None:
    """Which configuration the run is judged by; None before anybody looked."""
    kept = _object(files.directory / IN_FORCE)
    return InForce(**kept) if kept else None


def save_report(files: RunFiles, report: Mapping[str, object]) -> None:
    """Keep what the configuration in force asks of the report; a repository without one gets what is usual."""
    (files.directory / REPORT).write_text(json.dumps({"falsify": "tell", **report}), encoding="utf-8")


def annotations_wanted(files: RunFiles) -> int:
    """How many notes the configuration in force wants on a check."""
    return int(_object(files.directory / REPORT).get("annotations", ANNOTATIONS))


def comment_wanted(files: RunFiles) -> bool:
    """Whether the configuration in force wants a comment on the pull request; where none was read, it does."""
    return _object(files.directory / REPORT).get("comment", True) is not False


def save_notes(files: RunFiles, notes: Sequence[str]) -> None:
    """Keep what people should know of the tree before they read a verdict on it."""
    write_whole(str(files.directory / NOTES), [json.dumps({"notes": list(notes)})])


def with_sabotage(files: RunFiles) -> frozenset[str]:
    """Ids of the boxes that falsification can say something about: those with a control, or that get one by itself."""
    can = [raw for raw in listed(files) if raw["control"] or raw["needs"] or raw["kind"] == "http"]
    return frozenset(str(BoxId(raw["suite"], raw["box"])) for raw in can)


def save_proofs(files: RunFiles, found: Proofs) -> None:
    """Keep which boxes have shown that they can turn red."""
    write_whole(str(files.directory / PROOFS), [json.dumps(asdict(found))])


def scrutiny(files: RunFiles) -> Scrutiny:
    """What is known of the run besides its boxes' verdicts."""
    report, proved = _object(files.directory / REPORT), _object(files.directory / PROOFS)
    falsify = report.get("falsify", "off")
    found = Proofs(**{**proved, "boxes": tuple(Proof(**raw) for raw in proved["boxes"])}) if proved else None
    accepted = _object(files.directory / ACCEPTED)
    return Scrutiny(
        falsify=falsify,
        weakened=weakened(files),
        proofs=found,
        accepted=frozenset(accepted["keys"]) if accepted else None,
        line=accepted.get("line", ""),
    )


def save_accepted(files: RunFiles, keys: Iterable[str], *, line: str) -> None:
    """Keep what somebody has let a stranger's change weaken; `line` is the comment that accepts more."""
    write_whole(str(files.directory / ACCEPTED), [json.dumps({"keys": sorted(keys), "line": line})])


def save_shown(files: RunFiles, found: Sequence[Weakening]) -> None:
    """Keep which weakenings the run's check names, for the permit of somebody who has read it."""
    keys = [each.key for each in named(found) if not each.unknown]
    write_whole(str(files.directory / SHOWN), [json.dumps({"keys": keys})])


def shown(files: RunFiles) -> frozenset[str]:
    """Keys of the weakenings that the run's check names; none when it names none, or the run was cleared away."""
    return frozenset(_object(files.directory / SHOWN).get("keys", ()))


def _object(path: Path) -> dict[str, Any]:
    """A file of ours that may not be there."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


def listed(files: RunFiles) -> list[dict[str, Any]]:
    """All boxes that the subject has, as the runner listed them; empty before it was asked."""
    path = files.directory / PLAN
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return found


def expected(files: RunFiles) -> tuple[PlannedBox, ...]:
    """All boxes that the subject has, for the fold of a run's events."""
    return tuple(
        PlannedBox(
            box=BoxId(raw["suite"], raw["box"]), tier=raw["tier"], title=raw["title"], source=raw["source"], done=False
        )
        for raw in listed(files)
    )


def boxes(files: RunFiles) -> tuple[Box, ...]:
    """All boxes that the subject has, as much of each as a selection can ask for."""
    return tuple(map(box, listed(files)))


def box(raw: Mapping[str, Any]) -> Box:
    """As much of a listed box as a selection can ask for."""
    return Box(
        id=BoxId(raw["suite"], raw["box"]),
        tier=raw["tier"],
        title=raw["title"],
        kind=raw["kind"],
        source=raw["source"],
        tags=raw["tags"],
    )


def kept(ctx: Context, run: Run) -> tuple[BoxFinished, ...]:
    """Verdicts of the run that this one continues, which count for boxes that it does not execute."""
    path = ctx.files(run).directory / KEPT
    if not path.is_file():
        return ()
    with path.open(encoding="utf-8") as lines:
        return tuple(event for event in read(lines) if isinstance(event, BoxFinished))


async def continued(ctx: Context, run: Run) -> Run | None:
    """The run that this one continues: the newest of the same head that has verdicts to keep, or will have them.

    One that was declined or ended before it executed anything has none of its own; what it would have kept counts.
    """
    older = await ctx.runs.get(run.kept_from) if run.kept_from else None
    while older is not None and older.state not in OPEN and not (ctx.files(older).directory / VERDICTS).is_file():
        older = await ctx.runs.get(older.kept_from) if older.kept_from else None
    return older


async def keep(ctx: Context, run: Run) -> None:
    """Bring along the verdicts and the history of the run that this one continues. Safe to repeat.

    Nothing is kept of another base: those verdicts say nothing about what is tested now. Nor of another trust level:
    what a stranger's code wrote is not read on other terms.
    """
    older = await continued(ctx, run)
    if older is None or (older.base_ref, older.base_sha) != (run.base_ref, run.base_sha) or older.trust != run.trust:
        return
    here, there = ctx.files(run).directory, ctx.files(older).directory
    for name, kept_as in ((VERDICTS, KEPT), (HISTORY, HISTORY)):
        if (there / name).is_file() and not (here / kept_as).exists():
            shutil.copyfile(there / name, here / kept_as)


def progress(
    files: RunFiles, *, kept: Iterable[BoxFinished], excused: Mapping[BoxId, Excused] = MappingProxyType({})
) -> Progress:
    """The state of the run after everything recorded so far."""
    known = Progress.of(files.events(), kept=kept, expected=expected(files), excused=excused)
    notes = tuple(_object(files.directory / NOTES).get("notes", ()))
    return replace(known, warnings=(*notes, *known.warnings)) if notes else known


def save_nothing_run(files: RunFiles, now: float) -> None:
    """Record that a run ended with nothing to run: without an end it would look as if it had been cut off."""
    if not any(isinstance(event, RunFinished) for event in files.events()):
        end = RunFinished(exit_code=0, green=True, seconds=0.0, counts={}, at=now)
        write_whole(str(files.next_record()), [json.dumps({"schema": SCHEMA}) + "\n", to_line(end) + "\n"])


def save_verdicts(files: RunFiles, state: Progress) -> None:
    """Keep every verdict that is in force, for a later run of the same subject."""
    lines = [json.dumps({"schema": SCHEMA})]
    lines += [to_line(box.result) for box in state.boxes if box.result is not None]
    (files.directory / VERDICTS).write_text("\n".join(lines) + "\n", encoding="utf-8")
