"""The buttons of a check run, and the words of the workflow action, as the commands that they are."""

from __future__ import annotations

from bot.domain.buttons import RERUN_ALL, RERUN_FAILED

PRESSED = {RERUN_FAILED: "/boxes rerun failed", RERUN_ALL: "/boxes rerun all"}
"""What pressing a button is the same as, by whoever presses it."""

ACTION_INPUTS = {"select": "run", "falsify": "falsify"}
"""Inputs of the workflow action that say what a command says, and the topic of that command."""


def command_of(identifier: str) -> str | None:
    """The command behind a button; None for a button that has none."""
    return next((command for button, command in PRESSED.items() if button.identifier == identifier), None)
