"""Deliveries that GitHub could not hand over: which to ask for again now, and which to give up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

MOST_ASKS = 3
"""A delivery that could not be taken in after so many asks will not be taken in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A delivery that is not in the inbox.

    Attributes:
        attempt_id: the try of GitHub's to ask for.
        failed_at: when that try failed.
        asks: how often it was asked for already; one more than `MOST_ASKS` once it is given up.
    """

    attempt_id: int
    failed_at: datetime
    asks: int = 0

    @property
    def is_given_up(self) -> bool:
        """Whether it is not asked for any more."""
        return self.asks > MOST_ASKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What to do now.

    Attributes:
        ask: guids to ask for, the oldest first: what happened first is told first.
        left: everything to be remembered, as it is once those were asked for.
        given_up: guids that the last ask did not bring either; each is told once.
    """

    ask: tuple[str, ...]
    left: Mapping[str, Missed]
    given_up: tuple[str, ...]


def plan(
    known: Mapping[str, Missed],
    failed: Mapping[str, Missed],
    *,
    there: Collection[str],
    now: datetime,
    kept: timedelta,
    most: int,
) -> Round:
    """Decide about one round.

    Args:
        known: what earlier rounds remembered.
        failed: what GitHub says failed since, by guid, each by its newest try.
        there: guids that are in the inbox by now.
        now: aware.
        kept: how long GitHub can be asked for a delivery.
        most: asks in one round.
    """
    missed = dict(known)
    for guid, one in failed.items():
        missed[guid] = replace(one, asks=known[guid].asks if guid in known else 0)
    missed = {guid: one for guid, one in missed.items() if guid not in there and now - one.failed_at < kept}
    due = sorted((one.failed_at, guid) for guid, one in missed.items() if one.asks < MOST_ASKS)
    ask = tuple(guid for _, guid in due[:most])
    # GitHub needs a moment to send what it was asked for, so nothing is given up before the round after its last ask.
    given_up = tuple(guid for guid, one in missed.items() if one.asks == MOST_ASKS)
    left = {guid: replace(one, asks=one.asks + (guid in ask or guid in given_up)) for guid, one in missed.items()}
    return Round(ask=ask, left=left, given_up=given_up)
