"""From an ended process to an attempt: gathers what the box left, lets `runner.protocol` judge, words the result."""

from __future__ import annotations

import os

from runner.artifacts import collect
from runner.execute.files import NotPlain, read_plain
from runner.execute.table import NAME_LENGTH
from runner.model import Attempt, Failure, Verdict
from runner.protocol import (
    EXIT_HARD_ERROR,
    Evidence,
    JunitSummary,
    ReportSummary,
    find_failure,
    judge,
    locate,
    read_junit,
    read_report,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.execute.environment import Places
    from runner.execute.output import Output
    from runner.executor import Job
    from runner.protocol import Judgement, TapSummary
    from runner.redact import Redactor

_MOST_REFUSED = 20  # artifacts that are named.
REPORT_LIMIT = 8 * 1024 * 1024
JUNIT_LIMIT = 32 * 1024 * 1024

_EARLY_END = (
    b'\n{"type":"assertion","id":"session","ok":false,"message":"the process ended before pytest had finished"}\n'
)


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
    redactor: Redactor,
    problem: str = "",
    refused: Sequence[str] = (),
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
        refused: the hosts that it asked for and was not let to.
        problem: why it is red, when something better is known than its exit code.
        redactor: knows the run's secrets.
    """
    known, early_end = _pytest_ending(job, places, exit_code=exit_code, signalled=signalled)
    judgement = judge(
        Evidence(
            exit_code=exit_code,
            signalled_by_runner=signalled,
            kind=job.box.kind,
            min_asserts=job.box.min_asserts,
            tap=tap,
            report=_report(places, early_end, redactor),
            junit=_junit(places, redactor),
        )
    )
    artifacts = collect(places.artifacts, job.artifacts, redactor=redactor) if job.artifacts else None
    unkept = "".join(f"[artifact not kept: {why}]\n" for why in artifacts.refused[:_MOST_REFUSED]) if artifacts else ""
    lost = f"[log not kept: {output.lost}]\n" if output.lost else ""
    text = _with(output.text(), lost + unkept)
    return Attempt(
        outcome=judgement.outcome,
        reason=redactor.text(
            (problem if judgement.outcome in {Verdict.FAILED, Verdict.ERRORED} else "") or known or judgement.reason
        ),
        exit_code=exit_code,
        seconds=seconds,
        cpu=cpu,
        rss_kb=rss_kb,
        asserts=judgement.asserts,
        failures=_failures(judgement, text, job),
        metrics=judgement.metrics,
        artifacts=artifacts.names if artifacts else (),
        output=text,
        output_bytes=output.total,
        log=output.log if output.total else "",
        leaked=[_process(name, redactor) for name in leaked],
        refused=[redactor.text(end) for end in refused],
    )


def _process(name: str, redactor: Redactor) -> str:
    """The name of a process, `WORDS (pid 7)`, whose words may have been cut off within a secret."""
    words, bracket, pid = name.rpartition(" (pid ")
    return f"{redactor.cut_text(words, NAME_LENGTH)}{bracket}{pid}" if bracket else redactor.text(name)


def _with(text: str, more: str) -> str:
    """A text and lines that are added to it."""
    return f"{text}\n{more}" if more and text and not text.endswith("\n") else text + more


def _report(places: Places, more: bytes, redactor: Redactor) -> ReportSummary:
    try:
        return read_report((read_plain(places.report, REPORT_LIMIT) or b"") + more, redactor.text)
    except NotPlain as problem:
        return ReportSummary(malformed=f"$BOX_REPORT {problem}")


def _junit(places: Places, redactor: Redactor) -> JunitSummary | None:
    try:
        data = read_plain(places.junit, JUNIT_LIMIT)
    except NotPlain as problem:
        return JunitSummary(malformed=f"$BOX_JUNIT {problem}")
    return None if data is None else read_junit(data, redactor.text)


def _pytest_ending(job: Job, places: Places, *, exit_code: int, signalled: str) -> tuple[str, bytes]:
    """What the bootstrap's last word means: a reason that is better than the exit code's, and more of the report.

    A process that ended well before pytest had finished has an assertion that failed.
    """
    if job.box.kind != "pytest" or signalled:
        return "", b""
    try:
        state = read_plain(places.state, 100)
    except NotPlain:
        state = None
    if state == b"no pytest" and exit_code == EXIT_HARD_ERROR:
        return "pytest is not installed for this box's interpreter (install it there, or set `python`)", b""
    return "", _EARLY_END if state is None and exit_code == 0 else b""


def _failures(judgement: Judgement, text: str, job: Job) -> tuple[Failure, ...]:
    """The judged failures with places in the tree; a box that only says so in its output is one failure without id."""
    failures = judgement.failures
    if not failures and judgement.outcome is not Verdict.FAILED:
        return ()
    root = os.path.realpath(job.root)
    start = os.path.join(root, job.cwd)

    def exists(path: str) -> bool:
        place = os.path.normpath(os.path.join(start, path))
        if not place.startswith(root + os.sep):
            return False
        # A link in a hostile tree must not make us tell which files this machine has.
        return os.path.realpath(place).startswith(root + os.sep) and os.path.isfile(place)

    if not failures:
        said = find_failure(text, exists)
        if said is not None:
            failures = (Failure(message=said.message or judgement.reason, file=said.file, line=said.line),)
    return tuple(_in_tree(failure, root, start) for failure in locate(failures, exists))


def _in_tree(failure: Failure, root: str, start: str) -> Failure:
    """A failure with its file relative to the tree; a file outside of it is kept as it was named."""
    if not failure.file:
        return failure
    place = os.path.normpath(os.path.join(start, failure.file))
    file = place[len(root) + 1 :] if place.startswith(root + os.sep) else failure.file
    return Failure(id=failure.id, message=failure.message, file=file, line=failure.line)
