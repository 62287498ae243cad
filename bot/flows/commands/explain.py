"""`/boxes explain N`: all that is known of one box on the head."""

from __future__ import annotations

from bot.domain import answers
from bot.domain.commands.asked import Explain
from bot.domain.commands.authority import Refused
from bot.flows import record
from bot.flows.commands import head
from bot.flows.commands.order import Done, Scene
from bot.flows.showing import shown
from runner.model import BoxId


async def hindrance(scene: Scene, command: Explain) -> Refused | None:
    """Why there is nothing to tell."""
    if await head.told(scene) is None:
        return head.NOT_TOLD
    return await head.unknown(scene, command.box)


async def carry_out(scene: Scene, command: Explain) -> Done:
    """One section."""
    known = await head.told(scene)
    assert known, "`hindrance` found it"
    box = next(box for box in known.state.boxes if box.box == BoxId.read(command.box))
    listed = next(
        raw for raw in record.listed(scene.ctx.files(known.run)) if BoxId(raw["suite"], raw["box"]) == box.box
    )
    about = shown(scene.ctx, known.run, known.state)
    said = answers.explained(box, listed, known.scrutiny, run_url=about.run_url, repro=about.repro)
    return Done(said=said)
