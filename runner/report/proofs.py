"""The reports of `runner falsify`: a line per box as it is answered, the sum, and the JSON document."""

from __future__ import annotations

import json
import os

from runner.proof import Answer
from runner.report.text import count_boxes, duration, encodable, last_lines, one_line, symbols_for
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TextIO

    from runner.proof import Proof

SCHEMA = "runner.falsify/1"
INDENT = "    "
OUTPUT_LINES = 10
_WORDS = {Answer.WRONG_REASON: "wrong reason", Answer.NO_CONTROL: "without control"}
# Red under sabotage is the good news, so the colours of a run would mislead here: one mark for a proof, one for none.
_WORST_FIRST = (Answer.BLIND, Answer.WRONG_REASON, Answer.STALE, Answer.UNPROVEN, Answer.NO_CONTROL)


class Proofs:
    """Writes answers as they come. On a terminal a status line shows what is being falsified."""

    def __init__(self, out: TextIO, *, total: int) -> None:
        self._out = out
        self._symbols = symbols_for(out.encoding)
        self._terminal = out.isatty()
        self._total = total
        self._answered = 0
        self._shown = ""

    def running(self, boxes: Sequence[str]) -> None:
        """Show what runs now, in the status line."""
        line = f"{self._answered}/{self._total}  {', '.join(boxes)}"
        if self._terminal and boxes and line != self._shown:
            self._shown = line
            line = line[: max(1, _columns() - 1)]
            self._out.write(f"\r\x1b[2K{encodable(line, self._out.encoding)}")
            self._out.flush()

    def add(self, proof: Proof) -> None:
        """A box has its answer."""
        self._answered += 1
        mark = {Answer.PROVEN: self._symbols.passed, Answer.NO_CONTROL: self._symbols.idle}.get(
            proof.answer, self._symbols.red
        )
        took = f"  {duration(proof.seconds)}" if proof.seconds else ""
        self._write(f"{mark} {proof.box.id} {one_line(proof.box.title)}  {spelled(proof.answer)}{took}")
        if proof.answer in {Answer.PROVEN, Answer.NO_CONTROL}:
            return
        self._write(f"{INDENT}{one_line(proof.reason)}")
        if proof.box.control:
            self._write(f"{INDENT}{one_line(proof.box.control.where)}")
        if proof.suggestion:
            self._write(f"{INDENT}add to its control:  {one_line(proof.suggestion)}")
        for line in last_lines(proof.output, OUTPUT_LINES)[1]:
            self._write(f"{INDENT}{self._symbols.bar} {line}".rstrip())

    def end(self, proofs: Sequence[Proof], *, seconds: float, total: int) -> None:
        """The sum, after every box that was not proven, worst first."""
        if len(proofs) > 1:
            # Not the boxes without control: there may be many, and nothing more is known of them.
            short = [proof for answer in _WORST_FIRST[:-1] for proof in proofs if proof.answer is answer]
            if short:
                self._write("")
            for proof in short:
                self._write(f"{spelled(proof.answer):<15}  {proof.box.id} {one_line(proof.box.title)}")
        self._write("")
        if len(proofs) < total:
            self._write(f"interrupted: {count_boxes(total - len(proofs))} without an answer")
        self._write(f"{sentence(proofs)} {self._symbols.dot} {seconds:.1f} s")

    def _write(self, line: str) -> None:
        clear = "\r\x1b[2K" if self._shown else ""
        self._shown = ""
        self._out.write(f"{clear}{encodable(line, self._out.encoding)}\n")
        self._out.flush()


def spelled(answer: Answer) -> str:
    """An answer as people write it."""
    return _WORDS.get(answer, answer.value)


def sentence(proofs: Sequence[Proof]) -> str:
    """`12 boxes, 12 proved able to fail`, or `12 boxes, 10 proved able to fail: 1 blind, 1 stale`."""
    counts = {answer: sum(proof.answer is answer for proof in proofs) for answer in Answer}
    rest = ", ".join(f"{counts[answer]} {spelled(answer)}" for answer in _WORST_FIRST if counts[answer])
    said = f"{count_boxes(len(proofs))}, {counts[Answer.PROVEN]} proved able to fail"
    return f"{said}: {rest}" if rest else said


def document(proofs: Sequence[Proof], *, seconds: float, exit_code: int) -> dict[str, Any]:
    """The JSON form, `runner.falsify/1`. Times are seconds."""
    counts = {answer.value: sum(proof.answer is answer for proof in proofs) for answer in Answer}
    return {
        "schema": SCHEMA,
        "boxes": [_entry(proof) for proof in proofs],
        "summary": {"boxes": len(proofs), **counts, "seconds": round(seconds, 3), "exit_code": exit_code},
    }


def write_document(path: str, stdout: TextIO, content: dict[str, Any]) -> None:
    """Write the JSON to `path`, replacing it at once, or to `stdout` when the path is `-`."""
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    if path == "-":
        stdout.write(encodable(text, stdout.encoding))
        stdout.flush()
        return
    write_whole(path, [text])


def _entry(proof: Proof) -> dict[str, Any]:
    box = proof.box
    return {
        "suite": box.id.suite,
        "box": box.id.number,
        "tier": box.tier,
        "title": box.title,
        "answer": proof.answer.value,
        "reason": proof.reason,
        "expect": proof.expect,
        "went_red": list(proof.went_red),
        "baseline": proof.baseline,
        "sabotaged": proof.sabotaged,
        "control": box.control.where if box.control else "",
        "suggestion": proof.suggestion,
        "seconds": round(proof.seconds, 3),
    }


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns
    except OSError:
        return 80
