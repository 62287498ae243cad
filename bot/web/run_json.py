"""Runs as JSON: the fields that docs/reference/runs-api.md promises, and none that are ours alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from bot.domain.progress import BoxState
from bot.domain.repro import Repro
from bot.store.runs import Run
from runner.model import Failure


def run_json(run: Run, *, url: str) -> dict[str, object]:
    """A run. `url` is the page that its check leads to."""
    return {
        "number": run.number,
        "repo": run.repo,
        "pr": run.pr,
        "title": run.title,
        "author": run.author,
        "cause": run.cause,
        "head_sha": run.head_sha,
        "base_ref": run.base_ref,
        "base_sha": run.base_sha,
        "tree": run.tree,
        "config_hash": run.config_hash,
        "selection": run.selection,
        "trust": run.trust,
        "state": str(run.state),
        "conclusion": run.conclusion,
        "because": run.because,
        "created_at": _moment(run.created_at),
        "finished_at": _moment(run.finished_at),
        "url": url,
    }


def box_json(state: BoxState, *, verdicts: int, repro: Repro) -> Mapping[str, object]:
    """A box of a run. `verdicts` is how often it was judged by running; more than once only after a crash."""
    result = state.result
    return {
        "suite": state.box.suite,
        "box": state.box.number,
        "tier": state.tier,
        "title": state.title,
        "source": state.source,
        "phase": str(state.phase),
        "verdict": str(result.verdict) if result else None,
        "green": state.counts_as_green,
        "gating": result.gating if result else True,
        "seconds": result.seconds if result else None,
        "attempts": result.attempts if result else state.attempt,
        "reason": result.reason if result else "",
        "blocked_by": result.blocked_by if result else "",
        "failures": [_failure(failure) for failure in result.failures[:100]] if result else [],
        "repro": repro.command(state.box),
        "kept": state.kept,
        "excused": {"by": state.excused.by, "because": state.excused.because} if state.excused else None,
        "verdicts": verdicts,
    }


def _failure(failure: Failure) -> Mapping[str, object]:
    return {"id": failure.id, "message": failure.message, "file": failure.file, "line": failure.line}


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
