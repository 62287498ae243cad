"""`/freeze` and `/unfreeze`: hold every pull request into a branch, and let go of them."""

from __future__ import annotations

from bot.domain.commands.asked import Freeze, Unfreeze
from bot.domain.commands.authority import Refused
from bot.domain.freeze import Freeze as Window
from bot.domain.freeze import moment
from bot.domain.text import code
from bot.flows import republish
from bot.flows.commands.order import Done, Scene, Started
from bot.flows.nudges import ConsiderAll
from bot.github.errors import Forbidden, NotFound, UnexpectedAnswer
from bot.github.pulls import branch_head


async def hindrance(scene: Scene, command: Freeze) -> Refused | None:
    """A freeze that is over before it begins is a slip of the pen."""
    if command.until is not None and command.until <= scene.now:
        return Refused("past", f"{moment(command.until)} is not in the future; it is {moment(scene.now)}")
    return None


async def carry_out(scene: Scene, command: Freeze, nth: int) -> Done:
    """Remember the freeze; one of the same branch gives way to it. The checks follow in a flow of their own."""
    ctx, order = scene.ctx, scene.order
    window = Window(
        id=scene.name(nth),
        repo_id=order.repo_id,
        branch=command.branch,
        by=order.actor,
        because=command.because,
        since=scene.now,
        until=command.until,
    )
    await ctx.freezes.add(window)
    for older in await _of_branch(scene, command.branch):
        if older.id != window.id:
            await ctx.freezes.lift(older.id, by=order.actor, at=scene.now)
    until = (
        f" until {moment(command.until)}" if command.until else f" until somebody says {code(_words(command.branch))}"
    )
    said = f"{_place(command.branch)} frozen{until}.{await _if_absent(scene, command.branch)}"
    return Done(said=said, started=(_shown(scene, command.branch, nth),))


async def unhindered(scene: Scene, command: Unfreeze) -> Refused | None:
    """Why there is nothing to lift."""
    if await _of_branch(scene, command.branch):
        return None
    others = [freeze.branch for freeze in await _standing(scene)]
    which = ", ".join(code(_words(branch)) for branch in others)
    what = f"no freeze of {code(command.branch)} holds" if command.branch else "no freeze of every branch holds"
    return Refused("not_frozen", f"{what}; {f'what holds is lifted by {which}' if which else 'nothing is frozen'}")


async def lift(scene: Scene, command: Unfreeze, nth: int) -> Done:
    """End it; the checks follow in a flow of their own, and no box runs again."""
    for freeze in await _of_branch(scene, command.branch):
        await scene.ctx.freezes.lift(freeze.id, by=scene.order.actor, at=scene.now)
    scene.ctx.nudges.give(ConsiderAll(scene.order.repo_id))
    others = [freeze for freeze in await _standing(scene) if not freeze.branch or not command.branch]
    still = f" {', '.join(sorted({_place(o.branch) for o in others}))} still frozen." if others else ""
    return Done(
        said=f"{_place(command.branch)} not frozen any more.{still}", started=(_shown(scene, command.branch, nth),)
    )


async def _standing(scene: Scene) -> list[Window]:
    freezes = await scene.ctx.freezes.standing(scene.order.repo_id)
    return [freeze for freeze in freezes if freeze.until is None or scene.now < freeze.until]


async def _of_branch(scene: Scene, branch: str) -> list[Window]:
    return [freeze for freeze in await _standing(scene) if freeze.branch == branch]


async def _if_absent(scene: Scene, branch: str) -> str:
    """A branch that is yet to come may be frozen; a name that was misspelt must not pass for the one that was meant."""
    if not branch:
        return ""
    try:
        await branch_head(scene.github, scene.order.repo, branch)
    except NotFound:
        return " No branch has this name now: look whether it is spelt as you meant it."
    except (Forbidden, UnexpectedAnswer):  # the freeze holds, whatever can be said of it.
        return ""
    return ""


def _shown(scene: Scene, branch: str, nth: int) -> Started:
    order = scene.order
    args = republish.Republish(
        repo_id=order.repo_id, repo=order.repo, installation_id=order.installation_id, branch=branch, pr=None
    )
    return Started(republish.NAME, f"republish:{scene.name(nth)}", args)


def _place(branch: str) -> str:
    return f"{code(branch)} is" if branch else "Every branch is"


def _words(branch: str) -> str:
    return f"/unfreeze {branch}".strip()
