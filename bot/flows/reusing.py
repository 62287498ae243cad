"""The same files under the same configuration need no second verdict: a merge group takes over what was green.

Only from code that somebody with write permission answers for (T0, T1), only plain passes, and nothing of boxes that
look outside: what a box with a network or secrets found yesterday says nothing about today.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from bot.domain.trust import TrustLevel
from bot.flows import record
from bot.flows.context import Context
from bot.flows.run_files import RunFiles
from bot.store.runs import Run
from runner.events import SCHEMA, BoxFinished, read, to_line
from runner.model import BoxId, Verdict
from runner.whole_file import write_whole

log = structlog.get_logger()

REUSED = "reused.json"
FROM = (TrustLevel.T0, TrustLevel.T1)
FRESH = timedelta(days=1)
"""How old the other run may be: tools and clocks change, though files do not."""


PLAIN = frozenset({Verdict.PASSED, Verdict.CACHED})


async def reuse(ctx: Context, run: Run) -> None:
    """Bring along the verdicts of the newest green run of the same tree and configuration. Safe to repeat.

    A run that somebody asked for again reuses nothing.
    """
    if run.kept_from:
        return
    since = ctx.clock.now() - FRESH
    for older in await ctx.runs.green_of_tree(run.repo_id, run.tree, run.config_hash, since=since):
        if older.number == run.number or older.trust not in FROM:
            continue
        taken = list(_reusable(ctx.files(older), record.plan(ctx.files(run))))
        if taken:
            _keep(ctx.files(run), older, taken)
            log.info("verdicts_reused", number=run.number, older=older.number, boxes=len(taken))
            return


def reused_from(files: RunFiles) -> tuple[int, int] | None:
    """The number of the run whose verdicts count here, and how many; None when all boxes are run."""
    try:
        kept = json.loads((files.directory / REUSED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return int(kept["run"]), int(kept["boxes"])


def _reusable(older: RunFiles, planned: Iterable[Mapping[str, Any]]) -> Iterable[BoxFinished]:
    alone = {BoxId(raw["suite"], raw["box"]) for raw in planned if not (raw["network"] or raw["secrets"])}
    path = older.directory / record.VERDICTS
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for event in read(lines):
            if isinstance(event, BoxFinished) and event.box in alone and event.gating and event.verdict in PLAIN:
                yield event


def _keep(files: RunFiles, older: Run, taken: list[BoxFinished]) -> None:
    lines = [json.dumps({"schema": SCHEMA}) + "\n", *(to_line(event) + "\n" for event in taken)]
    write_whole(str(files.directory / record.KEPT), lines)
    write_whole(str(files.directory / REUSED), [json.dumps({"run": older.number, "boxes": len(taken)})])
