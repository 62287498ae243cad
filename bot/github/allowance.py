"""How many content writes may still be sent: arithmetic over moments, without a clock of its own.

GitHub allows an installation 80 content writes a minute and 500 an hour, and does not say where a minute begins. So the
minute is a bucket (a part at once, the rest evenly, never more than 80 in any 60 seconds), and the hour is counted
exactly. Less urgent lanes leave something over for the more urgent ones.

Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api (secondary rate limits)
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

MINUTE = 60.0
HOUR = 3600.0
A_MINUTE = 80
AN_HOUR = 500

_HASTE = 5 / 8
"""The part of a minute's writes that may be sent at once; the others follow evenly."""
_CLOSE = 1e-6
"""Seconds, and parts of a write, that rounding may cost."""


class Lane(IntEnum):
    """What a write is for, the most urgent first. Waiting writes go by lane, and within one by age."""

    GATES = 0
    """What decides whether something may be merged or deployed."""
    CHECKS = 1
    COMMENTS = 2
    PROGRESS = 3
    """How far something is. It is stale soon, so it does not wait: it is sent at once or not at all."""


_SPARED = {Lane.GATES: 0.0, Lane.CHECKS: 0.06, Lane.COMMENTS: 0.12, Lane.PROGRESS: 0.4}
"""The part of what there is at once, and of an hour, that a lane leaves to the lanes before it."""


class Allowance:
    """What one installation may still write. Moments are seconds on any clock that only goes forward.

    Args:
        a_minute: writes in any 60 seconds.
        an_hour: writes in any 3600 seconds.
    """

    def __init__(self, a_minute: int = A_MINUTE, an_hour: int = AN_HOUR) -> None:
        self._at_once = max(1.0, a_minute * _HASTE)
        self._rate = max(a_minute - self._at_once, 0.5) / MINUTE
        self._an_hour = an_hour
        self._left = self._at_once
        self._since = 0.0
        self._sent: deque[float] = deque()

    def wait(self, lane: Lane, now: float, *, behind: int = 0) -> float:
        """Seconds until a write of this lane may be sent, if `behind` others go first; 0 for now."""
        return max(self._until_minute(lane, now, behind), self._until_hour(lane, now, behind))

    def spend(self, now: float) -> None:
        """Note that a write is sent now."""
        self._left = self._available(now) - 1
        self._since = now
        self._sent.append(now)

    def sent(self, now: float) -> int:
        """Writes in the last hour."""
        while self._sent and self._sent[0] + HOUR <= now + _CLOSE:
            self._sent.popleft()
        return len(self._sent)

    def _available(self, now: float) -> float:
        return min(self._at_once, self._left + max(0.0, now - self._since) * self._rate)

    def _until_minute(self, lane: Lane, now: float, behind: int) -> float:
        needed = 1 + behind + int(_SPARED[lane] * self._at_once)
        missing = needed - self._available(now)
        return missing / self._rate if missing > _CLOSE else 0.0

    def _until_hour(self, lane: Lane, now: float, behind: int) -> float:
        room = max(1, self._an_hour - int(_SPARED[lane] * self._an_hour) - behind)
        sent = self.sent(now)
        return max(0.0, self._sent[min(sent - room, sent - 1)] + HOUR - now) if sent >= room else 0.0
