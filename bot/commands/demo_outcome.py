"""What the demo's steps came to: values, and the JSON document made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SCHEMA = "interlock.demo/1"


class DidNotHappen(Exception):
    """A step did not come to pass; the message is a sentence with what was seen instead."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step observed: `lines` for people, `facts` for machines."""

    lines: tuple[str, ...]
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """A step that was played. `facts` can be written as JSON."""

    name: str
    title: str
    ok: bool
    seconds: float
    lines: tuple[str, ...]
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The whole demonstration.

    Attributes:
        steps: those that were played, in order; none follows one that did not happen, but for clearing the stage.
        seconds: from the start to the cleared stage.
        where: addresses and commands by what they lead to.
        comment: the pull request's sticky comment at the end, as Markdown.
    """

    steps: tuple[StepOutcome, ...]
    seconds: float
    where: Mapping[str, str]
    comment: str

    @property
    def ok(self) -> bool:
        """Every step happened."""
        return bool(self.steps) and all(step.ok for step in self.steps)

    def document(self) -> dict[str, object]:
        """The JSON form; it only grows."""
        steps = [
            {"name": step.name, "ok": step.ok, "seconds": round(step.seconds, 3), "evidence": dict(step.facts)}
            for step in self.steps
        ]
        return {
            "schema": SCHEMA,
            "ok": self.ok,
            "seconds": round(self.seconds, 3),
            "steps": steps,
            "comment": self.comment,
            "where": dict(self.where),
        }
