"""The buttons of a check run, and the words of the workflow action, as what they are: commands.

GitHub allows three buttons, with at most 20 characters of identifier and label and 40 of description.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Button:
    """A button: pressing it is the same as `command` in a comment by whoever presses."""

    identifier: str
    label: str
    description: str
    command: str


BUTTONS = (
    Button("rerun_failed", "Rerun failed", "Run what is red and what it held back", "/boxes rerun failed"),
    Button("rerun_all", "Rerun all", "Run every box again", "/boxes rerun all"),
    Button("explain", "Explain", "Say what holds it and who can help", "/boxes why"),
)

ACTION_INPUTS = {"select": "run", "falsify": "falsify"}
"""Inputs of the workflow action that say what a command says, and the topic of that command."""


def command_of(identifier: str) -> str | None:
    """The command behind a button; None for an identifier that is not ours."""
    return next((button.command for button in BUTTONS if button.identifier == identifier), None)
