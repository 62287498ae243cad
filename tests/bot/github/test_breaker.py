"""When GitHub is left alone, for how long, and what brings the callers back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.github.breaker import CLOSING, ENOUGH, IN_A_ROW, OPEN_FOR, WINDOW, Breaker
from tests.bot.github.wire import StoppedClock


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock()


@pytest.fixture
def breaker(clock: StoppedClock) -> Breaker:
    return Breaker(clock.now)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(IN_A_ROW):
        assert breaker.admit()
        breaker.fail()
    return breaker


def test_failures_in_a_row_open_it_and_one_less_does_not(breaker: Breaker) -> None:
    for _ in range(IN_A_ROW - 1):
        breaker.fail()
    assert breaker.state == "closed"
    breaker.succeed()
    for _ in range(IN_A_ROW - 1):
        breaker.fail()
    assert breaker.state == "closed"
    breaker.fail()
    assert breaker.state == "open"
    assert not breaker.admit()


def test_half_of_many_answers_failing_opens_it(breaker: Breaker) -> None:
    for _ in range(ENOUGH // 2 - 1):
        breaker.succeed()
        breaker.fail()
    breaker.succeed()
    assert breaker.state == "closed"
    breaker.fail()
    assert breaker.state == "open"


def test_failures_of_long_ago_do_not_count(breaker: Breaker, clock: StoppedClock) -> None:
    for _ in range(ENOUGH):
        breaker.fail()
        breaker.succeed()
        clock.advance(WINDOW / 3)
    assert breaker.state == "closed"


def test_after_a_rest_one_caller_at_a_time_probes(breaker: Breaker, clock: StoppedClock) -> None:
    opened(breaker)
    clock.advance(OPEN_FOR)
    assert breaker.admit()
    assert not breaker.admit()
    breaker.succeed()
    assert breaker.state == "half_open"
    assert breaker.admit()
    breaker.succeed()
    assert breaker.state == "closed"


def test_a_probe_that_fails_begins_another_rest(breaker: Breaker, clock: StoppedClock) -> None:
    opened(breaker)
    clock.advance(OPEN_FOR)
    assert breaker.admit()
    breaker.fail()
    assert breaker.state == "open"
    clock.advance(OPEN_FOR - timedelta(seconds=1))
    assert not breaker.admit()


def test_good_probes_count_in_a_row_alone(breaker: Breaker, clock: StoppedClock) -> None:
    opened(breaker)
    for answer in (breaker.succeed, breaker.fail, breaker.succeed):
        clock.advance(OPEN_FOR)
        assert breaker.admit()
        answer()
    assert breaker.state == "half_open"


def test_once_closed_what_was_before_counts_no_more(breaker: Breaker, clock: StoppedClock) -> None:
    for _ in range(ENOUGH // 2):
        breaker.succeed()
        breaker.fail()
    clock.advance(-OPEN_FOR)  # it has rested, and the answers are not old.
    for _ in range(CLOSING):
        assert breaker.admit()
        breaker.succeed()
    breaker.fail()
    assert breaker.state == "closed"


def test_a_probe_that_is_given_up_lets_the_next_one_through(breaker: Breaker, clock: StoppedClock) -> None:
    opened(breaker)
    clock.advance(OPEN_FOR)
    assert breaker.admit()
    breaker.abandon()
    assert breaker.admit()


def test_a_clock_that_is_set_back_does_not_keep_it_open(breaker: Breaker, clock: StoppedClock) -> None:
    opened(breaker)
    clock.advance(-timedelta(days=1))
    assert breaker.admit()


@given(st.lists(st.sampled_from(["good", "bad", "gave up", "minute"]), max_size=60))
def test_whatever_happened_it_closes_again_once_github_answers(story: list[str]) -> None:
    clock = StoppedClock()
    breaker = Breaker(clock.now)
    for event in story:
        if event == "minute":
            clock.advance(OPEN_FOR)
        elif breaker.admit():
            {"good": breaker.succeed, "bad": breaker.fail, "gave up": breaker.abandon}[event]()
    clock.advance(OPEN_FOR)
    for _ in range(CLOSING):
        assert breaker.admit()
        breaker.succeed()
    assert breaker.state == "closed"
