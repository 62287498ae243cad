"""What a gate answers: always with the sentence that people read, and who can change it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Pass:
    """The gate holds nobody. Sentences are plain text without a full stop."""

    because: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet; `way_out` says who can do what, or when it passes by itself."""

    because: str
    way_out: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """Never, for this deployment."""

    because: str
    way_out: str = ""


Answer = Pass | Wait | Deny


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate and what it answered; `name` is `boxes`, `approvals`, `reviewers`, `frozen`, `lock`, `order`, … ."""

    name: str
    answer: Answer


def verdict(gates: tuple[Gate, ...]) -> Answer:
    """What all of them say together: one denial denies, one that waits makes all wait."""
    for kind in (Deny, Wait):
        for gate in gates:
            if isinstance(gate.answer, kind):
                return gate.answer
    return Pass("every gate passes")


Word = Literal["pass", "wait", "deny"]

_WORDS: dict[Word, type[Pass | Wait | Deny]] = {"pass": Pass, "wait": Wait, "deny": Deny}


def word_of(answer: Answer) -> Word:
    """What an answer is called where it is written down."""
    return next(word for word, kind in _WORDS.items() if isinstance(answer, kind))


def gates_to_text(gates: tuple[Gate, ...]) -> str:
    """The answers as a row keeps them: JSON, each with gate, answer (pass, wait or deny), because and way_out."""
    rows = [
        {
            "gate": gate.name,
            "answer": word_of(gate.answer),
            "because": gate.answer.because,
            "way_out": "" if isinstance(gate.answer, Pass) else gate.answer.way_out,
        }
        for gate in gates
    ]
    return json.dumps(rows, ensure_ascii=False)


def gates_from_text(text: str) -> tuple[Gate, ...]:
    """The answers of what `gates_to_text` made; none of ""."""
    rows = json.loads(text) if text else []
    return tuple(Gate(row["gate"], _answer(row["answer"], row["because"], row["way_out"])) for row in rows)


def _answer(word: str, because: str, way_out: str) -> Answer:
    match word:
        case "pass":
            return Pass(because)
        case "wait":
            return Wait(because, way_out)
        case _:
            return Deny(because, way_out)
