"""What the step says about the run to the steps after it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.events import BoxFinished, RunStarted, SetupFinished, read
from runner.report.text import is_red
from runner.verdict import (
    EXIT_CONFIGURATION,
    EXIT_GREEN,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_NOTHING_SELECTED,
    EXIT_RED,
    EXIT_USAGE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.events import Event

REASONS = {
    EXIT_GREEN: "green",
    EXIT_RED: "red",
    EXIT_USAGE: "usage",
    EXIT_CONFIGURATION: "configuration",
    EXIT_NOTHING_SELECTED: "nothing_selected",
    EXIT_INTERRUPTED: "interrupted",
    EXIT_INTERNAL: "internal",
}
"""Why, by the runner's exit code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the step ends.

    Attributes:
        code: its exit code.
        reason: one word; see docs/reference/action.md for all of them.
        files: the outputs `report` and `junit`.
    """

    code: int
    reason: str
    total: int = 0
    green: int = 0
    red: int = 0
    files: dict[str, str] = field(default_factory=dict)

    def outputs(self) -> dict[str, str]:
        """Every output of action.yml."""
        return {
            "conclusion": "failure" if self.code else "success",
            "reason": self.reason,
            "total": str(self.total),
            "green": str(self.green),
            "red": str(self.red),
            "report": self.files.get("report", ""),
            "junit": self.files.get("junit", ""),
        }


def outcome(code: int, events: Iterable[Event]) -> Outcome:
    """What a run's exit code and its events come to. Only the code decides whether it was green."""
    total = green = red = 0
    reason = REASONS.get(code, "interrupted" if code > 128 else "internal")
    for event in events:
        if isinstance(event, RunStarted):
            total = len(event.boxes)
        elif isinstance(event, BoxFinished):
            green += event.green
            red += is_red(event)
        elif isinstance(event, SetupFinished) and not event.ok and code == EXIT_RED:
            reason = "setup_failed"
    return Outcome(code=code, reason=reason, total=total, green=green, red=red)


def outcome_of(code: int, report: str) -> Outcome:
    """The same from the file of an event stream, which may be missing."""
    try:
        with open(report, encoding="utf-8", errors="replace") as stream:
            return outcome(code, read(stream))
    except OSError:
        return outcome(code, ())


def write(outputs: dict[str, str], path: str) -> None:
    """Make these the step's outputs, and nothing else: a box that found the file has said nothing in it."""
    text = ""
    for name, value in outputs.items():
        mark = os.urandom(16).hex()
        text += f"{name}<<{mark}\n{value}\n{mark}\n"
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
