"""Where a run may go from where it is. Pure: one table, and nobody changes a run's state past it.

A state is entered again without harm: a step that is repeated after a crash does so. What has ended stays as it ended,
so a run that people saw cancelled is never red afterwards, and one that was finished is never superseded.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RunState(StrEnum):
    """Where a run is. The last four are final."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    REFUSED = "refused"  # nothing was executed: untrusted, broken configuration, conflict
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


OPEN = (RunState.QUEUED, RunState.RUNNING)
GIVEN_UP = (RunState.CANCELLED, RunState.SUPERSEDED)

_ENDS = frozenset(RunState) - set(OPEN)

EDGES: Mapping[RunState, frozenset[RunState]] = {
    # It may end without having run: nothing was to be run, or its turn never came.
    RunState.QUEUED: frozenset({RunState.RUNNING}) | _ENDS,
    # It may be refused: a permit that is withdrawn while the bot is down counts when the run is taken up again.
    RunState.RUNNING: _ENDS,
    RunState.FINISHED: frozenset(),
    RunState.REFUSED: frozenset(),
    RunState.CANCELLED: frozenset(),
    RunState.SUPERSEDED: frozenset(),
}
"""State → the other states that may follow it."""


class IllegalMove(Exception):
    """A run was told to go where it cannot: a bug of the caller's. Nothing was changed."""

    def __init__(self, run_id: str, now: RunState, wanted: RunState) -> None:
        self.run_id = run_id
        self.now = now
        self.wanted = wanted
        super().__init__(f"{run_id} is {now} and cannot become {wanted}")


def may_become(now: RunState, wanted: RunState) -> bool:
    """Whether a run that is in one state may be told to be in another, or once more in the same."""
    return wanted is now or wanted in EDGES[now]


def sources(wanted: RunState) -> tuple[RunState, ...]:
    """The states from which `wanted` may be entered, itself included, in their order."""
    return tuple(state for state in RunState if may_become(state, wanted))
