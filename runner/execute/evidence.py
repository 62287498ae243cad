"""From an ended process to an attempt: gathers what the box left, lets `runner.protocol` judge, words the result."""

from __future__ import annotations

import os

from runner.artifacts import collect
from runner.execute.files import NotPlain, read_plain
from runner.model import Attempt, Failure, Verdict
from runner.protocol import Evidence, judge, read_junit, read_report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.execute.environment import Places
    from runner.execute.output import Output
    from runner.executor import Job
    from runner.protocol import TapSummary

REPORT_LIMIT = 8 * 1024 * 1024
JUNIT_LIMIT = 32 * 1024 * 1024

_EARLY_END = (
    b'\n{"type":"assertion","id":"session","ok":false,"message":"the process ended before pytest had finished"}\n'
)
_GREEN = frozenset({Verdict.PASSED, Verdict.SKIPPED})


def attempt_of(
    job: Job,
    places: Places,
    *,
    exit_code: int,
    signalled: str,
    tap: TapSummary,
    output: Output,
    seconds: float,
    cpu: float,
    rss_kb: int,
    leaked: Sequence[str],
) -> Attempt:
    """Judge what is left of a process that ran a job.

    Args:
        job: what was run.
        places: where the box's files are.
        exit_code: the main process's; negative for a signal.
        signalled: "timeout" or "cancel" when the executor ended it, else "".
        tap: what was read from its standard output.
        output: all it printed; closed.
        seconds: of wall time.
        cpu: seconds of processor time, its collected children's included.
        rss_kb: the largest resident size of one of its processes, in KiB.
        leaked: what it left running.
    """
    troubles: list[str] = []
    report = _read(places.report, REPORT_LIMIT, "$BOX_REPORT", troubles)
    junit = _read(places.junit, JUNIT_LIMIT, "$BOX_JUNIT", troubles)
    if job.box.kind == "pytest":
        report += _pytest_ending(places, exit_code, signalled, troubles)
    judgement = judge(
        Evidence(
            exit_code=exit_code,
            signalled_by_runner=signalled,
            kind=job.box.kind,
            min_asserts=job.box.min_asserts,
            tap=tap,
            report=read_report(report),
            junit=read_junit(junit) if junit else None,
        )
    )
    outcome, reason = judgement.outcome, judgement.reason
    if troubles and not signalled and (outcome in _GREEN or job.box.kind == "pytest"):
        outcome, reason = Verdict.ERRORED, troubles[0]
    artifacts = collect(places.artifacts, job.artifacts) if job.artifacts else None
    return Attempt(
        outcome=outcome,
        reason=reason,
        exit_code=exit_code,
        seconds=seconds,
        cpu=cpu,
        rss_kb=rss_kb,
        asserts=judgement.asserts,
        failures=[_in_tree(failure, job) for failure in judgement.failures],
        metrics=judgement.metrics,
        artifacts=artifacts.names if artifacts else (),
        output=output.text(),
        output_bytes=output.total,
        log=output.log if output.total else "",
        leaked=leaked,
    )


def _read(path: str, limit: int, name: str, troubles: list[str]) -> bytes:
    try:
        return read_plain(path, limit) or b""
    except NotPlain as problem:
        troubles.append(f"{name} {problem}")
        return b""


def _pytest_ending(places: Places, exit_code: int, signalled: str, troubles: list[str]) -> bytes:
    """What the bootstrap's last word adds to the report: an end before pytest's own is an assertion that failed."""
    try:
        state = read_plain(places.state, 100)
    except NotPlain:
        state = None
    if state == b"no pytest":
        troubles.append("pytest is not installed for this box's interpreter (install it there, or set `python`)")
    elif state is None and exit_code == 0 and not signalled:
        return _EARLY_END
    return b""


def _in_tree(failure: Failure, job: Job) -> Failure:
    """A failure with its file relative to the tree; a file outside of it is kept as it was named."""
    if not failure.file:
        return failure
    root = os.path.normpath(job.root)
    path = os.path.normpath(os.path.join(root, job.cwd, failure.file))
    file = path[len(root) + 1 :] if path.startswith(root + os.sep) else failure.file
    return Failure(id=failure.id, message=failure.message, file=file, line=failure.line)
