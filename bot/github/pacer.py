"""When a content write is sent: one pacer for each installation, which every write of it passes.

A write that must wait holds nothing but its own task. Of several that wait to overwrite the same thing only the newest
is sent; what is finished is not overwritten by how far it was. Nobody waits here for long: a write that would is given
back to its flow, which parks it durably and comes again with what is true by then.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from bot.github.allowance import Allowance, Lane
from bot.github.errors import Overtaken, Paced

PATIENCE = 20.0
"""Seconds that a write may wait here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A content write that wants to be sent.

    Attributes:
        lane: what it is for.
        target: what it overwrites, the same text for all writes to the same thing; "" if it adds something.
        final: what it says will not change by itself, so a write of the same target that is not final is older.
    """

    lane: Lane
    target: str = ""
    final: bool = False


class Timer(Protocol):
    """Something that will be called."""

    def cancel(self) -> None:
        """Do not call it."""


@dataclass(slots=True, order=True)
class _Waiting:
    lane: Lane
    number: int
    since: float = field(compare=False)
    write: Write = field(compare=False)
    turn: asyncio.Future[None] = field(compare=False)


class Pacer:
    """Gives writes their turn: gates before checks before comments, within what GitHub allows.

    Args:
        now: the time, aware; only to say until when a write shall be parked.
        allowance: what may be sent.
        moment: seconds on a clock that only goes forward; the running loop's by default.
        later: calls something after so many seconds; the running loop does by default.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        allowance: Allowance | None = None,
        *,
        moment: Callable[[], float] | None = None,
        later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        self._now = now
        self._allowance = allowance or Allowance()
        self._moment = moment or (lambda: asyncio.get_running_loop().time())
        self._later = later or (lambda seconds, call: asyncio.get_running_loop().call_later(seconds, call))
        self._numbers = itertools.count()
        self._waiting: list[_Waiting] = []
        self._timer: Timer | None = None
        self._closed = False
        self._overtaken = 0

    async def turn(self, write: Write) -> None:
        """Wait until this write may be sent; returning, it counts as sent.

        Raises:
            Overtaken: nothing is to be sent: a newer write of the same target is, or it is progress and others wait.
            Paced: it would wait for long. Nothing was sent; come again after `until`.
        """
        older = self._aiming_at(write)
        if any(one.write.final and not write.final for one in older):
            raise self._given_up(write)
        moment = self._moment()
        ahead = sum(one.lane <= write.lane for one in self._alive() if one not in older)
        wait = self._allowance.wait(write.lane, moment, behind=ahead)
        if (wait or ahead or older) and write.lane is Lane.PROGRESS:
            raise self._given_up(write)
        if wait > PATIENCE or (wait and self._closed):
            raise Paced(self._now() + timedelta(seconds=max(wait, 1.0)))
        for one in older:
            one.turn.set_exception(self._given_up(one.write))
        if wait or ahead:
            await self._wait(write, moment)
        else:
            self._allowance.spend(moment)

    def close(self) -> None:
        """Give everything that waits back to its flow, and let nothing wait any more."""
        self._closed = True
        for one in self._alive():
            wait = self._allowance.wait(one.lane, self._moment())
            one.turn.set_exception(Paced(self._now() + timedelta(seconds=max(wait, 1.0))))
        self._waiting.clear()
        self._stop_timer()

    def facts(self) -> Mapping[str, float]:
        """How many wait and for how long the oldest has, in seconds; how many were sent in the last hour."""
        moment, waiting = self._moment(), self._alive()
        return {
            "waiting": len(waiting),
            "oldest_seconds": round(max((moment - one.since for one in waiting), default=0.0), 1),
            "sent_last_hour": self._allowance.sent(moment),
            "overtaken": self._overtaken,
        }

    async def _wait(self, write: Write, since: float) -> None:
        one = _Waiting(write.lane, next(self._numbers), since, write, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, one)
        self._serve()
        await one.turn

    def _aiming_at(self, write: Write) -> list[_Waiting]:
        """What waits to overwrite the same thing."""
        return [one for one in self._alive() if write.target and one.write.target == write.target]

    def _given_up(self, loser: Write) -> Overtaken:
        self._overtaken += 1
        return Overtaken(loser.target)

    def _serve(self) -> None:
        """Give turns to all that may go now, and come again when the next one may."""
        self._stop_timer()
        while self._waiting:
            first, moment = self._waiting[0], self._moment()
            if not first.turn.done():
                if wait := self._allowance.wait(first.lane, moment):
                    self._timer = self._later(wait, self._serve)
                    return
                self._allowance.spend(moment)
                first.turn.set_result(None)
            heapq.heappop(self._waiting)

    def _alive(self) -> list[_Waiting]:
        return [one for one in self._waiting if not one.turn.done()]

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
