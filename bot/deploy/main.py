"""Where a controller begins, as a process of its own: `main([deployment's directory, target's place])`.

Its words are paths, what the operator allows is in its environment, and secrets come on standard input, once; all else
is in the plan. It holds the deployment's lock for as long as it lives, so a second one ends at once.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import random
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from bot.deploy.confine import Refusal, allowance_from, choose
from bot.deploy.controller import control
from bot.deploy.files import DeployFiles
from bot.deploy.journal import Journal, JournalDamaged, because_of
from bot.deploy.site import BEFORE, Site, Smoked
from bot.deploy.target import Unbuildable
from bot.deploy.targets.opening import open_target
from bot.domain.deploy.plan import Plan, plan_from_json
from bot.domain.deploy.reading import environment
from bot.domain.deploy.states import EDGES, State
from bot.ops.clock import SystemClock
from runner.redact import Redactor

ALREADY = 75
"""Exit code: another controller has this deployment."""

DAMAGED = 65
"""Exit code: the journal is damaged, and nobody can go on from it."""

SANDBOX = "INTERLOCK_SANDBOX"
"""The variables that say how smoke tests are isolated."""

IMAGE = "INTERLOCK_SANDBOX_IMAGE"

_LOCK_TRIES = 20
_LOCK_PAUSE = 0.02


def main(argv: list[str]) -> int:
    """Carry out the deployment of a directory; the exit code says nothing about how it ended."""
    files, place = DeployFiles(Path(argv[0])), Path(argv[1])
    secrets = json.loads(sys.stdin.buffer.read() or b"{}")
    return asyncio.run(_run(files, place, secrets))


async def _run(files: DeployFiles, place: Path, secrets: Mapping[str, str]) -> int:
    with files.lock.open("a") as lock:
        if not await _locked(lock.fileno()):
            return ALREADY
        try:
            journal = Journal(files, SystemClock())
        except JournalDamaged as damaged:
            sys.stderr.write(f"{damaged}\n")
            return DAMAGED
        plan = plan_from_json(json.loads(files.plan.read_text(encoding="utf-8")))
        try:
            site = open_site(files, place, plan, journal, secrets=secrets)
        except Unbuildable as unbuildable:
            _refuse(journal, str(unbuildable))
        else:
            await control(site)
    return 0


def open_site(files: DeployFiles, place: Path, plan: Plan, journal: Journal, *, secrets: Mapping[str, str]) -> Site:
    """Put together what a controller works with; nothing is started or changed.

    Raises:
        Unbuildable: the target cannot be used on this machine, or may not be.
    """
    allowance, clock = allowance_from(os.environ), SystemClock()
    wanted = environment(plan.environment, plan.settings)
    target = open_target(wanted.target, place, token=plan.token, allowance=allowance, secrets=secrets, clock=clock)
    confinement = choose(allowance)
    if isinstance(confinement, Refusal):
        raise Unbuildable(confinement.because)
    options: Mapping[str, Any] = wanted.target.options
    declared = {name: str(value) for name, value in (options.get("env") or {}).items()}
    return Site(
        files=files,
        plan=plan,
        environment=wanted,
        target=target,
        journal=journal,
        clock=clock,
        dice=random.Random(),  # noqa: S311 - it scatters delays.
        smoke=partial(_smoke, files, plan),
        confinement=confinement,
        # A secret that is gone keeps a release from starting, and nobody from the way back.
        variables={**declared, **{name: secrets[name] for name in options.get("secrets") or () if name in secrets}},
        redactor=Redactor(secrets),
        state=journal.state,
        because=because_of(journal.entries),
    )


async def _smoke(files: DeployFiles, plan: Plan, address: str, which: Literal["before", "after"]) -> Smoked:
    # Imported where it is needed: a controller that is started again has users waiting.
    from bot.deploy.smoking import smoke  # noqa: PLC0415

    sandbox, image = os.environ.get(SANDBOX, "auto"), os.environ.get(IMAGE, "")
    return await smoke(files, plan, address, which, sandbox=sandbox, image=image)


def _refuse(journal: Journal, because: str) -> None:
    """The target cannot be used. Whether anybody has seen the release says what that means."""
    if journal.state in BEFORE:
        journal.append("state", state=State.ABORTED.value, because=because)
    elif State.HELD in EDGES[journal.state]:
        journal.append("state", state=State.HELD.value, because=because)
    elif journal.state is not State.HELD:
        sys.exit(because)


async def _locked(lock: int) -> bool:
    """Whether this is the deployment's one controller. Whoever asks whether one lives holds the lock for a moment."""
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(_LOCK_PAUSE)
        else:
            return True
    return False
