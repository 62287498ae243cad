"""What the attempts of a box mean, which verdicts are green, and what the process exits with. Pure."""

from __future__ import annotations

from runner.model import Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runner.model import Attempt, Box

# Exit codes of `runner run`. `runner falsify` has the same: 0 all proven, 1 some not.
EXIT_GREEN = 0
EXIT_RED = 1
EXIT_USAGE = 2
EXIT_CONFIGURATION = 3
EXIT_NOTHING_SELECTED = 4
EXIT_INTERRUPTED = 5
EXIT_INTERNAL = 6

RETRIED = frozenset({Verdict.FAILED, Verdict.TIMED_OUT, Verdict.ERRORED})
_ALWAYS_GREEN = frozenset({Verdict.PASSED, Verdict.CACHED})


def decide(attempts: Sequence[Attempt]) -> Verdict:
    """The verdict of a box from its attempts, oldest first.

    The last attempt decides, with two exceptions: a pass after a red attempt is `flaky`, and a skip after a red attempt
    is that red verdict, because a box that was seen red cannot skip its way out. Whether `flaky` is enough is for
    `is_green` to say.

    Args:
        attempts: at least one.
    """
    *earlier, last = [attempt.outcome for attempt in attempts]
    red = [outcome for outcome in earlier if outcome in RETRIED]
    if not red:
        return last
    if last is Verdict.PASSED:
        return Verdict.FLAKY
    return red[-1] if last is Verdict.SKIPPED else last


def should_retry(attempts: Sequence[Attempt], *, retries: int) -> bool:
    """Whether another attempt is due: the last one was red by its own doing, and fewer than `retries` were repeated."""
    return attempts[-1].outcome in RETRIED and len(attempts) <= retries


def flaky_fails(box: Box, *, default: bool) -> bool:
    """Whether a flaky pass of this box is red: its own `flaky` key, else `default` (true in CI and under the bot)."""
    return box.flaky == "fail" if box.flaky else default


def is_green(verdict: Verdict, *, may_skip: bool, flaky_fails: bool) -> bool:
    """Whether the verdict lets its tier be green. What did not run is never green."""
    if verdict is Verdict.FLAKY:
        return not flaky_fails
    if verdict is Verdict.SKIPPED:
        return may_skip
    return verdict in _ALWAYS_GREEN


def is_gating(box: Box, *, today: str) -> bool:
    """Whether a red verdict of this box closes its tier's gate; a quarantined box does again the day after `until`.

    Args:
        box: the box.
        today: the ISO date, in UTC.
    """
    return box.quarantine is None or today > box.quarantine.until


def run_exit_code(green: Iterable[bool], *, interrupted: bool = False) -> int:
    """What `runner run` exits with, from whether each gating box was green. Being interrupted is never green."""
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_GREEN if all(green) else EXIT_RED


def falsify_exit_code(answers: Iterable[str], *, strict: bool, interrupted: bool = False) -> int:
    """What `runner falsify` exits with.

    Strictly, every answer must be `proven`. Otherwise a box that has no control yet is let pass; every other answer
    says that a control exists and proved nothing.
    """
    if interrupted:
        return EXIT_INTERRUPTED
    enough = {"proven"} if strict else {"proven", "no_control"}
    return EXIT_GREEN if all(answer in enough for answer in answers) else EXIT_RED
