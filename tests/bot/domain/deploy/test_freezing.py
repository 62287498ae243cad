from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deploy.environment import Window
from bot.domain.deploy.freezing import holding, occurrence

BERLIN = ZoneInfo("Europe/Berlin")
SECOND = timedelta(seconds=1)
MON, TUE, FRI, SAT, SUN = 0, 1, 4, 5, 6


def weekly(first: tuple[int, str], last: tuple[int, str], tz: str = "Europe/Berlin", because: str = "") -> Window:
    (first_day, first_time), (last_day, last_time) = first, last
    span = ((first_day, time.fromisoformat(first_time)), (last_day, time.fromisoformat(last_time)))
    return Window(weekly=span, tz=tz, because=because)


WEEKEND = weekly((FRI, "16:00"), (MON, "08:00"), because="the weekend")


def berlin(text: str, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold)


@pytest.mark.deployment(10)
@pytest.mark.parametrize(
    ("at", "holds"),
    [
        pytest.param("2026-01-16T15:59:59", False, id="a-second-before"),
        pytest.param("2026-01-16T16:00:00", True, id="from-its-first-moment"),
        pytest.param("2026-01-18T03:00:00", True, id="in-the-middle"),
        pytest.param("2026-01-19T07:59:59", True, id="to-its-last-second"),
        pytest.param("2026-01-19T08:00:00", False, id="its-end-does-not-count"),
        pytest.param("2026-01-21T12:00:00", False, id="in-the-week"),
    ],
)
def test_a_window_of_every_week_reaches_over_the_end_of_the_week(at: str, holds: bool) -> None:
    assert (holding([WEEKEND], berlin(at)) is not None) is holds


@pytest.mark.deployment(10)
def test_who_waits_is_told_when_the_window_ends_and_why_there_is_one() -> None:
    held = holding([WEEKEND], berlin("2026-07-18T12:00:00"))

    assert held is not None
    assert (held.until, held.because) == (datetime(2026, 7, 20, 6, tzinfo=UTC), "the weekend")


@pytest.mark.deployment(10)
@pytest.mark.parametrize(
    ("window", "day", "begins", "ends"),
    [
        # In Berlin clocks go from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.
        pytest.param(
            weekly((SAT, "22:00"), (SUN, "04:00")),
            "2026-03-29T01:30",
            "2026-03-28T21:00Z",
            "2026-03-29T02:00Z",
            id="over-the-hour-that-is-left-out",
        ),
        pytest.param(
            weekly((SUN, "02:30"), (SUN, "05:00")),
            "2026-03-29T04:00",
            "2026-03-29T01:00Z",
            "2026-03-29T03:00Z",
            id="begins-at-a-time-that-there-is-not",
        ),
        pytest.param(
            weekly((SUN, "00:00"), (SUN, "02:30")),
            "2026-03-29T01:00",
            "2026-03-28T23:00Z",
            "2026-03-29T01:00Z",
            id="ends-at-a-time-that-there-is-not",
        ),
        pytest.param(
            weekly((SUN, "02:30"), (SUN, "05:00")),
            "2026-10-25T04:00",
            "2026-10-25T00:30Z",
            "2026-10-25T04:00Z",
            id="begins-at-a-time-that-comes-twice",
        ),
        pytest.param(
            weekly((SUN, "00:00"), (SUN, "02:30")),
            "2026-10-25T01:00",
            "2026-10-24T22:00Z",
            "2026-10-25T01:30Z",
            id="ends-at-a-time-that-comes-twice",
        ),
        pytest.param(
            weekly((FRI, "16:00"), (MON, "08:00")),
            "2026-10-25T12:00",
            "2026-10-23T14:00Z",
            "2026-10-26T07:00Z",
            id="an-hour-longer-than-others",
        ),
        pytest.param(
            weekly((SUN, "02:10"), (SUN, "02:20")),
            "2026-10-25T02:15",
            "2026-10-25T00:10Z",
            "2026-10-25T01:20Z",
            id="all-of-it-comes-twice-and-it-holds-between",
        ),
    ],
)
def test_a_clock_change_makes_no_window_shorter_than_it_was_written(
    window: Window, day: str, begins: str, ends: str
) -> None:
    span = occurrence(window, berlin(day))

    assert span == (datetime.fromisoformat(begins), datetime.fromisoformat(ends))


def test_a_window_that_lies_in_the_hour_that_is_left_out_does_not_come() -> None:
    gone = weekly((SUN, "02:10"), (SUN, "02:50"))

    assert all(
        holding([gone], datetime(2026, 3, 29, 0, tzinfo=UTC) + timedelta(minutes=at)) is None for at in range(180)
    )


