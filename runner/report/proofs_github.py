"""The report of `runner falsify` inside a GitHub Actions step: annotations at the controls, and the step summary."""

from __future__ import annotations

from runner.proof import Answer
from runner.report.github import Console
from runner.report.proofs import Silent, not_proven, sentence, spelled, spelled_of
from runner.report.step_summary import escape, fit
from runner.report.text import UNICODE, count_boxes, duration, last_lines, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from runner.proof import Proof
    from runner.report.proofs import Ended

_OUTPUT_LINES = 100


class ProofsGithub(Silent):
    """Writes the step's log to `out`, and at the end the summary to `summary_path` unless that is "".

    `strict`: a box without a control is told as an error. `place`: what annotations put before each path.
    """

    def __init__(self, out: TextIO, *, summary_path: str = "", strict: bool = False, place: str = "") -> None:
        self._before = place
        self._console = Console(out)
        self._summary_path = summary_path
        self._strict = strict

    def say(self, line: str) -> None:
        """A line of its own."""
        self._console.say(line)

    def add(self, proof: Proof) -> None:
        """A line; for what is not proven a group with its output, and an annotation where its control stands."""
        took = f"  {duration(proof.seconds)}" if proof.seconds and not proof.cached else ""
        mark = {Answer.PROVEN: UNICODE.passed, Answer.NO_CONTROL: UNICODE.idle}.get(proof.answer, UNICODE.red)
        line = f"{mark} {proof.box.id} {one_line(proof.box.title)}  {spelled_of(proof)}{took}"
        if proof.answer is Answer.PROVEN or (proof.answer is Answer.NO_CONTROL and not self._strict):
            self._console.say(line)
            return
        said = [proof.reason, *([f"add to its control:  {proof.suggestion}"] if proof.suggestion else [])]
        self._console.group(line, last_lines(proof.output, _OUTPUT_LINES)[1], said)
        properties = {
            **_place(proof, self._before),
            "title": f"{proof.box.id} {proof.box.title}: {spelled(proof.answer)}",
        }
        self._console.command("error", properties, "\n".join(one_line(part, 2000) for part in said))

    def end(self, ended: Ended) -> None:
        """The sum, and the summary."""
        if len(ended.proofs) < ended.total:
            missing = count_boxes(ended.total - len(ended.proofs))
            self._console.command("error", {"title": "Interlock"}, f"interrupted: {missing} without an answer")
        self._console.say(f"{sentence(ended.proofs)} {UNICODE.dot} {ended.seconds:.1f} s")
        self._console.flush()
        if self._summary_path:
            with open(self._summary_path, "a", encoding="utf-8") as file:
                file.write(proofs_summary(ended))


def proofs_summary(ended: Ended) -> str:
    """The Markdown of the step summary: what is not proven, worst first, then everything else folded away. Pure."""
    state = "✅" if ended.exit_code == 0 else "❌"
    pieces = [f"### {state} Interlock: {escape(sentence(ended.proofs))}\n"]
    if len(ended.proofs) < ended.total:
        pieces.append(f"Interrupted: {count_boxes(ended.total - len(ended.proofs))} without an answer.\n")
    bad = not_proven(ended.proofs)
    if bad:
        pieces.append(_table(bad))
    known = {proof.box for proof in bad}
    rest = [proof for proof in ended.proofs if proof.box not in known]
    if rest:
        pieces.append(f"<details><summary>{len(rest)} more</summary>\n\n{_table(rest)}\n</details>\n")
    return fit(pieces)


def _table(proofs: Iterable[Proof]) -> str:
    rows = ["| box | tier | answer | |", "|--|--|--|--|"]
    for proof in proofs:
        why = proof.reason + (f"; add to its control: {proof.suggestion}" if proof.suggestion else "")
        cells = [f"{proof.box.id} {proof.box.title}", str(proof.box.tier), spelled_of(proof), why]
        rows.append("| " + " | ".join(escape(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _place(proof: Proof, before: str) -> dict[str, str]:
    """Where the control stands; the box itself when it has none of its own."""
    file, _, line = proof.control.rpartition(":")
    if proof.automatic or not file or not line.isdigit():
        file, line = proof.box.source, str(proof.box.line)
    return {"file": before + file, "line": line} if file else {}
