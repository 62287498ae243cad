"""The JSON document of `runner falsify`, schema runner.falsify/1. It only grows."""

from __future__ import annotations

import json

from runner.proof import Answer
from runner.report.proofs import Silent
from runner.report.text import encodable
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

    from runner.proof import Proof
    from runner.report.proofs import Ended

SCHEMA = "runner.falsify/1"


class ProofsJson(Silent):
    """Writes the document when all is over: to a file, replacing it at once, or to `stdout` when the path is `-`.

    `sandbox` is the level on which the boxes ran.
    """

    def __init__(self, path: str, stdout: TextIO, *, sandbox: str = "off") -> None:
        self._path = path
        self._stdout = stdout
        self._sandbox = sandbox

    def end(self, ended: Ended) -> None:
        """Write it."""
        text = json.dumps(document(ended, sandbox=self._sandbox), ensure_ascii=False, indent=2) + "\n"
        if self._path == "-":
            self._stdout.write(encodable(text, self._stdout.encoding))
            self._stdout.flush()
            return
        write_whole(self._path, [text])


def document(ended: Ended, *, sandbox: str) -> dict[str, Any]:
    """What is written. Times are seconds."""
    proofs = ended.proofs
    counts = {answer.value: sum(proof.answer is answer for proof in proofs) for answer in Answer}
    return {
        "schema": SCHEMA,
        "boxes": [_entry(proof) for proof in proofs],
        "summary": {
            "boxes": len(proofs),
            **counts,
            "reused": sum(proof.cached for proof in proofs),
            "seconds": round(ended.seconds, 3),
            "exit_code": ended.exit_code,
            "sandbox": sandbox,
        },
    }


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
        "control": proof.control,
        "automatic": proof.automatic,
        "broke": list(proof.broke),
        "cached": proof.cached,
        "suggestion": proof.suggestion,
        "source": box.source,
        "line": box.line,
        "seconds": round(proof.seconds, 3),
    }
