"""The buttons of a check run as the commands that they are."""

from __future__ import annotations

from bot.domain.buttons import RERUN_ALL, RERUN_FAILED
from bot.domain.commands.asked import Rerun
from bot.domain.commands.entry import Surface
from bot.domain.commands.registry import parse_line

PRESSED = {RERUN_FAILED: "/boxes rerun failed", RERUN_ALL: "/boxes rerun all"}
"""What pressing a button is the same as, by whoever presses it."""


def rerun_of(identifier: str) -> Rerun | None:
    """What a button runs again; None for a button that runs nothing."""
    command = next((command for button, command in PRESSED.items() if button.identifier == identifier), "")
    asked = parse_line(command, Surface.BUTTON)
    return asked if isinstance(asked, Rerun) else None
