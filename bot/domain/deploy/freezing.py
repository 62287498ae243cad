"""When an environment's windows freeze it, in the time of the place that they were written for. Pure.

A wall time that a clock change leaves out is the moment of the change. Of one that comes twice a window begins at the
first and ends at the second: a freeze never holds for less than was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bot.domain.deploy.environment import Window

WEEK = 7
CHAIN = 60
"""So many windows that follow one another without a pause are looked at; then the end is the last one's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Nothing is deployed until then. `until` is in UTC, and past the windows that follow without a pause."""

    window: Window
    until: datetime
    because: str


def holding(windows: Iterable[Window], now: datetime) -> Held | None:
    """What holds now, and until when; None when nothing does. `now` is aware."""
    windows = tuple(windows)
    first, end = _longest(windows, now)
    if first is None:
        return None
    for _ in range(CHAIN):
        following, later = _longest(windows, end)
        if following is None:
            break
        end = later
    return Held(window=first, until=end, because=first.because)


def occurrence(window: Window, now: datetime) -> tuple[datetime, datetime] | None:
    """From when and until when (in UTC) a window holds around this moment; None if it does not.

    The first moment counts, the last does not.
    """
    now = now.astimezone(UTC)
    if window.once is not None:
        begins, ends = (at.astimezone(UTC) for at in window.once)
        return (begins, ends) if begins <= now < ends else None
    if window.weekly is None:
        return None
    zone = ZoneInfo(window.tz)
    (first_day, first_time), (last_day, last_time) = window.weekly
    days = (last_day - first_day) % WEEK
    if days == 0 and last_time <= first_time:
        days = WEEK
    today = now.astimezone(zone).date()
    # Days before today, and tomorrow: what begins twice may have begun on a date that the clock then took back.
    for back in range(-1, WEEK + 2):
        day = today - timedelta(days=back)
        if day.weekday() != first_day:
            continue
        begins = _instant(datetime.combine(day, first_time), zone, latest=False)
        ends = _instant(datetime.combine(day + timedelta(days=days), last_time), zone, latest=True)
        if begins <= now < ends:
            return begins, ends
    return None


def _longest(windows: Iterable[Window], now: datetime) -> tuple[Window | None, datetime]:
    """Of the windows that hold, the one that holds longest; of two that end together the first one written."""
    chosen, end = None, now
    for window in windows:
        span = occurrence(window, now)
        if span is not None and span[1] > end:
            chosen, end = window, span[1]
    return chosen, end


def _instant(wall: datetime, zone: ZoneInfo, *, latest: bool) -> datetime:
    """The moment in UTC at which clocks there show this; see the module for those that do so twice or never."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if first <= second:
        return second if latest else first
    return _change(second, first, zone)


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment between the two at which clocks there were changed, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
