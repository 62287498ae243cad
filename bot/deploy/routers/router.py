"""What stands between users and the two slots of a target: one number says how it divides their requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bot.deploy.polling import until
from bot.deploy.residents import Resident
from bot.deploy.target import Counts, Slot, TargetUnreachable

NOBODY = -1
"""The share when no slot serves: users are told so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What a router is to do.

    Attributes:
        listen: where users come in, host and port.
        ports: of the slots, on loopback.
        health: a path of the slots; only for what a router shows of itself.
    """

    listen: tuple[str, int]
    ports: Mapping[Slot, int]


class Router(Protocol):
    """A process that outlives us, in a directory of its own. Every call may be repeated."""

    counters: bool
    promise: str

    async def up(self) -> None:
        """Have it run, with the front as it is now. What it does with requests stays as it was last told.

        Raises:
            TargetUnreachable: it does not run, or not so.
        """
        ...

    async def share(self) -> int | None:
        """Which share of the requests green gets (0 to 100, the rest is blue's), or NOBODY; None: it does not run.

        Asked of the running router, not of what was written for it.
        """
        ...

    async def give(self, share: int) -> None:
        """Give green its share, and blue the rest: written down first, then done, all at once.

        Raises:
            TargetUnreachable: it is as it was, though it may become so when the router starts again.
        """
        ...

    async def counts(self) -> Mapping[Slot, Counts]:
        """Answers that users got of each slot since the router began; empty when it does not run."""
        ...

    async def under_way(self, slot: Slot) -> int:
        """How many requests a slot is answering now."""
        ...

    async def down(self) -> None:
        """End it, and with it the service of all users."""
        ...


async def answering(name: str, resident: Resident, answers: Callable[[], Awaitable[bool]], within: float) -> None:
    """Wait until a router that was started answers.

    Raises:
        TargetUnreachable: it ended, or took too long. The message has what it printed.
    """

    async def decided() -> bool:
        return not resident.look().alive or await answers()

    in_time = await until(decided, within)
    if not resident.look().alive:
        message = f"{name} ended: {resident.printed.tail(5)}"
        raise TargetUnreachable(message)
    if not in_time:
        message = f"{name} did not answer within {within:.0f} s"
        raise TargetUnreachable(message)


def share_of(weights: Mapping[Slot, int]) -> int:
    """The share of green of weights that are 100 together, or NOBODY of none.

    Raises:
        ValueError: they are no shares of two slots.
    """
    if not any(weights.values()):
        return NOBODY
    if weights.keys() - {"blue", "green"} or sum(weights.values()) != 100 or min(weights.values()) < 0:
        message = f"shares of blue and green must be 100 together: {dict(weights)}"
        raise ValueError(message)
    return weights.get("green", 0)


def weights_of(share: int | None) -> dict[Slot, int]:
    """The weights of a share; none when nobody serves."""
    return {} if share is None or share == NOBODY else {"blue": 100 - share, "green": share}


def directory_of(place: Path) -> Path:
    """Where a router of a target lives."""
    return place / "router"
