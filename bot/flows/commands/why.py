"""`/boxes why`: everything that holds the pull request, and who can change it."""

from __future__ import annotations

from bot.domain import answers
from bot.domain.answers import Gate, who_may
from bot.domain.commands.asked import Why
from bot.domain.deploy.comment import what_holds
from bot.domain.progress import Progress
from bot.domain.run_states import OPEN, RunState
from bot.domain.scrutiny import NOTHING_KNOWN
from bot.domain.text import code, plain
from bot.flows import holds
from bot.flows.commands import deployments, head
from bot.flows.commands.order import Done, Scene
from bot.flows.commands.status import shown

MAINTAINER = "someone who maintains the repository"


async def carry_out(scene: Scene, command: Why) -> Done:
    """Read what is known of the head, and tell it."""
    known = await head.told(scene)
    state, scrutiny = (known.state, known.scrutiny) if known else (Progress(), NOTHING_KNOWN)
    sha = scene.pull.head_sha
    if command.box:
        box = next((box for box in state.boxes if str(box.box) == command.box), None)
        return Done(said=answers.why_box(box, named=command.box, head_sha=sha))
    gates = [*await _of_head(scene, known), *await _freeze(scene), *await _other_pulls(scene)]
    said = answers.held(gates, head_sha=sha, progress=state, scrutiny=scrutiny)
    waiting = what_holds(await deployments.of_pull(scene, gates=True))
    return Done(said=f"{said}\n\n{waiting}" if waiting else said)


async def _of_head(scene: Scene, known: head.Head | None) -> list[Gate]:
    """What its runs have found; the newest decides which of them."""
    runs = await head.runs(scene)
    if scene.pull.state != "open":
        return [Gate("the pull request is closed", "whoever may reopen it")]
    if not runs:
        return [Gate("nothing has run for this commit yet", who_may("/boxes run all"))]
    newest = runs[0]
    if newest.state is RunState.REFUSED:
        return [Gate(plain(newest.because, 600), await _who_permits(scene))]
    if known is None:
        return [Gate(f"its run {newest.number} is {newest.state}", who_may("/boxes rerun all"))]
    if newest.state in {RunState.CANCELLED, RunState.SUPERSEDED} and newest.conclusion:
        return [Gate(plain(newest.because, 600), who_may("/boxes rerun all"))]
    gates = list(answers.verdict_gates(known.state, known.scrutiny, shown(known.run)))
    if not gates and newest.state is RunState.FINISHED and newest.conclusion != "success":
        gates.append(Gate(plain(newest.because, 600), who_may("/boxes rerun all")))
    return gates


async def _who_permits(scene: Scene) -> str:
    """Who lets a refused head run: of a stranger's, whoever permits it."""
    sha = scene.pull.head_sha
    permit = await scene.ctx.permits.of(scene.order.repo_id, scene.pull.number, sha)
    if scene.pull.head_is_fork and permit is None:
        return who_may(f"/ok-to-test {sha}")
    return "the check says who can do what"


async def _freeze(scene: Scene) -> list[Gate]:
    """The freeze of the base, if there is one."""
    ctx, base = scene.ctx, scene.pull.base_ref
    said = await holds.hold_on(ctx, scene.order.repo_id, base)
    if not said:
        return []
    return [
        Gate(plain(said, 600), f"{MAINTAINER}: {code(f'/unfreeze {base}')}, or {code('/unfreeze')} if all is frozen")
    ]


async def _other_pulls(scene: Scene) -> list[Gate]:
    """Other pull requests of the same head: one check stands for all of them."""
    order = scene.order
    others = await scene.ctx.runs.of_other_pulls(order.repo_id, scene.pull.head_sha, scene.pull.number)
    return [
        Gate(f"pull request {code(f'#{other.pr}')} has the same head and is not green", "see there")
        for other in others
        if other.state in OPEN or other.conclusion != "success"
    ]
