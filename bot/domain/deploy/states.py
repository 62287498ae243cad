"""Where a deployment may go from where it is. Pure: one table, and nobody changes a deployment's state past it.

Until `locked` the database says where a deployment is. From then on its journal does, which is on the disk of whoever
carries it out, and the database follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where a deployment is."""

    REQUESTED = "requested"
    GATED = "gated"
    LOCKED = "locked"
    PREPARING = "preparing"
    SMOKING = "smoking"
    SWITCHING = "switching"
    BAKING = "baking"
    RETIRING = "retiring"
    SUCCEEDED = "succeeded"
    DENIED = "denied"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    ABORTED = "aborted"  # no user saw the release.
    HELD = "held"  # nobody can say whether the release is good: a person decides.
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"


FINAL = frozenset(
    {
        State.SUCCEEDED,
        State.DENIED,
        State.EXPIRED,
        State.SUPERSEDED,
        State.ABORTED,
        State.ROLLED_BACK,
        State.ROLLBACK_FAILED,
    }
)
"""Nothing follows these."""

WAITING = frozenset({State.REQUESTED, State.GATED})
"""Nothing was done yet; the database holds the state."""

EDGES: Mapping[State, frozenset[State]] = {
    State.REQUESTED: frozenset({State.GATED, State.DENIED, State.SUPERSEDED, State.EXPIRED}),
    State.GATED: frozenset({State.LOCKED, State.DENIED, State.EXPIRED, State.SUPERSEDED}),
    State.LOCKED: frozenset({State.PREPARING, State.ABORTED}),
    State.PREPARING: frozenset({State.SMOKING, State.ABORTED}),
    State.SMOKING: frozenset({State.SWITCHING, State.ABORTED}),
    State.SWITCHING: frozenset({State.BAKING, State.ROLLING_BACK, State.HELD}),
    State.BAKING: frozenset({State.RETIRING, State.HELD, State.ROLLING_BACK}),
    State.HELD: frozenset({State.BAKING, State.RETIRING, State.ROLLING_BACK}),
    State.RETIRING: frozenset({State.SUCCEEDED, State.ROLLING_BACK}),
    State.ROLLING_BACK: frozenset({State.ROLLED_BACK, State.ROLLBACK_FAILED, State.HELD}),
    **dict.fromkeys(FINAL, frozenset()),
}
"""State → the other states that may follow it."""


class IllegalEdge(Exception):
    """A deployment was told to go where it cannot: a bug of the caller's. Nothing was changed."""

    def __init__(self, here: State, there: State) -> None:
        self.here = here
        self.there = there
        super().__init__(here, there)

    def __str__(self) -> str:
        return f"a deployment that is {self.here} cannot become {self.there}"


def step(here: State, there: State) -> State:
    """`there`, if it may follow `here`. The same state once more is harmless: a repeated step does so.

    Raises:
        IllegalEdge: it may not.
    """
    if there is not here and there not in EDGES[here]:
        raise IllegalEdge(here, there)
    return there
