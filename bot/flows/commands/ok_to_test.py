"""`/ok-to-test <sha>`: let exactly this commit of a stranger run. Whether that may be is for `permitting` to decide."""

from __future__ import annotations

from bot.domain.commands.asked import OkToTest
from bot.domain.commands.authority import Refused
from bot.flows import permitting
from bot.flows.commands.order import Done, Scene


async def carry_out(scene: Scene, command: OkToTest) -> Done | Refused:
    """Permit it, for what the comment said when it was written."""
    assert scene.order.comment, "the registry offers it in comments alone"
    answer = await permitting.permit(scene.ctx, scene.order.comment, command.sha)
    if isinstance(answer, permitting.Refused):
        return Refused(answer.reason, answer.because)
    return Done(runs=(answer.run_id,))
