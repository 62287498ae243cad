"""What GitHub is told of a deployment: which statuses, in which order, in which words. Pure.

GitHub knows seven states where we know seventeen, and shows one line with each.

| here | there |
|---|---|
| requested, gated | `pending` |
| preparing, smoking, switching, baking, rolling_back | `in_progress` |
| held | `pending`: a person decides |
| succeeded | `success` |
| denied, expired, aborted, rolled_back | `failure` |
| rollback_failed | `error` |
| superseded | `inactive` |

`locked` and `retiring` are passed in an instant, and nothing is said of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import FINAL, WAITING, State


@dataclass(frozen=True, slots=True)
class Said:
    """One status: GitHub's state, and the line beside it."""

    state: str
    description: str


@dataclass(frozen=True, slots=True)
class Stop:
    """A state that a deployment has come to, and why; a sentence, "" for none."""

    state: State
    because: str = ""


_TOLD = {
    State.GATED: Said("pending", "waits at its gates"),
    State.PREPARING: Said("in_progress", "the release is started, without users"),
    State.SMOKING: Said("in_progress", "the release is tested, without users"),
    State.SWITCHING: Said("in_progress", "users are sent to the release"),
    State.BAKING: Said("in_progress", "live and watched"),
    State.HELD: Said("pending", "held until somebody decides"),
    State.ROLLING_BACK: Said("in_progress", "users are sent back"),
    State.SUCCEEDED: Said("success", "live and well"),
    State.DENIED: Said("failure", "denied"),
    State.EXPIRED: Said("failure", "waited too long at its gates"),
    State.SUPERSEDED: Said("inactive", "gave way to a newer one"),
    State.ABORTED: Said("failure", "given up before a user saw it"),
    State.ROLLED_BACK: Said("failure", "rolled back"),
    State.ROLLBACK_FAILED: Said("error", "could not be rolled back: somebody has to look now"),
}

_EXPLAINED = frozenset({State.HELD, State.ROLLING_BACK}) | FINAL - {State.SUCCEEDED}
"""Of these the reason is told as well."""


def statuses(deployment: Deployment, journal: Sequence[Stop]) -> tuple[Said, ...]:
    """Everything that GitHub shall have been told by now, oldest first.

    It only ever grows, so that how much of it was told is enough to go on from.

    Args:
        deployment: its row.
        journal: the states that its journal has, oldest first; none before it has begun.
    """
    stops = [Stop(State.GATED), *journal]
    if deployment.state in FINAL and stops[-1].state is not deployment.state:
        # It ended before there was a journal, or the journal is gone.
        stops.append(Stop(deployment.state, deployment.because))
    return tuple(_said(stop) for stop in stops if stop.state in _TOLD)


def is_over(deployment: Deployment, told: int, journal: Sequence[Stop]) -> bool:
    """Whether everything was told that ever will be."""
    return deployment.state in FINAL and told >= len(statuses(deployment, journal))


def is_production(environment: str) -> bool:
    """Whether users are there, as far as a name tells: GitHub's own rule, and what else people call it."""
    return environment.casefold().replace("_", "-").partition("-")[0] in {"production", "prod", "live"}


def _said(stop: Stop) -> Said:
    plain = _TOLD[stop.state]
    if stop.state not in _EXPLAINED or not stop.because:
        return plain
    return Said(plain.state, f"{plain.description}: {stop.because}")


assert {*_TOLD} | {State.LOCKED, State.RETIRING, State.REQUESTED} == {*State}
assert WAITING.isdisjoint(FINAL)
