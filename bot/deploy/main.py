"""Where a controller begins, as a process of its own: `main(deployment's directory, target's place)`.

Its words are paths, all else is in the plan. It holds the deployment's lock for as long as it lives; a second one ends
at once. Nothing but a signal or the end of the deployment ends it.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import sys
from collections.abc import Callable
from pathlib import Path

from bot.deploy.controller import control
from bot.deploy.files import DeployFiles
from bot.deploy.journal import Journal, JournalDamaged
from bot.deploy.site import Site
from bot.domain.deploy.plan import Plan, plan_from_json
from bot.ops.clock import SystemClock

ALREADY = 75
"""Exit code: another controller has this deployment."""

DAMAGED = 65
"""Exit code: the journal is damaged, and nobody can go on from it."""

_LOCK_TRIES = 20
_LOCK_PAUSE = 0.02

OpenSite = Callable[[DeployFiles, Path, Plan, Journal], Site]


def run(argv: list[str], open_site: OpenSite) -> int:
    """Carry out the deployment of a directory.

    Args:
        argv: the deployment's directory, and the target's place.
        open_site: puts together what the controller works with.

    Returns:
        The exit code.
    """
    files, place = DeployFiles(Path(argv[0])), Path(argv[1])
    return asyncio.run(_run(files, place, open_site))


async def _run(files: DeployFiles, place: Path, open_site: OpenSite) -> int:
    with files.lock.open("a") as lock:
        if not await _locked(lock.fileno()):
            return ALREADY
        try:
            journal = Journal(files, SystemClock())
        except JournalDamaged as damaged:
            print(damaged, file=sys.stderr)  # noqa: T201 - it goes to the controller's log.
            return DAMAGED
        plan = plan_from_json(json.loads(files.plan.read_text(encoding="utf-8")))
        await control(open_site(files, place, plan, journal))
    return 0


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
