"""What a box's healthy run and its run under sabotage say together. Pure: attempts in, an answer with its sentence out.

Only one answer is a proof. A crash, a skip, a timeout or a control that did not apply shows nothing about the box,
whatever colour it has.
"""

from __future__ import annotations

import json
import re
from enum import StrEnum

from runner.matching import TooLong, is_found
from runner.model import Value, Verdict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from runner.model import Attempt, Box, Control, Expect


class Answer(StrEnum):
    """What falsification found out about one box. Reference: docs/reference/falsify.md."""

    PROVEN = "proven"
    BLIND = "blind"
    WRONG_REASON = "wrong_reason"
    OVERREACH = "overreach"
    STALE = "stale"
    UNPROVEN = "unproven"
    NO_CONTROL = "no_control"


class Proof(Value):
    """The answer for one box, and why.

    `expect` is what the control must turn red; `went_red` the assertions that did; `suggestion` the line to add to a
    control without `expect`. `baseline` and `sabotaged` are the two verdicts, "" for a run that was not made; `output`
    is the later one's. `seconds` is the time that the runs took together, copies not counted. `automatic` says that
    the box has no control of its own, `control` where the control stands, or what was done without one. `broke` are
    other boxes that the control turned red; `cached` says that an earlier command found the answer.
    """

    __slots__ = (
        *("answer", "automatic", "baseline", "box", "broke", "cached", "control", "expect", "output", "reason"),
        *("sabotaged", "seconds", "suggestion", "went_red"),
    )

    def __init__(
        self,
        box: Box,
        answer: Answer,
        reason: str,
        *,
        went_red: Sequence[str] = (),
        suggestion: str = "",
        baseline: str = "",
        sabotaged: str = "",
        seconds: float = 0.0,
        output: str = "",
        automatic: bool = False,
        control: str = "",
        broke: Sequence[str] = (),
        cached: bool = False,
    ) -> None:
        self.box = box
        self.answer = answer
        self.reason = reason
        self.expect = wanted(box.control.expect) if box.control else ""
        self.went_red = tuple(went_red)
        self.suggestion = suggestion
        self.baseline = baseline
        self.sabotaged = sabotaged
        self.seconds = seconds
        self.output = output
        self.automatic = automatic
        self.control = control or (box.control.where if box.control else "")
        self.broke = tuple(broke)
        self.cached = cached

    def but(self, **changes: Any) -> Proof:
        """The same, with these fields changed."""
        fields = {name: getattr(self, name) for name in self.__slots__ if name != "expect"}
        return Proof(**{**fields, **changes})


def refused(baseline: Attempt) -> str:
    """Why a healthy run cannot be the ground of a proof; "" when it can."""
    if baseline.outcome is Verdict.PASSED:
        return ""
    reason = f": {baseline.reason}" if baseline.reason else ""
    return f"without its control it is {_said(baseline.outcome)}{reason}"


def judge(box: Box, baseline: Attempt, sabotaged: Attempt, *, control: Control | None = None) -> Proof:
    """Compare the healthy run with the one under sabotage.

    Args:
        box: what was run.
        baseline: a healthy run; must have passed, see `refused`.
        sabotaged: the run under the control.
        control: an automatic one; the box's own if it is not given. An automatic control says not what goes red: any
            assertion will do, as long as the box *failed*.
    """
    expect = box.control.expect if box.control else None
    answer, reason = _answer(expect, baseline, sabotaged, automatic=control is not None)
    suggestion = ""
    if answer is Answer.UNPROVEN and sabotaged.outcome is Verdict.FAILED and not expect:
        suggestion = suggest(box, baseline, sabotaged)
    return Proof(
        box,
        answer,
        f"{control.where}: {reason}" if control else reason,
        went_red=red_ids(sabotaged),
        suggestion=suggestion,
        baseline=baseline.outcome.value,
        sabotaged=sabotaged.outcome.value,
        seconds=baseline.seconds + sabotaged.seconds,
        output=sabotaged.output,
        automatic=control is not None,
        control=control.where if control else "",
    )


def _answer(
    expect: Expect | None, baseline: Attempt, sabotaged: Attempt, *, automatic: bool = False
) -> tuple[Answer, str]:
    if problem := refused(baseline):
        return Answer.UNPROVEN, problem
    if sabotaged.outcome is Verdict.PASSED:
        return Answer.BLIND, "stayed green" if automatic else "stayed green under its own sabotage"
    if sabotaged.outcome is not Verdict.FAILED:
        reason = f": {sabotaged.reason}" if sabotaged.reason else ""
        return Answer.UNPROVEN, f"under its control it is {_said(sabotaged.outcome)}, which proves nothing{reason}"
    return _reason(expect, baseline, sabotaged, automatic=automatic)


