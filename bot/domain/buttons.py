"""The buttons of a finished check run; `bot.domain.commands.buttons` has the commands that they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A button as GitHub shows it: at most 20 characters of identifier and of label, 40 of description."""

    identifier: str
    label: str
    description: str


RERUN_FAILED = Button(identifier="rerun_failed", label="Rerun failed", description="Run the boxes that are not green")
RERUN_ALL = Button(identifier="rerun_all", label="Rerun all", description="Run every box on the base of now")
EXPLAIN = Button(identifier="explain", label="Explain", description="Answer with what failed, and how to see")


def on(*, green: bool, has_comments: bool) -> tuple[Button, ...]:
    """What a finished check offers; an explanation needs a pull request to be written to, and something red."""
    if green:
        return (RERUN_ALL,)
    return (RERUN_FAILED, RERUN_ALL, *((EXPLAIN,) if has_comments else ()))
