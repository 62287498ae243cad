"""What a gate answers: always with the sentence that people read, and who can change it."""

from __future__ import annotations

from dataclasses import dataclass


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
