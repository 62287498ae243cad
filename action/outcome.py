"""What the step says about the run to the steps after it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from runner.events import BoxFinished, RunStarted, SetupFinished, read
from runner.report.text import is_red
from runner.verdict import (
    EXIT_CONFIGURATION,
    EXIT_GREEN,
    EXIT_INTERRUPTED,
    EXIT_NOTHING_SELECTED,
    EXIT_RED,
    EXIT_USAGE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.events import Event


class Reason(StrEnum):
    """Why a step ended as it did; the words only grow. docs/reference/action.md says what they mean."""

    GREEN = "green"
    RED = "red"
    SETUP_FAILED = "setup_failed"
    NOT_PROVEN = "not_proven"
    USAGE = "usage"
    CONFIGURATION = "configuration"
    NO_PYTHON = "no_python"  # said by start.sh
    FORK_CODE = "fork_code"
    NOTHING_SELECTED = "nothing_selected"
    INTERRUPTED = "interrupted"
    INTERNAL = "internal"
    NO_DEPENDENCIES = "no_dependencies"


_REASONS = {
    EXIT_GREEN: Reason.GREEN,
    EXIT_RED: Reason.RED,
    EXIT_USAGE: Reason.USAGE,
    EXIT_CONFIGURATION: Reason.CONFIGURATION,
    EXIT_NOTHING_SELECTED: Reason.NOTHING_SELECTED,
    EXIT_INTERRUPTED: Reason.INTERRUPTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the step ends.

    Attributes:
        code: its exit code.
        reason: why.
        files: the outputs `report` and `junit`.
    """

    code: int
    reason: Reason
    total: int = 0
    green: int = 0
    red: int = 0
    files: dict[str, str] = field(default_factory=dict)

    def outputs(self) -> dict[str, str]:
        """Every output of action.yml."""
        return {
            "conclusion": "failure" if self.code else "success",
            "reason": self.reason.value,
            "total": str(self.total),
            "green": str(self.green),
            "red": str(self.red),
            "report": self.files.get("report", ""),
            "junit": self.files.get("junit", ""),
        }


def reason_of(code: int) -> Reason:
    """Why the runner ended with this exit code; above 128 it was ended by a signal."""
    return _REASONS.get(code, Reason.INTERRUPTED if code > 128 else Reason.INTERNAL)


def outcome(code: int, events: Iterable[Event]) -> Outcome:
    """What a run's exit code and its events come to. Only the code decides whether it was green."""
    total = green = red = 0
    reason = reason_of(code)
    for event in events:
        if isinstance(event, RunStarted):
            total = len(event.boxes)
        elif isinstance(event, BoxFinished):
            green += event.green
            red += is_red(event)
        elif isinstance(event, SetupFinished) and not event.ok and code == EXIT_RED:
            reason = Reason.SETUP_FAILED
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
