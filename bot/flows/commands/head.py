"""What is known of the head that a command is about: its runs, their boxes, and how they stand."""

from __future__ import annotations

from dataclasses import dataclass

from bot.domain.commands.authority import Refused
from bot.domain.commands.pinning import other_than_meant
from bot.domain.progress import Progress
from bot.domain.scrutiny import Scrutiny
from bot.domain.wanted import mistake_in
from bot.flows import holds, record
from bot.flows.commands.order import Scene
from bot.flows.requests import open_run
from bot.store.runs import Run

NOT_TOLD = Refused("no_run", "no run of this head has told its boxes yet; say it again when its checks are there")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest run of the head that has told its boxes, and what its record says."""

    run: Run
    state: Progress
    scrutiny: Scrutiny


def hindrance(scene: Scene, at: str) -> Refused | None:
    """Why nothing can be started on the head: the pull request is over, or another commit was meant."""
    pull = scene.pull
    if pull.state != "open":
        return Refused("closed", f"the pull request is {'merged' if pull.merged else pull.state}")
    return other_than_meant(at, head_sha=pull.head_sha, is_fork=pull.head_is_fork)


async def unknown(scene: Scene, selection: str) -> Refused | None:
    """What is wrong with a selection on the head, as far as its boxes are known by now."""
    head = await told(scene)
    if head is None:
        return None
    mistake = mistake_in(selection, record.boxes(scene.ctx.files(head.run)))
    return Refused("unknown_box", mistake) if mistake else None


async def told(scene: Scene) -> Head | None:
    """The newest run of the head whose boxes are known; None before there is one."""
    ctx = scene.ctx
    for run in await runs(scene):
        files = ctx.files(run)
        if record.expected(files):
            return Head(run=run, state=await holds.state_of(ctx, run), scrutiny=record.scrutiny(files))
    return None


async def runs(scene: Scene) -> list[Run]:
    """Every run of the head in this pull request, newest first."""
    return await scene.ctx.runs.of_head(scene.order.repo_id, scene.pull.number, scene.pull.head_sha)


async def start(scene: Scene, selection: str, nth: int, *, prove: str = "") -> str:
    """Open a run of the head in the order's name; its id. Safe to repeat."""
    order = scene.order
    run = await open_run(
        scene.ctx,
        installation_id=order.installation_id,
        repo_id=order.repo_id,
        repo=order.repo,
        pr=scene.pull.number,
        head_sha=scene.pull.head_sha,
        base_ref=scene.pull.base_ref,
        selection=selection,
        again=f"{order.run_prefix}.{nth}",
        delivery=order.id[:64],
        prove=prove,
    )
    return run.id
