"""`/boxes skip … because "…"`: somebody answers for boxes on this head."""

from __future__ import annotations

from bot.domain.commands.asked import Skip
from bot.domain.commands.authority import Refused
from bot.domain.report import count
from bot.domain.run_states import OPEN
from bot.domain.trust import WRITERS
from bot.flows import record, republish
from bot.flows.commands import head
from bot.flows.commands.order import Done, Scene, Started
from bot.store.excuses import Excuse
from runner.errors import NothingSelected
from runner.select import select


async def hindrance(scene: Scene, command: Skip) -> Refused | None:
    """Why nobody may answer for these boxes here."""
    if (refused := head.hindrance(scene, command.at)) is not None:
        return refused
    known = await head.told(scene)
    if known is None:
        return head.NOT_TOLD
    own = scene.order.actor.lower() == scene.pull.author_login.lower()
    if own and (scene.pull.head_is_fork or known.run.trust not in {"T0", "T1"} or scene.permission not in WRITERS):
        return Refused("own_untrusted", "the author of an untrusted pull request cannot answer for its boxes")
    if (refused := await head.unknown(scene, command.selection)) is not None:
        return refused
    if not _chosen(scene, command, known):
        return Refused("unknown_box", "no box is red on this head")
    return None


async def carry_out(scene: Scene, command: Skip, nth: int) -> Done:
    """Remember it for the boxes by their ids, show it, and run at once what they alone held back."""
    known = await head.told(scene)
    assert known is not None, "`hindrance` found it"
    order = scene.order
    excuse = Excuse(
        id=scene.name(nth),
        repo_id=order.repo_id,
        pr=scene.pull.number,
        head_sha=scene.pull.head_sha,
        selection=",".join(_chosen(scene, command, known)),
        by=order.actor,
        because=command.because,
        given_at=scene.now,
    )
    await scene.ctx.excuses.give(excuse)
    shown = republish.Republish(
        repo_id=order.repo_id,
        repo=order.repo,
        installation_id=order.installation_id,
        branch="",
        pr=scene.pull.number,
    )
    again = Started(republish.NAME, f"republish:{scene.name(nth)}", shown)
    after = await head.told(scene)
    assert after is not None
    if after.run.state in OPEN or after.state.red:
        return Done(started=(again,))
    if held := [str(box.box) for box in after.state.boxes if box.result and not box.executed]:
        run_id = await head.start(scene, ",".join(held), nth)
        return Done(
            (run_id,),
            f"{count(len(held), 'box')} that it held back {'runs' if len(held) == 1 else 'run'} now.",
            (again,),
        )
    if after.state.green and after.scrutiny.waits:
        return Done((await head.start(scene, "failed", nth, prove="all"),), started=(again,))
    return Done(started=(again,))


def _chosen(scene: Scene, command: Skip, known: head.Head) -> list[str]:
    """The ids of the boxes that are meant now; `failed` are those that are red at this moment."""
    boxes = record.boxes(scene.ctx.files(known.run))
    red = [box.box for box in known.state.boxes if box.red]
    try:
        return [str(box.id) for box in select(command.selection, boxes, failed=red)]
    except NothingSelected:
        return []
