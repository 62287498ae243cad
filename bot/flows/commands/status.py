"""`/boxes status`: how the runs of the head stand."""

from __future__ import annotations

from bot.domain import answers
from bot.domain.deploy.comment import overview
from bot.domain.progress import Progress
from bot.domain.report import RunState as Shown
from bot.domain.run_states import GIVEN_UP, OPEN, RunState
from bot.flows import holds
from bot.flows.commands import deployments, head
from bot.flows.commands.order import Done, Scene
from bot.store.runs import Run


async def carry_out(scene: Scene) -> Done:
    """One table."""
    runs = await head.runs(scene)
    open_now = [run for run in reversed(runs) if run.state in OPEN]
    # What executes is news; what waits behind it is not yet.
    told = next(
        (run for run in open_now if run.state is RunState.RUNNING), next(iter(open_now), next(iter(runs), None))
    )
    state = await holds.state_of(scene.ctx, told) if told else Progress()
    hold = await holds.hold_of(scene.ctx, [told]) if told else ""
    said = answers.status(
        facts(scene, told) if told else None,
        state,
        head_sha=scene.pull.head_sha,
        waiting=[run.number for run in open_now if run is not told],
        hold=hold,
    )
    deployed = overview(await deployments.of_pull(scene))
    return Done(said=f"{said}\n\n{deployed}" if deployed else said)


def facts(scene: Scene, run: Run) -> answers.RunFacts:
    """A run as answers show it."""
    return answers.RunFacts(
        number=run.number,
        url=scene.ctx.links.url(run.number),
        shown=shown(run),
        ended=run.because if run.state in {RunState.REFUSED, *GIVEN_UP} else "",
    )


def shown(run: Run) -> Shown:
    """Whether it waits, lives or has ended."""
    if run.state not in OPEN:
        return Shown.FINISHED
    return Shown.RUNNING if run.state is RunState.RUNNING else Shown.QUEUED
