"""JUnit XML of `runner falsify`: one testcase per box, one testsuite per tier. A box that is not proven is a failure.

A box without a control is a skip, or a failure when the command is strict; one that an interruption left unanswered is
an error. So no reader of the file takes for proven what was not.
"""

from __future__ import annotations

from runner.proof import Answer
from runner.report.junit import attribute, content
from runner.report.proofs import Silent, spelled
from runner.report.text import one_line
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.model import Box
    from runner.proof import Proof
    from runner.report.proofs import Ended

_OUTPUT_CHARS = 64 * 1024


class ProofsJunit(Silent):
    """Writes `path` when all is over, replacing it at once.

    Args:
        path: the file.
        boxes: those that were asked for.
        strict: whether a box without a control is a failure.
    """

    def __init__(self, path: str, boxes: Sequence[Box], *, strict: bool) -> None:
        self._path = path
        self._boxes = tuple(boxes)
        self._strict = strict

    def end(self, ended: Ended) -> None:
        """Write it."""
        write_whole(self._path, self._document(ended))

    def _document(self, ended: Ended) -> Iterator[str]:
        proofs = {proof.box.id: proof for proof in ended.proofs}
        cases = [(box, proofs.get(box.id)) for box in self._boxes]
        yield '<?xml version="1.0" encoding="UTF-8"?>\n'
        yield f'<testsuites name="interlock falsify" {self._counts(cases)} time="{ended.seconds:.3f}">\n'
        for tier in sorted({box.tier for box in self._boxes}):
            inside = [case for case in cases if case[0].tier == tier]
            seconds = sum(proof.seconds for _, proof in inside if proof)
            yield f'  <testsuite name="falsify tier {tier}" {self._counts(inside)} time="{seconds:.3f}">\n'
            for box, proof in inside:
                yield self._case(box, proof)
            yield "  </testsuite>\n"
        yield "</testsuites>\n"

    def _counts(self, cases: Sequence[tuple[Box, Proof | None]]) -> str:
        kinds = [self._kind(proof) for _, proof in cases]
        sums = {name: kinds.count(kind) for name, kind in _COUNTED.items()}
        return " ".join([f'tests="{len(kinds)}"', *(f'{name}="{count}"' for name, count in sums.items())])

    def _kind(self, proof: Proof | None) -> str:
        if proof is None:
            return "error"
        if proof.answer is Answer.NO_CONTROL and not self._strict:
            return "skipped"
        return "" if proof.answer is Answer.PROVEN else "failure"

    def _case(self, box: Box, proof: Proof | None) -> str:
        name = attribute(f"{box.id} {one_line(box.title)}")
        place = f' file="{attribute(box.source)}" line="{box.line}"' if box.source else ""
        seconds = proof.seconds if proof else 0.0
        opened = f'    <testcase name="{name}" classname="falsify.tier-{box.tier}"{place} time="{seconds:.3f}">\n'
        return f"{opened}{_properties(proof)}{_outcome(self._kind(proof), proof)}    </testcase>\n"


_COUNTED = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def _properties(proof: Proof | None) -> str:
    pairs = {
        "answer": proof.answer.value if proof else "",
        "control": proof.control if proof else "",
        "automatic": "true" if proof and proof.automatic else "",
        "reused": "true" if proof and proof.cached else "",
    }
    lines = [
        f'        <property name="{name}" value="{attribute(value)}"/>\n' for name, value in pairs.items() if value
    ]
    return "".join(["      <properties>\n", *lines, "      </properties>\n"]) if lines else ""


def _outcome(kind: str, proof: Proof | None) -> str:
    if proof is None:
        return '      <error type="unanswered" message="falsification was interrupted before this box"/>\n'
    said = attribute(f"{spelled(proof.answer)}: {one_line(proof.reason)}")
    if kind == "skipped":
        return f'      <skipped message="{said}"/>\n'
    if not kind:
        return ""
    hint = content(f"add to its control:  {proof.suggestion}") if proof.suggestion else ""
    element = f'      <failure type="{proof.answer.value}" message="{said}">{hint}</failure>\n'
    output = proof.output[-_OUTPUT_CHARS:]
    return f"{element}      <system-out>{content(output)}</system-out>\n" if output else element
