"""Which release to go back to, and when to stop going back. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.deploy.release import Known, Release, Standing
from bot.domain.deploy.schema_guard import roll_forward_only

ROLLBACKS = 2
"""So many automatic rollbacks of an environment within `WITHIN` freeze it: something else is wrong."""

WITHIN = timedelta(hours=1)

TRIES = 3
"""How often a rollback is tried before a person is called."""

RETRY_AFTER = 0.25
"""Seconds before the second of those tries, on average; each wait is twice the one before."""


@dataclass(frozen=True, slots=True)
class Refused:
    """It is not done. `because` is a sentence without a full stop, `way_out` says who can do what."""

    because: str
    way_out: str = ""


def way_back(
    known: Iterable[Known],
    *,
    current: Release | None,
    schema_version: int | None,
    elsewhere: Iterable[Known] = (),
) -> Release | Refused:
    """The newest good release of an environment that may be gone back to; refused, the environment is to be frozen.

    Args:
        known: every release that stands somehow in the environment.
        current: what is live; None when nothing of Interlock's is.
        schema_version: the database's; None when it was not, or could not be, read.
        elsewhere: releases of the repository's other environments: what was bad there is not gone back to here.
    """
    known = tuple(known)
    bad = bad_artifacts((*elsewhere, *known))
    good = sorted((one for one in known if one.standing is Standing.GOOD), key=_when, reverse=True)
    candidates = [
        one.release
        for one in good
        if one.release.artifact not in bad and (current is None or one.release.artifact != current.artifact)
    ]
    closed = ""
    for release in candidates:
        if not (why := roll_forward_only(release, schema_version)):
            return release
        closed = closed or why
    help_is = "deploy a release that mends it"
    if closed:
        return Refused(closed, way_out=help_is)
    return Refused("no other release is known to be good here", way_out=help_is)


def bad_artifacts(known: Iterable[Known]) -> dict[str, Known]:
    """Every artifact that was shown to be bad, with what showed it."""
    return {one.release.artifact: one for one in known if one.standing is Standing.BAD}


def must_freeze(rolled_back: Iterable[datetime], *, now: datetime) -> bool:
    """Whether an environment has been rolled back automatically so often, at these moments, that it is frozen."""
    return sum(now - WITHIN < at <= now for at in rolled_back) >= ROLLBACKS


def retry_after(failed: int, rng: random.Random) -> float | None:
    """Seconds to wait after so many tries that failed, scattered; None when a person is to be called instead."""
    if failed >= TRIES:
        return None
    return rng.uniform(0.4, 1.6) * RETRY_AFTER * 2.0 ** (failed - 1)


def _when(known: Known) -> datetime:
    return known.live_since or known.at
