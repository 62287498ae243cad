"""`/lock`: keep others out of an environment for a while."""

from __future__ import annotations

from datetime import timedelta

from bot.domain.commands.asked import LockUp
from bot.domain.commands.authority import Refused
from bot.domain.deploy.deployment import Lock
from bot.domain.deploy.environment import Environment
from bot.domain.deploy.locking import held_by
from bot.domain.freeze import moment
from bot.domain.text import code, plain
from bot.flows.commands.order import Done, Scene
from bot.flows.deploying.configured import configured
from bot.flows.nudges import ConsiderAll


async def hindrance(scene: Scene, command: LockUp) -> Refused | None:
    """Why it cannot be locked: there is none of this name, or somebody else holds it."""
    environment = await _environment(scene, command)
    if isinstance(environment, Refused):
        return environment
    held = await scene.ctx.locks.of(scene.order.repo_id, environment.name, scene.now)
    return _taken(held) if held and not _is_same(held, _lock(scene, command, environment)) else None


async def carry_out(scene: Scene, command: LockUp) -> Done | Refused:
    """Take it, or give one's own a new end."""
    environment = await _environment(scene, command)
    if isinstance(environment, Refused):
        return environment
    wanted = _lock(scene, command, environment)
    held = await scene.ctx.locks.take(wanted)
    if not _is_same(held, wanted):
        return _taken(held)
    scene.ctx.nudges.give(ConsiderAll(wanted.repo_id, wanted.environment))
    whose = f"this pull request ({code(f'#{wanted.pr}')})" if wanted.pr is not None else plain(scene.order.by)
    said = f"{code(wanted.environment)} is locked for {whose} until {moment(held.until)}."
    return Done(said=f"{said} {code(f'/unlock {wanted.environment}')} ends it.")


async def _environment(scene: Scene, command: LockUp) -> Environment | Refused:
    known = await configured(scene.ctx, scene.order)
    return known if isinstance(known, Refused) else known.environment(command.environment)


def _lock(scene: Scene, command: LockUp, environment: Environment) -> Lock:
    rule = environment.lock
    seconds = rule.seconds if command.seconds is None else command.seconds
    return Lock(
        repo_id=scene.order.repo_id,
        environment=environment.name,
        by=scene.order.actor,
        pr=scene.order.pr if rule.scope == "pull_request" else None,
        because=command.because,
        since=scene.now,
        until=scene.now + timedelta(seconds=seconds),
    )


def _is_same(held: Lock, wanted: Lock) -> bool:
    return (held.by, held.pr) == (wanted.by, wanted.pr)


def _taken(held: Lock) -> Refused:
    return Refused("locked", f"{code(held.environment)} is {plain(held_by(held), 600)}")