def test_a_day_that_a_zone_left_out_ends_a_window_when_the_day_was_to_begin() -> None:
    """Samoa went from Thursday, 2011-12-29, to Saturday, 2011-12-31."""
    window = weekly((TUE, "12:00"), (FRI, "12:00"), tz="Pacific/Apia")

    span = occurrence(window, datetime(2011, 12, 29, 12, tzinfo=ZoneInfo("Pacific/Apia")))

    assert span is not None
    assert span[1] == datetime(2011, 12, 31, tzinfo=ZoneInfo("Pacific/Apia"))


def test_windows_are_of_the_place_that_they_were_written_for() -> None:
    tokyo = weekly((MON, "09:00"), (MON, "10:00"), tz="Asia/Tokyo")

    assert holding([tokyo], datetime(2026, 1, 19, 0, 30, tzinfo=UTC)) is not None
    assert holding([tokyo], datetime(2026, 1, 19, 9, 30, tzinfo=UTC)) is None


def test_a_window_that_ends_at_the_moment_at_which_it_begins_is_the_whole_week() -> None:
    always = weekly((MON, "08:00"), (MON, "08:00"))

    assert all(holding([always], berlin("2026-01-12T00:00:00") + timedelta(hours=6 * at)) for at in range(28))


@pytest.mark.deployment(10)
def test_a_window_that_comes_once_holds_from_its_first_moment_to_its_end() -> None:
    begins, ends = datetime(2026, 12, 20, tzinfo=UTC), datetime(2027, 1, 4, 9, tzinfo=UTC)
    window = Window(once=(begins, ends), because="the holidays")

    moments = (begins - SECOND, begins, ends - SECOND, ends)

    assert [holding([window], at) is not None for at in moments] == [False, True, True, False]


def test_windows_that_follow_without_a_pause_end_together() -> None:
    holidays = Window(once=(berlin("2026-01-19T00:00:00"), berlin("2026-01-24T00:00:00")), because="the move")

    held = holding([WEEKEND, holidays], berlin("2026-01-17T12:00:00"))

    assert held is not None
    assert (held.because, held.until) == ("the weekend", berlin("2026-01-26T08:00:00"))


def test_of_two_windows_the_one_that_holds_longer_is_named() -> None:
    night = weekly((SAT, "22:00"), (SUN, "06:00"), because="the night")

    held = holding([night, WEEKEND], berlin("2026-01-17T23:00:00"))

    assert held is not None
    assert held.because == "the weekend"


zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kolkata"]
)
CHANGES = [
    datetime.fromisoformat(at)
    for at in (
        "2026-03-29T01:00Z",
        "2026-10-25T01:00Z",
        "2026-03-08T07:00Z",
        "2026-11-01T06:00Z",
        "2026-04-04T15:00Z",
        "2026-10-03T15:30Z",
        "2011-12-30T10:00Z",
    )
]
"""Moments at which clocks were changed somewhere in `ZONES`."""

walls = st.tuples(st.integers(0, 6), st.builds(time, st.integers(0, 23) | st.integers(0, 4), st.integers(0, 59)))
moments = st.builds(
    lambda at, minutes: at + timedelta(minutes=minutes), st.sampled_from(CHANGES), st.integers(-300, 300)
) | st.integers(0, 20 * 365 * 24 * 60).map(lambda at: datetime(2010, 6, 1, tzinfo=UTC) + timedelta(minutes=at))


@given(walls, walls, zones, moments)
def test_a_moment_is_held_exactly_if_its_window_has_begun_and_not_ended(
    first: tuple[int, time], last: tuple[int, time], tz: str, now: datetime
) -> None:
    window = Window(weekly=(first, last), tz=tz)
    span = occurrence(window, now)

    if span is None:
        assert holding([window], now) is None
        return
    begins, ends = span
    assert begins <= now < ends <= begins + timedelta(days=8, hours=2)
    assert occurrence(window, begins) is not None
    held = holding([window], now)
    assert held is not None
    assert held.until >= ends


@given(walls, walls, zones, moments)
def test_wherever_clocks_show_a_time_of_the_window_it_holds(
    first: tuple[int, time], last: tuple[int, time], tz: str, now: datetime
) -> None:
    """The other way round, without a calendar: minutes of the week, as a clock on the wall shows them."""
    window = Window(weekly=(first, last), tz=tz)
    local = now.astimezone(ZoneInfo(tz))
    begins, ends, shown = (
        day * 1440 + at.hour * 60 + at.minute for day, at in (first, last, (local.weekday(), local.time()))
    )
    within = begins <= shown < ends if begins < ends else (shown >= begins or shown < ends)

    assert not within or holding([window], now) is not None
