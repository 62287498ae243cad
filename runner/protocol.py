"""The contract between a box and the runner: what an exit code and the evidence mean. Pure.

Normative text: docs/reference/box-protocol.md; a number like P-7 there is cited here and in the tests.
"""

from __future__ import annotations

from signal import Signals

from runner.evidence import (
    Attachment,
    JunitSummary,
    ReportSummary,
    find_failure,
    find_location,
    locate,
    read_junit,
    read_report,
)
from runner.model import Failure, Metric, Value, Verdict
from runner.tap import TapReader, TapSummary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Answer = tuple[Verdict, str]

# Executors talk about the protocol, so they find all of it here.
__all__ = [
    "Attachment",
    "Evidence",
    "Judgement",
    "JunitSummary",
    "ReportSummary",
    "TapReader",
    "TapSummary",
    "find_failure",
    "find_location",
    "judge",
    "locate",
    "read_junit",
    "read_report",
]

EXIT_SKIPPED = 77  # Automake's convention.
EXIT_HARD_ERROR = 99  # Automake's too.
EXIT_NOT_EXECUTABLE = 126  # the shell's.
EXIT_NOT_FOUND = 127  # the shell's.
PYTEST_NOTHING_COLLECTED = 5
_PYTEST_ERRORS = {2: "pytest was interrupted", 3: "pytest had an internal error", 4: "pytest was used wrongly"}
_ERRORS = {
    EXIT_HARD_ERROR: "exit 99: the box could not do its work",
    EXIT_NOT_EXECUTABLE: "exit 126: a command could not be executed",
    EXIT_NOT_FOUND: "exit 127: a command was not found",
}


class Evidence(Value):
    """All that is known about an attempt when it has ended.

    `exit_code` is negative for a signal. `signalled_by_runner` is "timeout", "cancel" or "". `kind` is the box's.
    `junit` is None when $BOX_JUNIT was not written.
    """

    __slots__ = ("exit_code", "junit", "kind", "min_asserts", "report", "signalled_by_runner", "tap")

    def __init__(
        self,
        *,
        exit_code: int,
        signalled_by_runner: str = "",
        kind: str = "file",
        min_asserts: int = 0,
        tap: TapSummary | None = None,
        report: ReportSummary | None = None,
        junit: JunitSummary | None = None,
    ) -> None:
        self.exit_code = exit_code
        self.signalled_by_runner = signalled_by_runner
        self.kind = kind
        self.min_asserts = min_asserts
        self.tap = tap or TapSummary()
        self.report = report or ReportSummary()
        self.junit = junit

    @property
    def asserts(self) -> int:
        """Executed assertions. The same test is often reported twice, so the sources are not added up (P-41)."""
        return max(self.tap.asserts, self.report.asserts, self.junit.asserts if self.junit else 0)

    @property
    def red(self) -> int:
        """Assertions that did not hold."""
        return max(self.tap.red, self.report.red, self.junit.red if self.junit else 0)

    @property
    def is_pytest(self) -> bool:
        """Whether pytest's exit codes apply."""
        return self.kind == "pytest"


class Judgement(Value):
    """What one attempt came to. `reason` is one sentence in lower case, empty for a plain pass."""

    __slots__ = ("asserts", "attachments", "failures", "metrics", "outcome", "reason")

    def __init__(
        self,
        *,
        outcome: Verdict,
        reason: str = "",
        asserts: int = 0,
        failures: Sequence[Failure] = (),
        metrics: Sequence[Metric] = (),
        attachments: Sequence[Attachment] = (),
    ) -> None:
        self.outcome = outcome
        self.reason = reason
        self.asserts = asserts
        self.failures = tuple(failures)
        self.metrics = tuple(metrics)
        self.attachments = tuple(attachments)


def judge(evidence: Evidence) -> Judgement:
    """Decide an attempt's outcome. The first rule that has an answer gives it; evidence never raises an outcome."""
    outcome, reason = next(answer for rule in _RULES if (answer := rule(evidence)))
    return Judgement(
        outcome=outcome,
        reason=reason,
        asserts=evidence.asserts,
        failures=_failures(evidence),
        metrics=evidence.report.metrics,
        attachments=evidence.report.attachments,
    )


def _ended_by_runner(evidence: Evidence) -> Answer | None:
    match evidence.signalled_by_runner:
        case "":
            return None
        case "timeout":
            return Verdict.TIMED_OUT, "ran out of time"
        case _:
            return Verdict.CANCELLED, "the run was cancelled"


