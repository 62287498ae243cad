"""`/boxes run` and `/boxes rerun`: boxes of the head, once more."""

from __future__ import annotations

from bot.domain.commands.asked import Rerun, Run
from bot.domain.commands.authority import Refused
from bot.flows.commands import head
from bot.flows.commands.order import Done, Scene


async def hindrance(scene: Scene, command: Run | Rerun) -> Refused | None:
    """Why it cannot be done."""
    return head.hindrance(scene, command.at) or await head.unknown(scene, command.selection)


async def carry_out(scene: Scene, command: Run | Rerun, nth: int) -> Done:
    """Open the run; it begins when earlier ones of this head have ended."""
    return Done(runs=(await head.start(scene, command.selection, nth),))
