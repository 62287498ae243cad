"""The report of `runner falsify` for people: a line per box as it is answered, then the sum."""

from __future__ import annotations

import os

from runner.proof import Answer
from runner.report.proofs import not_proven, sentence, spelled, spelled_of
from runner.report.text import count_boxes, duration, encodable, last_lines, one_line, symbols_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from runner.proof import Proof
    from runner.report.proofs import Ended

INDENT = "    "
OUTPUT_LINES = 10


class ProofsText:
    """Writes answers as they come. On a terminal a status line shows what is being falsified."""

    def __init__(self, out: TextIO, *, total: int, sandbox: str = "") -> None:
        self._out = out
        self._symbols = symbols_for(out.encoding)
        self._terminal = out.isatty()
        self._total = total
        self._sandbox = sandbox
        self._answered = 0
        self._shown = ""

    def say(self, line: str) -> None:
        """A line of its own."""
        self._write(one_line(line))

    def running(self, boxes: Sequence[str]) -> None:
        """Show what runs now, in the status line."""
        line = f"{self._answered}/{self._total}  {', '.join(boxes)}"
        if self._terminal and boxes and line != self._shown:
            self._shown = line
            line = line[: max(1, _columns() - 1)]
            self._out.write(f"\r\x1b[2K{encodable(line, self._out.encoding)}")
            self._out.flush()

    def add(self, proof: Proof) -> None:
        """A line, and for what is not proven all that helps to mend it."""
        self._answered += 1
        mark = {Answer.PROVEN: self._symbols.passed, Answer.NO_CONTROL: self._symbols.idle}.get(
            proof.answer, self._symbols.red
        )
        took = f"  {duration(proof.seconds)}" if proof.seconds and not proof.cached else ""
        self._write(f"{mark} {proof.box.id} {one_line(proof.box.title)}  {spelled_of(proof)}{took}")
        if proof.answer in {Answer.PROVEN, Answer.NO_CONTROL}:
            return
        self._write(f"{INDENT}{one_line(proof.reason)}")
        if proof.control and not proof.automatic:
            self._write(f"{INDENT}{one_line(proof.control)}")
        if proof.suggestion:
            self._write(f"{INDENT}add to its control:  {one_line(proof.suggestion)}")
        for line in last_lines(proof.output, OUTPUT_LINES)[1]:
            self._write(f"{INDENT}{self._symbols.bar} {line}".rstrip())

    def end(self, ended: Ended) -> None:
        """The sum, after every box that was not proven, worst first."""
        proofs = ended.proofs
        if len(proofs) > 1:
            short = not_proven(proofs)
            if short:
                self._write("")
            for proof in short:
                self._write(f"{spelled(proof.answer):<15}  {proof.box.id} {one_line(proof.box.title)}")
        self._write("")
        if len(proofs) < ended.total:
            self._write(f"interrupted: {count_boxes(ended.total - len(proofs))} without an answer")
        where = f" {self._symbols.dot} sandbox: {self._sandbox}" if self._sandbox else ""
        self._write(f"{sentence(proofs)} {self._symbols.dot} {ended.seconds:.1f} s{where}")

    def _write(self, line: str) -> None:
        clear = "\r\x1b[2K" if self._shown else ""
        self._shown = ""
        self._out.write(f"{clear}{encodable(line, self._out.encoding)}\n")
        self._out.flush()


def _columns() -> int:
    try:
        return os.get_terminal_size(2).columns
    except OSError:
        return 80