def _could_not_do_its_work(evidence: Evidence) -> Answer | None:
    code = evidence.exit_code
    if code < 0:
        return Verdict.ERRORED, f"killed by {_signal_name(-code)}"
    if code in _ERRORS:
        return Verdict.ERRORED, _ERRORS[code]
    if evidence.is_pytest and code in _PYTEST_ERRORS:
        return Verdict.ERRORED, f"exit {code}: {_PYTEST_ERRORS[code]}"
    return None


def _malformed(evidence: Evidence) -> Answer | None:
    malformed = evidence.report.malformed or (evidence.junit.malformed if evidence.junit else "")
    return (Verdict.ERRORED, malformed) if malformed else None


def _red(evidence: Evidence) -> Answer | None:
    if not evidence.red:
        return None
    names = [failure.id or failure.message for failure in _failures(evidence)]
    shown = ", ".join(name for name in names[:3] if name)
    more = ", …" if shown and max(len(names), evidence.red) > 3 else ""
    count = f"{_count(evidence.red, 'assertion')} failed"
    return Verdict.FAILED, f"{count}: {shown}{more}" if shown else count


def _exit_code(evidence: Evidence) -> Answer | None:
    code = evidence.exit_code
    fine = {0, EXIT_SKIPPED} | ({PYTEST_NOTHING_COLLECTED} if evidence.is_pytest else set())
    if code in fine:
        return None
    return Verdict.FAILED, f"exit {code}"


def _broken_stream(evidence: Evidence) -> Answer | None:
    tap = evidence.tap
    if tap.bail_out is not None:
        return Verdict.FAILED, f"bailed out: {tap.bail_out}" if tap.bail_out else "bailed out"
    if tap.plans > 1:
        return Verdict.FAILED, f"{tap.plans} TAP plans in one stream"
    if tap.declared and tap.plan is None:
        return Verdict.FAILED, f"ended before its TAP plan, after {_count(tap.points, 'test')}"
    if tap.plan is not None and tap.points != tap.plan:
        early = "ended early: " if tap.points < tap.plan else ""
        return Verdict.FAILED, f"{early}{_count(tap.plan, 'test')} planned, {tap.points} seen"
    return None


def _skipped(evidence: Evidence) -> Answer | None:
    why = evidence.tap.skip_all
    if evidence.exit_code == EXIT_SKIPPED:
        return Verdict.SKIPPED, why or "exit 77: the box skipped itself"
    if evidence.exit_code == 0 and why is not None:
        return Verdict.SKIPPED, why or "the box skipped itself"
    return None


def _vacuous(evidence: Evidence) -> Answer | None:
    asserts, tap, junit = evidence.asserts, evidence.tap, evidence.junit
    if evidence.is_pytest and evidence.exit_code == PYTEST_NOTHING_COLLECTED:
        return Verdict.VACUOUS, "exit 5: pytest found no test"
    if tap.plan == 0:
        return Verdict.VACUOUS, "an empty TAP plan and no reason"
    if not asserts and evidence.is_pytest:
        return Verdict.VACUOUS, "no test was executed"
    if not asserts and (tap.declared or junit is not None):
        return Verdict.VACUOUS, f"no test was executed ({tap.skipped + (junit.skipped if junit else 0)} skipped)"
    if asserts < evidence.min_asserts:
        return Verdict.VACUOUS, f"{asserts} of at least {evidence.min_asserts} assertions were executed"
    return None


def _passed(_: Evidence) -> Answer | None:
    return Verdict.PASSED, ""


_RULES: tuple[Callable[[Evidence], Answer | None], ...] = (
    _ended_by_runner,  # P-10
    _could_not_do_its_work,  # P-3, P-4, P-5
    _malformed,  # P-32, P-35
    _red,  # P-11
    _exit_code,  # P-7
    _broken_stream,  # P-25, P-26, P-27
    _skipped,  # P-2, P-29
    _vacuous,  # P-6, P-28, P-40, P-42, P-43
    _passed,  # P-1
)


def _failures(evidence: Evidence) -> tuple[Failure, ...]:
    """Every red assertion once: the report's, then JUnit's and TAP's whose id is new.

    For a pytest box the plugin's report already has what JUnit says, under other ids.
    """
    failures = list(evidence.report.failures)
    seen = {failure.id for failure in failures if failure.id}
    others: list[Failure] = []
    if evidence.junit and not (evidence.is_pytest and failures):
        others += evidence.junit.failures
    others += evidence.tap.failures
    failures += [failure for failure in others if not failure.id or failure.id not in seen]
    return tuple(failures)


def _signal_name(number: int) -> str:
    try:
        return Signals(number).name
    except ValueError:  # a real-time signal has no name.
        return f"signal {number}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
