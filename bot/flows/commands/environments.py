"""The verbs about environments, told apart; and what several of them have to find out."""

from __future__ import annotations

from typing import assert_never

from bot.domain.commands.asked import AboutEnvironment, Approve, Deploy, LockUp, Promote, Reject, RollBack, Unlock
from bot.domain.commands.authority import Refused
from bot.flows.commands import approve, deploy, lock, promote, reject, rollback, unlock
from bot.flows.commands.order import Done, Scene


async def hindrance(scene: Scene, command: AboutEnvironment, nth: int) -> Refused | None:  # noqa: PLR0911 - one answer a verb.
    """Why a command cannot be carried out; found out without doing anything."""
    match command:
        case Deploy():
            return await deploy.hindrance(scene, command, nth)
        case Approve():
            return await approve.hindrance(scene, command, nth)
        case Reject():
            return await reject.hindrance(scene, command, nth)
        case Promote():
            return await promote.hindrance(scene, command)
        case RollBack():
            return await rollback.hindrance(scene, command)
        case LockUp():
            return await lock.hindrance(scene, command)
        case Unlock():
            return await unlock.hindrance(scene, command)
        case _:
            assert_never(command)


async def carry_out(scene: Scene, command: AboutEnvironment, nth: int) -> Done | Refused:  # noqa: PLR0911 - as above.
    """Do it. Safe to repeat: what is done is done in the order's name, once."""
    match command:
        case Deploy():
            return await deploy.carry_out(scene, command, nth)
        case Approve():
            return await approve.carry_out(scene, command, nth)
        case Reject():
            return await reject.carry_out(scene, command, nth)
        case Promote():
            return await promote.carry_out(scene, command, nth)
        case RollBack():
            return await rollback.carry_out(scene, command, nth)
        case LockUp():
            return await lock.carry_out(scene, command)
        case Unlock():
            return await unlock.carry_out(scene, command)
        case _:
            assert_never(command)
