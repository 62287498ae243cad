"""A breaker: after enough failures GitHub is left alone for a while, and callers learn at once that it is away.

It knows nothing of HTTP. One guards one origin; whoever is refused parks its work durably, so nothing is lost by it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

WINDOW = timedelta(seconds=60)
"""Older answers say nothing about now."""

IN_A_ROW = 5
"""Failures without a good answer between them that open it."""

ENOUGH = 10
"""Answers in the window from which their share of failures counts."""

SHARE = 0.5

OPEN_FOR = timedelta(seconds=60)
"""How long nobody asks."""

CLOSING = 2
"""Good answers in a row that close it again."""


class BreakerState(StrEnum):
    """`half_open` lets one call at a time through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts failures, and says whether to ask at all.

    Every call that `admit` let through is followed by exactly one of `succeed`, `fail` and `abandon`.

    Args:
        now: the time, aware.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._answers: deque[tuple[datetime, bool]] = deque(maxlen=1000)
        self._in_a_row = 0
        self._opened_at: datetime | None = None
        self._probing = False
        self._good_probes = 0

    @property
    def state(self) -> BreakerState:
        """Where it stands at this moment."""
        if self._opened_at is None:
            return BreakerState.CLOSED
        # A clock that was set back must not keep it open for longer.
        rested = abs(self._now() - self._opened_at) >= OPEN_FOR
        return BreakerState.HALF_OPEN if rested else BreakerState.OPEN

    @property
    def opened_at(self) -> datetime | None:
        """Since when nobody is to ask; None while all may."""
        return self._opened_at

    @property
    def again_at(self) -> datetime:
        """When whoever is refused now may ask again; while a probe is on its way, at once."""
        now = self._now()
        rest = self._opened_at + OPEN_FOR - now if self._opened_at else timedelta()
        return now + min(max(rest, timedelta()), OPEN_FOR)

    def admit(self) -> bool:
        """Whether to ask now. While half open the first caller is the probe, and the others wait for what it hears."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                if self._probing:
                    return False
                self._probing = True
                return True

    def succeed(self) -> None:
        """GitHub answered, whatever it said: a refusal is an answer too."""
        if self._opened_at is None:
            self._in_a_row = 0
            self._answers.append((self._now(), True))
            return
        self._probing = False
        self._good_probes += 1
        if self._good_probes >= CLOSING:
            self._opened_at = None
            self._in_a_row = 0
            self._answers.clear()

    def fail(self) -> None:
        """GitHub did not answer, or answered that it cannot."""
        now = self._now()
        if self._opened_at is not None:
            self._probing = False
            self._open(now)
            return
        self._in_a_row += 1
        self._answers.append((now, False))
        if self._in_a_row >= IN_A_ROW or self._mostly_failures(now):
            self._open(now)

    def abandon(self) -> None:
        """The caller gave up before there was an answer; it says nothing about GitHub."""
        self._probing = False

    def _open(self, now: datetime) -> None:
        self._opened_at = now
        self._good_probes = 0

    def _mostly_failures(self, now: datetime) -> bool:
        while self._answers and now - self._answers[0][0] > WINDOW:
            self._answers.popleft()
        failures = sum(not good for _, good in self._answers)
        return len(self._answers) >= ENOUGH and failures >= SHARE * len(self._answers)
