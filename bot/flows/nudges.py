"""What shall be looked at soon, said by whoever changed something, and acted upon outside their flow.

A nudge is only a hint: it is kept in memory, and a round finds again whatever a crash forgot. So it costs its giver
nothing, and may be given from within a step.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """A flow is to be started, by its registered name; starting one of the same id twice changes nothing."""

    flow: str
    id: str
    args: object


@dataclass(frozen=True, slots=True)
class Consider:
    """A deployment's gates may answer otherwise now."""

    deployment: str


@dataclass(frozen=True, slots=True)
class ConsiderAll:
    """Those of an environment may; "" is every environment of the repository."""

    repo_id: int
    environment: str = ""


@dataclass(frozen=True, slots=True)
class Wake:
    """Somebody wishes something of a deployment that may have neither flow nor controller."""

    deployment: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A deployment is somewhere else, or has other answers: people are to be told."""

    deployment: str


Nudge = Start | Consider | ConsiderAll | Wake | Changed


class Nudges:
    """The queue of them; the same one is not queued twice."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Nudge] = asyncio.Queue()
        self._waiting: set[Nudge] = set()
        self._under_way = 0

    def give(self, nudge: Nudge) -> None:
        """Have something looked at."""
        if isinstance(nudge, Start):  # its arguments need not be hashable, and its id makes a second one harmless.
            self._queue.put_nowait(nudge)
        elif nudge not in self._waiting:
            self._waiting.add(nudge)
            self._queue.put_nowait(nudge)

    async def take(self) -> Nudge:
        """The next one; say `done` when it was acted upon."""
        nudge = await self._queue.get()
        if not isinstance(nudge, Start):
            self._waiting.discard(nudge)
        self._under_way += 1
        return nudge

    def done(self) -> None:
        """What was taken was acted upon."""
        self._under_way -= 1

    @property
    def busy(self) -> bool:
        """Whether anything waits to be looked at, or is."""
        return bool(self._under_way) or not self._queue.empty()
