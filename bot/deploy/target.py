"""Where releases run, as the controller sees it: seven calls, each safe to repeat.

A target tells the truth about itself (`observe`), never what somebody remembers. It stores the highest fencing token
that it has seen: a controller that has lost its lease, and does not know yet, is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bot.domain.deploy.environment import StrategyKind
from bot.domain.deploy.release import Release

Slot = str
"""`blue` or `green`; a target without slots has `only`."""


class TargetProblem(Exception):
    """The root of what a target can say instead of an answer."""


class TargetUnreachable(TargetProblem):
    """The target could not be asked, or did not do what it was told. Traffic is as it was; a repeat is safe."""


class Fenced(TargetProblem):
    """Somebody with a newer token has taken the target over. Nothing was done, and nothing more may be."""


class Unbuildable(TargetProblem):
    """The release cannot be placed in a slot: its build failed, or it names what is not there. A repeat fails too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a target can do.

    Attributes:
        strategies: which ways of switching.
        idle_address: whether a slot without traffic can be asked, for smoke tests before the switch.
        counters: whether it counts the answers that users get.
        keeps_old: whether the slot before can stay running, so that the way back is one call.
        promise: how well a switch goes, in words, for plans and docs.
    """

    strategies: frozenset[StrategyKind]
    idle_address: bool
    counters: bool
    keeps_old: bool
    promise: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotState:
    """What is in a slot.

    Attributes:
        release: the id of its release; "" if it is empty.
        nonce: of the start that made it.
        running: whether it runs.
        address: where it can be asked itself, as `http://host:port`; "" if it cannot.
    """

    release: str = ""
    nonce: str = ""
    running: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """The truth.

    Attributes:
        slots: what is in each.
        weights: which share of the traffic (0 to 100) each slot gets; none: nobody is served.
        token: the highest fencing token that was seen.
        address: where users are answered, as `http://host:port`; "" if the target does not know.
    """

    slots: Mapping[Slot, SlotState] = field(default_factory=dict)
    weights: Mapping[Slot, int] = field(default_factory=dict)
    token: int = 0
    address: str = ""

    @property
    def live(self) -> Slot | None:
        """The slot that gets all traffic, or most of it; None when nobody is served."""
        return (
            max(self.weights, key=lambda slot: self.weights[slot], default=None) if any(self.weights.values()) else None
        )


@dataclass(frozen=True, slots=True)
class Ready:
    """The slot answers."""


@dataclass(frozen=True, slots=True)
class NotYet:
    """The slot does not answer yet, and may."""

    because: str


@dataclass(frozen=True, slots=True)
class Dead:
    """The slot will not answer: what was started is gone. `tail` is the end of what it printed."""

    because: str
    tail: str = ""


Readiness = Ready | NotYet | Dead


@dataclass(frozen=True, slots=True)
class Counts:
    """Answers of a slot to users since it began: all, and those that were failures."""

    answers: int
    failures: int


class Target(Protocol):
    """One environment's target, opened with the fencing token of a lease.

    Every call may be repeated. Each that changes something raises `Fenced` if a newer token was seen, and
    `TargetUnreachable` when it could not be done.
    """

    capabilities: Capabilities

    async def observe(self) -> Observed:
        """What is there now."""
        ...

    async def start(self, slot: Slot, release: Release, tree: Path, nonce: str) -> None:
        """Place a release in a slot and start it. A slot that runs this nonce already is left as it is.

        Args:
            slot: one without traffic, unless the strategy is `recreate`.
            release: what it is.
            tree: its files; they stay where they are until the deployment is retired.
            nonce: of this start.
        """
        ...

    async def ready(self, slot: Slot) -> Readiness:
        """Whether a slot answers for itself."""
        ...

    async def route(self, weights: Mapping[Slot, int]) -> None:
        """Give each slot its share of the traffic (0 to 100, together 100), and read back that it has it."""
        ...

    async def drain(self, slot: Slot, within: float) -> None:
        """Wait, so long at most, until a slot without traffic has answered what is under way."""
        ...

    async def stop(self, slot: Slot) -> None:
        """Stop what runs in a slot; one that is empty stays empty."""
        ...

    async def counts(self) -> Mapping[Slot, Counts]:
        """What users were answered; empty if the target cannot count."""
        ...

    async def logs(self, slot: Slot, lines: int) -> str:
        """The end of what a slot printed, redacted by whoever shows it."""
        ...


class KeptTarget(Target, Protocol):
    """A target of this machine: what runs there outlives us, so between deployments somebody has to look after it."""

    async def tend(self) -> None:
        """Bring back what should be there and is not, and keep logs short.

        For times in which no deployment goes on: during one, a process that is gone is a fact that judges a release.
        """
        ...

    async def take_down(self) -> None:
        """End all of it, also the service of users: the environment is no more."""
        ...
