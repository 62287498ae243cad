"""`/boxes falsify`: prove now that boxes of the head can turn red."""

from __future__ import annotations

from bot.domain.commands.asked import Falsify
from bot.domain.commands.authority import Refused
from bot.flows import record
from bot.flows.commands import head
from bot.flows.commands.order import Done, Scene
from runner.select import select


async def hindrance(scene: Scene, command: Falsify) -> Refused | None:
    """Why there is nothing to prove."""
    if (refused := head.hindrance(scene, command.at) or await head.unknown(scene, command.selection)) is not None:
        return refused
    known = await head.told(scene)
    if known is None:
        return head.NOT_TOLD
    boxes = record.boxes(scene.ctx.files(known.run))
    red = [box.box for box in known.state.boxes if box.red]
    if command.selection.strip().lower() == "failed" and not red:
        return Refused("nothing_green", "a box has to be green before it can be proved, and this names the red ones")
    wanted = {box.id for box in select(command.selection, boxes, failed=red)}
    if not any(box.green for box in known.state.boxes if box.box in wanted):
        return Refused("nothing_green", "none of these boxes is green on this head, and only a green box can be proved")
    return None


async def carry_out(scene: Scene, command: Falsify, nth: int) -> Done:
    """Open a run that keeps every verdict and proves the boxes; the check shows the answers when they are there."""
    return Done(runs=(await head.start(scene, "failed", nth, prove=command.selection),))
