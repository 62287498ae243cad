"""Opens the target of an environment. One kind, one file: a new one is a line in `_KINDS` and its module."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.deploy.confine import Allowance, Confinement, Refusal, choose
from bot.deploy.routers.choosing import NoRouter, find, open_router, promise_of
from bot.deploy.routers.router import Front
from bot.deploy.target import Capabilities, KeptTarget, Unbuildable
from bot.deploy.targets import command, process
from bot.deploy.targets.command import CommandTarget
from bot.deploy.targets.options import command_options, process_options
from bot.deploy.targets.process import Ground, ProcessTarget, ports_of
from bot.domain.deploy.environment import TargetSpec
from bot.ops.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What a target is opened with."""

    place: Path
    token: int
    allowance: Allowance
    confinement: Confinement
    secrets: Mapping[str, str]
    clock: Clock


def open_target(
    spec: TargetSpec,
    place: Path,
    *,
    token: int,
    allowance: Allowance,
    secrets: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> KeptTarget:
    """Open a target; nothing is started or changed.

    Args:
        spec: what the configuration says.
        place: what the target keeps of its environment; made if it is not there.
        token: of the lease.
        allowance: what the operator of the machine allows.
        secrets: of the repository, by name; those that the configuration names become variables.
        clock: what time it is.

    Raises:
        Unbuildable: there is no such target here, or it may not be. The message has the way out.
    """
    confinement = _allowed(spec, allowance)
    if isinstance(confinement, Refusal):
        raise Unbuildable(confinement.because)
    place.mkdir(parents=True, exist_ok=True)
    given = _Given(
        place=place.resolve(),
        token=token,
        allowance=allowance,
        confinement=confinement,
        secrets=secrets or {},
        clock=clock or SystemClock(),
    )
    return _KINDS[spec.kind].open(spec.options, given)


def refusal(spec: TargetSpec, allowance: Allowance) -> str | None:
    """Why a target cannot be used on this machine, a sentence with the way out; None when it can. For plans."""
    confinement = _allowed(spec, allowance)
    if isinstance(confinement, Refusal):
        return confinement.because
    if spec.kind == "process":
        router = find(process_options(spec.options).router, allowance.path)
        return router.because if isinstance(router, NoRouter) else None
    return None


def capabilities_of(spec: TargetSpec, path: str = "") -> Capabilities:
    """What a target can do, for plans.

    Args:
        spec: what the configuration says.
        path: where programs are looked for; "" for where this process finds them.

    Raises:
        Unbuildable: there is no such kind.
    """
    _known(spec)
    return _KINDS[spec.kind].capabilities(spec.options, path or os.environ.get("PATH", os.defpath))


def _allowed(spec: TargetSpec, allowance: Allowance) -> Confinement | Refusal:
    _known(spec)
    if spec.kind not in allowance.kinds:
        return Refusal(
            f"whoever runs Interlock lets no target of kind {spec.kind} run releases on this machine: "
            f"set INTERLOCK_DEPLOY_TARGETS={','.join(sorted({*allowance.kinds, spec.kind}))}"
        )
    confinement = choose(allowance)
    if isinstance(confinement, Refusal):
        return confinement
    user = str(spec.options.get("user", ""))
    own = confinement.person.name if confinement.person else ""
    if user and user != own:
        return Refusal(
            f"the target wants to run as {user}, and releases run here as {own or 'the bot itself'}: "
            f"leave `user` out, or set INTERLOCK_DEPLOY_USER={user}"
        )
    return confinement


def _known(spec: TargetSpec) -> None:
    if spec.kind not in _KINDS:
        message = f"there is no target of kind {spec.kind} in this version: use {' or '.join(sorted(_KINDS))}"
        raise Unbuildable(message)


def _open_process(raw: Mapping[str, Any], given: _Given) -> KeptTarget:
    options = process_options(raw)
    program = find(options.router, given.allowance.path)
    if isinstance(program, NoRouter):
        raise Unbuildable(program.because)
    ports = ports_of(given.place, options)
    person = given.confinement.person
    front = Front(listen=options.listen, ports=ports)
    ground = Ground(
        place=given.place,
        ports=ports,
        router=open_router(program, given.place, front, user=person.name if person else ""),
        confinement=given.confinement,
        secrets=given.secrets,
        clock=given.clock,
    )
    return ProcessTarget(options, ground, token=given.token)


def _process_capabilities(raw: Mapping[str, Any], path: str) -> Capabilities:
    program = find(process_options(raw).router, path)
    # Without a router `refusal` says so; what the target could do is told all the same.
    promise, counters = ("", False) if isinstance(program, NoRouter) else promise_of(program)
    return process.capabilities(promise, counters=counters)


def _open_command(raw: Mapping[str, Any], given: _Given) -> KeptTarget:
    return CommandTarget(
        command_options(raw),
        given.place,
        token=given.token,
        confinement=given.confinement,
        secrets=given.secrets,
    )


def _command_capabilities(raw: Mapping[str, Any], path: str) -> Capabilities:
    del path
    return command.capabilities(command_options(raw))


@dataclass(frozen=True, slots=True)
class _Kind:
    open: Callable[[Mapping[str, Any], _Given], KeptTarget]
    capabilities: Callable[[Mapping[str, Any], str], Capabilities]


_KINDS: Mapping[str, _Kind] = {
    "process": _Kind(_open_process, _process_capabilities),
    "command": _Kind(_open_command, _command_capabilities),
}
