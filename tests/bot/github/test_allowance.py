from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.github.allowance import AN_HOUR, HOUR, MINUTE, Allowance, Lane

PAUSES = st.floats(min_value=0, max_value=90, allow_nan=False)


def schedule(wishes: list[tuple[float, Lane]], allowance: Allowance) -> list[float]:
    """When each write is sent, one after the other, each as early as it may be."""
    now, sent = 0.0, []
    for pause, lane in wishes:
        now += pause
        now += allowance.wait(lane, now)
        allowance.spend(now)
        sent.append(now)
    return sent


def most_within(moments: list[float], seconds: float) -> int:
    return max(sum(start <= moment < start + seconds - 0.001 for moment in moments) for start in moments)


@given(st.lists(st.tuples(PAUSES, st.sampled_from(list(Lane))), min_size=1, max_size=120))
def test_no_minute_and_no_hour_ever_has_more_than_github_allows(wishes: list[tuple[float, Lane]]) -> None:
    sent = schedule(wishes, Allowance(a_minute=16, an_hour=40))
    assert most_within(sent, MINUTE) <= 16
    assert most_within(sent, HOUR) <= 40


def test_the_numbers_are_those_of_github() -> None:
    sent = schedule([(0.0, Lane.GATES)] * 700, Allowance())
    assert 78 < most_within(sent, MINUTE) <= 80
    assert most_within(sent, HOUR) == AN_HOUR


@given(st.lists(st.tuples(PAUSES, st.sampled_from(list(Lane))), max_size=60), st.sampled_from(list(Lane)))
def test_who_has_waited_as_long_as_told_may_go(wishes: list[tuple[float, Lane]], lane: Lane) -> None:
    allowance = Allowance(a_minute=16, an_hour=40)
    now = [0.0, *schedule(wishes, allowance)][-1]
    assert allowance.wait(lane, now + allowance.wait(lane, now)) == pytest.approx(0, abs=1e-5)


@given(st.lists(st.tuples(PAUSES, st.sampled_from(list(Lane))), max_size=60), st.integers(0, 5))
def test_no_lane_waits_longer_than_a_less_urgent_one(wishes: list[tuple[float, Lane]], behind: int) -> None:
    allowance = Allowance(a_minute=16, an_hour=40)
    now = [0.0, *schedule(wishes, allowance)][-1]
    waits = [allowance.wait(lane, now, behind=behind) for lane in Lane]
    assert waits == sorted(waits)


def test_comments_and_progress_leave_something_for_gates() -> None:
    allowance = Allowance()
    while not allowance.wait(Lane.PROGRESS, 0.0):
        allowance.spend(0.0)
    assert [allowance.wait(lane, 0.0) == 0 for lane in Lane] == [True, True, True, False]
    while not allowance.wait(Lane.COMMENTS, 0.0):
        allowance.spend(0.0)
    assert [allowance.wait(lane, 0.0) == 0 for lane in Lane] == [True, True, False, False]
