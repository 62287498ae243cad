"""What the reports of `runner falsify` have in common: what they hear, and how answers are spelled and counted."""

from __future__ import annotations

from runner.model import Value
from runner.proof import Answer
from runner.report.text import count_boxes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    from runner.proof import Proof
else:

    class Protocol:
        """Stands in for `typing.Protocol`, whose import costs more than a box."""


_WORDS = {Answer.WRONG_REASON: "wrong reason", Answer.NO_CONTROL: "without control"}
# Red under sabotage is the good news, so the colours of a run would mislead here: one mark for a proof, one for none.
WORST_FIRST = (
    *(Answer.BLIND, Answer.WRONG_REASON, Answer.OVERREACH, Answer.STALE, Answer.UNPROVEN),
    Answer.NO_CONTROL,
)


class Ended(Value):
    """All that was found out. `total` boxes were asked for; an interruption leaves some without an answer."""

    __slots__ = ("exit_code", "proofs", "seconds", "total")

    def __init__(self, proofs: Sequence[Proof], *, total: int, seconds: float, exit_code: int) -> None:
        self.proofs = tuple(proofs)
        self.total = total
        self.seconds = seconds
        self.exit_code = exit_code


class ProofReport(Protocol):
    """Hears of answers as they come."""

    def say(self, line: str) -> None:
        """Something about the whole that people may want to know before it is over."""

    def running(self, boxes: Sequence[str]) -> None:
        """These are being falsified now."""

    def add(self, proof: Proof) -> None:
        """A box has its answer."""

    def end(self, ended: Ended) -> None:
        """There will be no more."""


class Everyone:
    """Several reports as one. A reader that has gone away is dropped."""

    def __init__(self, reports: Sequence[ProofReport]) -> None:
        self._reports = list(reports)

    def say(self, line: str) -> None:
        """Tell all."""
        self._tell("say", line)

    def running(self, boxes: Sequence[str]) -> None:
        """Tell all."""
        self._tell("running", boxes)

    def add(self, proof: Proof) -> None:
        """Tell all."""
        self._tell("add", proof)

    def end(self, ended: Ended) -> None:
        """Tell all."""
        self._tell("end", ended)

    def _tell(self, what: str, news: object) -> None:
        for report in list(self._reports):
            try:
                getattr(report, what)(news)
            except BrokenPipeError:
                self._reports.remove(report)


class Silent:
    """A report that only tells at the end, or not at all."""

    def say(self, line: str) -> None:
        """Nothing to be kept."""

    def running(self, boxes: Sequence[str]) -> None:
        """Nothing to be kept."""

    def add(self, proof: Proof) -> None:
        """It is told with the others."""


def spelled(answer: Answer) -> str:
    """An answer as people write it."""
    return _WORDS.get(answer, answer.value)


def spelled_of(proof: Proof) -> str:
    """A box's answer, and how it was come by when that is not the usual way."""
    marks = [mark for mark, on in (("automatic", proof.automatic), ("reused", proof.cached)) if on]
    return spelled(proof.answer) + (f" ({', '.join(marks)})" if marks else "")


def sentence(proofs: Sequence[Proof]) -> str:
    """`12 boxes, 12 proved capable of failing`, or `12 boxes, 10 proved capable of failing (9 reused): 1 blind, …`."""
    counts = {answer: sum(proof.answer is answer for proof in proofs) for answer in Answer}
    rest = ", ".join(f"{counts[answer]} {spelled(answer)}" for answer in WORST_FIRST if counts[answer])
    reused = sum(proof.cached for proof in proofs)
    said = f"{count_boxes(len(proofs))}, {counts[Answer.PROVEN]} proved capable of failing"
    said += f" ({reused} reused)" if reused else ""
    return f"{said}: {rest}" if rest else said


def not_proven(proofs: Sequence[Proof]) -> list[Proof]:
    """Those on which somebody must act, worst first. Not the boxes without control: nothing more is known of them."""
    return [proof for answer in WORST_FIRST[:-1] for proof in proofs if proof.answer is answer]
