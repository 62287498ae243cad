"""What GitHub shall show of a run, from all that is known of it at this moment."""

from __future__ import annotations

import json

import structlog

from bot.domain.checks import Check, Shown, checks
from bot.domain.diff import NO_LINES, ChangedLines, changed_lines
from bot.domain.progress import Progress
from bot.domain.report import RunState, count
from bot.domain.repro import Repro
from bot.flows import record
from bot.flows.comparing import previewed
from bot.flows.context import Context
from bot.flows.reusing import reused_from
from bot.flows.run_files import RunFiles
from bot.github.errors import GitHubProblem
from bot.store.runs import Run
from runner.whole_file import write_whole

log = structlog.get_logger()

CHANGED = "changed.json"


def checks_of(ctx: Context, run: Run, progress: Progress, state: RunState) -> tuple[Check, ...]:
    """The checks of a run as they should stand on GitHub; last, the preview of what the change configures, if any."""
    files = ctx.files(run)
    own = checks(progress, shown=shown(ctx, run, progress), state=state, scrutiny=record.scrutiny(files))
    return (*own, *previewed(files))


def shown(ctx: Context, run: Run, progress: Progress) -> Shown:
    """What its checks say besides its verdicts."""
    files = ctx.files(run)
    known = record.in_force(files)
    return Shown(
        subject_note="  \n".join(
            filter(None, (record.note_of(run), _reused(ctx, files), known.sentence if known else ""))
        ),
        run_url=ctx.links.url(run.number),
        repro=Repro.of(record.subject(run), progress),
        changed=changed(files),
        annotations=record.annotations_wanted(files),
        has_comments=run.pr is not None,
    )


def _reused(ctx: Context, files: RunFiles) -> str:
    """Says which run of the same files was green already."""
    known = reused_from(files)
    if known is None:
        return ""
    number, boxes = known
    url = ctx.links.url(number)
    run = f"[run {number}]({url})" if url else f"run {number}"
    return f"· {count(boxes, 'box')} not run again: the same files were green in {run}"


async def note_changed(ctx: Context, run: Run, base_sha: str, tree: str) -> None:
    """Keep which lines the change has, once it is known what is tested. They only put notes in order."""
    try:
        diff = await ctx.workspaces.mirror(run.repo_id, run.repo).diff(base_sha, tree)
    except GitHubProblem as problem:
        log.warning("changed_lines_unknown", because=str(problem))
        return
    write_whole(str(ctx.files(run).directory / CHANGED), [json.dumps(changed_lines(diff).by_path)])


def changed(files: RunFiles) -> ChangedLines:
    """The lines that the change has; none where nobody looked."""
    try:
        kept = json.loads((files.directory / CHANGED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return NO_LINES
    return ChangedLines({path: tuple((start, count) for start, count in ranges) for path, ranges in kept.items()})
