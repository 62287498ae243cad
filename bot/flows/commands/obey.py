"""Carrying out an order: all of it is read, authorised and looked into before anything of it is done.

Comments, reviews and whoever sits at the machine come through here, so nobody has a way around a permission, and every
command leaves a row in the audit, carried out or not. Buttons are about a commit, which need not have a pull request:
see `bot.flows.buttons`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from bot.domain.commands.asked import (
    AboutEnvironment,
    Asked,
    Cancel,
    Explain,
    Falsify,
    Freeze,
    Help,
    Mistake,
    OkToTest,
    Parsed,
    Rerun,
    Run,
    Skip,
    Status,
    Unfreeze,
    Why,
)
from bot.domain.commands.authority import Refused
from bot.domain.commands.registry import is_of_pull, need_of, words_of
from bot.domain.commands.telling import help_text
from bot.domain.desired import OTHER_REPOSITORY
from bot.domain.text import code
from bot.flows.authorising import authorise
from bot.flows.commands import cancel, environments, explain, falsify, freeze, ok_to_test, run, skip, status, why
from bot.flows.commands.order import Done, Order, Scene, Started
from bot.flows.context import Context
from bot.github.app import Installation
from bot.github.errors import NotFound
from bot.github.pulls import PullFacts, get_pull
from bot.store.audit import Decision, Entry

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Obeyed:
    """What became of an order. `reason` is a code of `telling.REASONS`; `said` is Markdown, "" for nothing to say."""

    done: bool
    reason: str
    said: str = ""
    runs: tuple[str, ...] = ()
    started: tuple[Started, ...] = ()


async def obey(ctx: Context, order: Order, commands: Sequence[Parsed]) -> Obeyed:
    """Authorise, then carry out. Safe to repeat: what is done is done in the order's name, once.

    Raises:
        GitHubProblem: GitHub did not answer; nothing was done that a repeat would do twice.
    """
    log_to = log.bind(actor=order.actor, repo=order.repo, pr=order.pr)
    github = ctx.github.installation(order.installation_id)
    held, refused = "operator", None
    if not order.at_machine:
        held, refused = await authorise(github, order.repo, order.actor, map(need_of, commands))
    if refused is not None:
        log_to.warning("command_refused", reason=refused.code)
        await _write(ctx, order, commands, "refused", held=held, reason=refused.code)
        said = f"{_to(order)}{refused.because}." if refused.is_told else ""
        return Obeyed(done=False, reason=refused.code, said=said)
    if mistakes := [command for command in commands if isinstance(command, Mistake)]:
        log_to.warning("command_misread", reason=mistakes[0].because)
        await _write(ctx, order, commands, "refused", held=held, reason="mistake")
        return Obeyed(done=False, reason="mistake", said=_mended(order, mistakes))
    asked = [command for command in commands if not isinstance(command, Mistake)]
    pull = await _pull_of(github, order, asked)
    if isinstance(pull, Refused):
        await _write(ctx, order, commands, "refused", held=held, reason=pull.code)
        return Obeyed(done=False, reason=pull.code, said=f"{_to(order)}{pull.because}.")
    scene = Scene(ctx=ctx, order=order, about=pull, permission=held, now=ctx.clock.now())
    return await _carry_out(scene, asked)


async def _pull_of(github: Installation, order: Order, commands: Sequence[Asked]) -> PullFacts | Refused | None:
    """The pull request as it stands, if it is one of the repository that was meant; None where none is needed."""
    if order.pr is None:
        needs = next((words_of(command) for command in commands if is_of_pull(command)), "")
        return Refused("no_pull_request", f"{code(f'/{needs}')} is about a pull request: name one") if needs else None
    try:
        pull = await get_pull(github, order.repo, order.pr)
    except NotFound:
        return Refused("closed", "there is no such pull request here")
    return pull if pull.base_repo_id == order.repo_id else Refused("unknown_repository", OTHER_REPOSITORY)


async def _carry_out(scene: Scene, commands: Sequence[Asked]) -> Obeyed:
    ctx, order = scene.ctx, scene.order
    for nth, command in enumerate(commands):
        if (refused := await _hindrance(scene, command, nth)) is not None:
            log.warning("command_refused", actor=order.actor, reason=refused.code)
            await _write(ctx, order, commands, "refused", held=scene.permission, reason=refused.code, scene=scene)
            said = f"{_to(order)}{'nothing was done: ' if len(commands) > 1 else ''}{refused.because}."
            return Obeyed(done=False, reason=refused.code, said=said)
    await _write(ctx, order, commands, "allowed", held=scene.permission, reason="done", scene=scene)
    done: list[Done] = []
    for nth, command in enumerate(commands):
        answer = await _do(scene, command, nth)
        if isinstance(answer, Refused):
            await _write_stop(scene, command, nth, answer)
            return _stopped(order, answer, done)
        done.append(answer)
    log.info("command_done", actor=order.actor, commands=len(commands), runs=sum(len(one.runs) for one in done))
    return _obeyed("done", done, is_done=True)


async def _hindrance(scene: Scene, command: Asked, nth: int) -> Refused | None:  # noqa: PLR0911 - one answer a verb.
    """Why a command cannot be carried out; found out without doing anything."""
    if isinstance(command, AboutEnvironment):
        return await environments.hindrance(scene, command, nth)
    match command:
        case Run() | Rerun():
            return await run.hindrance(scene, command)
        case Skip():
            return await skip.hindrance(scene, command)
        case Falsify():
            return await falsify.hindrance(scene, command)
        case Explain():
            return await explain.hindrance(scene, command)
        case Freeze():
            return await freeze.hindrance(scene, command)
        case Unfreeze():
            return await freeze.unhindered(scene, command)
        case OkToTest() | Cancel() | Status() | Why() | Help():
            return None
        case _:
            assert_never(command)


async def _do(scene: Scene, command: Asked, nth: int) -> Done | Refused:  # noqa: PLR0911 - one answer a verb.
    if isinstance(command, AboutEnvironment):
        return await environments.carry_out(scene, command, nth)
    match command:
        case Run() | Rerun():
            return await run.carry_out(scene, command, nth)
        case Cancel():
            return await cancel.carry_out(scene)
        case Skip():
            return await skip.carry_out(scene, command, nth)
        case Falsify():
            return await falsify.carry_out(scene, command, nth)
        case OkToTest():
            return await ok_to_test.carry_out(scene, command)
        case Freeze():
            return await freeze.carry_out(scene, command, nth)
        case Unfreeze():
            return await freeze.lift(scene, command, nth)
        case Status() | Why() | Explain() | Help():
            return await _tell(scene, command)
        case _:
            assert_never(command)


async def _tell(scene: Scene, command: Status | Why | Explain | Help) -> Done:
    """Answer what changes nothing."""
    match command:
        case Status():
            return await status.carry_out(scene)
        case Why():
            return await why.carry_out(scene, command)
        case Explain():
            return await explain.carry_out(scene, command)
        case Help(topic):
            return Done(said=help_text(topic))
        case _:
            assert_never(command)


async def _write_stop(scene: Scene, command: Asked, nth: int, refused: Refused) -> None:
    """Write down that what was allowed could not be done after all."""
    if not isinstance(command, OkToTest):  # it writes its own row.
        name = f"{scene.name(nth)}.stopped"
        await scene.ctx.audit.write(
            _entry(
                scene.ctx,
                scene.order,
                command,
                name,
                "refused",
                held=scene.permission,
                reason=refused.code,
                scene=scene,
            )
        )


def _stopped(order: Order, refused: Refused, done: Sequence[Done]) -> Obeyed:
    """A command that could not be done after all; what came before it was, and is told."""
    before = f" The {len(done)} before it {'was' if len(done) == 1 else 'were'} carried out." if done else ""
    log.warning("command_refused", actor=order.actor, reason=refused.code)
    said = Done(said=f"{_to(order)}{refused.because}.{before}")
    return _obeyed(refused.code, [*done, said], is_done=False)


def _obeyed(reason: str, done: Sequence[Done], *, is_done: bool) -> Obeyed:
    return Obeyed(
        done=is_done,
        reason=reason,
        said="\n\n".join(one.said for one in done if one.said),
        runs=tuple(run_id for one in done for run_id in one.runs),
        started=tuple(flow for one in done for flow in one.started),
    )


def _mended(order: Order, mistakes: Sequence[Mistake]) -> str:
    lines = [f"{_to(order)}nothing was done."]
    for mistake in mistakes:
        quoted = f"{code(mistake.text, 200)}: " if mistake.text else ""
        where = f" at column {mistake.column}" if mistake.column > 1 else ""
        lines.append(f"- {quoted}{mistake.because}{where} ({mistake.hint})")
    return "\n".join(lines)


def _to(order: Order) -> str:
    return "" if order.at_machine else f"@{order.actor}: "


async def _write(
    ctx: Context,
    order: Order,
    commands: Sequence[Parsed],
    decision: Decision,
    *,
    held: str,
    reason: str,
    scene: Scene | None = None,
) -> None:
    """A row for each command, before anything of it is done."""
    for nth, command in enumerate(commands):
        if decision == "allowed" and isinstance(command, OkToTest):
            continue  # whether it is allowed is decided, and written down, where it is carried out.
        name = f"{order.id}.{nth}"
        await ctx.audit.write(_entry(ctx, order, command, name, decision, held=held, reason=reason, scene=scene))


def _entry(
    ctx: Context,
    order: Order,
    command: Parsed,
    name: str,
    decision: Decision,
    *,
    held: str,
    reason: str,
    scene: Scene | None,
) -> Entry:
    return Entry(
        id=name,
        at=ctx.clock.now(),
        actor=order.actor,
        permission=held,
        action=words_of(command),
        decision=decision,
        reason=reason,
        detail=command.text if isinstance(command, Mistake) else str(command)[:1000],
        repo_id=order.repo_id,
        repo=order.repo,
        pr=order.pr,
        head_sha=scene.about.head_sha if scene and scene.about else "",
    )