def _reason(expect: Expect | None, baseline: Attempt, sabotaged: Attempt, *, automatic: bool) -> tuple[Answer, str]:
    """Whether a box that failed under its control did so for the right reason."""
    if automatic:
        red = red_ids(sabotaged)
        return Answer.PROVEN, f"{_listed(red)} went red" if red else "it failed"
    if expect is None:
        return Answer.UNPROVEN, "it went red, but the control does not say what should"
    if expect.assertion:
        return _by_assertion(expect.assertion, sabotaged)
    return _by_output(expect.output, baseline, sabotaged)


def _by_assertion(wanted_id: str, sabotaged: Attempt) -> tuple[Answer, str]:
    red = red_ids(sabotaged)
    if wanted_id in red:
        return Answer.PROVEN, f"{wanted_id} went red"
    instead = f"{_listed(red)} went red instead" if red else f"no assertion did: {sabotaged.reason}"
    return Answer.WRONG_REASON, f"{wanted_id} should go red; {instead}"


def _by_output(pattern: str, baseline: Attempt, sabotaged: Attempt) -> tuple[Answer, str]:
    try:
        if not is_found(pattern, sabotaged.output):
            return Answer.WRONG_REASON, f"its output should match /{pattern}/ and does not"
        if is_found(pattern, baseline.output):
            return Answer.UNPROVEN, f"its output matches /{pattern}/ without the control, too"
    except TooLong:
        return Answer.UNPROVEN, f"to look for /{pattern}/ in its output takes too long (write a simpler pattern)"
    return Answer.PROVEN, f"its output matches /{pattern}/"


def overreached(proof: Proof, broken: Sequence[Box]) -> Proof:
    """A proof, after the other boxes of the tier ran under the same control and these of them broke."""
    if not broken:
        return proof
    names = [str(box.id) for box in broken]
    reason = f"{proof.reason}, but box{'es' if len(names) > 1 else ''} {_listed(names)} broke as well"
    return proof.but(answer=Answer.OVERREACH, reason=reason, broke=names)


def is_broken(attempt: Attempt) -> bool:
    """Whether a box that is green otherwise was broken by somebody else's control: red in whatever way."""
    return attempt.outcome in {Verdict.FAILED, Verdict.ERRORED, Verdict.TIMED_OUT, Verdict.VACUOUS}


def red_ids(attempt: Attempt) -> tuple[str, ...]:
    """The assertions that did not hold, each once, in order."""
    return tuple(dict.fromkeys(failure.id for failure in attempt.failures if failure.id))


def wanted(expect: Expect | None) -> str:
    """What an `expect` asks for, on one line."""
    if expect is None:
        return ""
    return expect.assertion or f"output: {expect.output}"


def suggest(box: Box, baseline: Attempt, sabotaged: Attempt) -> str:
    """The `expect` line to add: the first assertion that went red, else a line of output that the healthy run lacks.

    Written in the language of the file that the control stands in; "" when the two runs cannot be told apart.
    """
    yaml = box.source.endswith((".yml", ".yaml"))
    red = red_ids(sabotaged)
    if red:
        text = json.dumps(red[0], ensure_ascii=False)
        return f"expect: {text}" if yaml else f"expect = {text}"
    healthy = set(baseline.output.splitlines())
    # A line with a path or a number is likely to read otherwise the next time.
    fresh = [line.strip() for line in sabotaged.output.splitlines() if line.strip() and line not in healthy]
    lasting = [line for line in fresh if not re.search(r"\d|/", line)] or fresh
    if not lasting:
        return ""
    text = json.dumps(_escape(lasting[-1][:100]), ensure_ascii=False)
    return f"expect: {{output: {text}}}" if yaml else f"expect = {{output = {text}}}"


def _escape(line: str) -> str:
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", line)


def _listed(ids: Sequence[str], limit: int = 5) -> str:
    more = f" and {len(ids) - limit} more" if len(ids) > limit else ""
    return ", ".join(ids[:limit]) + more


def _said(verdict: Verdict) -> str:
    return verdict.value.replace("_", " ")
