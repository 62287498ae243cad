"""The hub's time, its random names, and nothing else.

Installation tokens, rate-limit windows and every timestamp follow a `Clock`, which a test may move. App JWTs do not:
most Apps sign them by the wall clock of their own machine, which no test of this hub can move. A test that moves both
clocks overrides `Clock.judging`.
"""

from __future__ import annotations

import secrets
import time
import uuid
from datetime import UTC, datetime, timedelta


def timestamp(moment: datetime) -> str:
    """A moment as GitHub writes it: UTC, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: str) -> datetime:
    """The moment that `timestamp` wrote.

    Raises:
        ValueError: the text is no ISO 8601 moment.
    """
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def wall_seconds() -> float:
    """Seconds since the epoch by this machine's clock, whatever a test did to a `Clock`."""
    return time.time()


def monotonic() -> float:
    """Seconds from an arbitrary start, for durations."""
    return time.monotonic()


def new_guid() -> str:
    """A delivery's id."""
    return str(uuid.uuid4())  # noqa: TID251 - the hub's source of ids.


def new_secret(length: int = 32) -> str:
    """A random webhook secret of `length` bytes, in hexadecimal."""
    return secrets.token_hex(length)


class Clock:
    """UTC time that runs with the machine's, or stands still at `start`; either way it can be moved forward."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start
        self._offset = timedelta()

    def now(self) -> datetime:
        """The hub's present."""
        return (self._start or datetime.now(UTC)) + self._offset  # noqa: TID251 - the hub's clock.

    def seconds(self) -> float:
        """The hub's present, in seconds since the epoch."""
        return self.now().timestamp()

    def judging(self) -> float:
        """By which time App JWTs are judged, in seconds since the epoch."""
        return wall_seconds()

    def stamp(self) -> str:
        """The hub's present as GitHub writes it."""
        return timestamp(self.now())

    def advance(self, seconds: float) -> None:
        """Move the hub's present forward (tokens expire, rate-limit windows reset)."""
        self._offset += timedelta(seconds=seconds)
