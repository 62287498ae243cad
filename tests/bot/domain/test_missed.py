"""Which deliveries are asked for again, in which order, and when one is given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.missed import MOST_ASKS, Missed, Round, plan

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEPT = timedelta(days=3)
ONE = Missed(attempt_id=1, failed_at=NOW - timedelta(minutes=5))


def asked(known: dict[str, Missed], failed: dict[str, Missed], *there: str, most: int = 100) -> Round:
    return plan(known, failed, there=there, now=NOW, kept=KEPT, most=most)


def test_what_failed_is_asked_for_the_oldest_first_and_at_most_so_many() -> None:
    failed = {name: replace(ONE, failed_at=NOW - timedelta(hours=age)) for name, age in [("b", 2), ("c", 1), ("a", 3)]}
    found = asked({}, failed, most=2)
    assert found.ask == ("a", "b")
    assert {name: one.asks for name, one in found.left.items()} == {"a": 1, "b": 1, "c": 0}


@pytest.mark.requirement("S-22")
def test_what_is_in_the_inbox_is_not_asked_for() -> None:
    assert asked({"b": ONE}, {"a": ONE}, "a", "b") == Round(ask=(), left={}, given_up=())


def test_what_did_not_come_is_asked_for_by_its_newest_try() -> None:
    found = asked({"a": replace(ONE, asks=1)}, {"a": replace(ONE, attempt_id=9)})
    assert found.left == {"a": replace(ONE, attempt_id=9, asks=2)}


def test_what_never_comes_is_given_up_and_told_once() -> None:
    known, asks = {"a": ONE}, 0
    told: list[str] = []
    for _ in range(10):
        found = asked(known, {})
        known, asks = dict(found.left), asks + len(found.ask)
        told += found.given_up
    assert (asks, told) == (MOST_ASKS, ["a"])
    assert known["a"].is_given_up


def test_what_github_has_forgotten_is_forgotten() -> None:
    assert asked({"a": replace(ONE, failed_at=NOW - KEPT)}, {}).left == {}


NAMES = st.sampled_from("abcdef")
SOME = st.dictionaries(
    NAMES,
    st.builds(
        Missed,
        attempt_id=st.integers(1, 9),
        failed_at=st.integers(0, 4000).map(lambda minutes: NOW - timedelta(minutes=minutes)),
        asks=st.integers(0, MOST_ASKS + 1),
    ),
)


@given(SOME, SOME, st.sets(NAMES), st.integers(0, 6))
def test_no_round_asks_for_more_than_it_may_or_for_what_is_there(
    known: dict[str, Missed], failed: dict[str, Missed], there: set[str], most: int
) -> None:
    found = asked(known, failed, *there, most=most)
    assert len(found.ask) <= most
    assert not there & {*found.ask, *found.left, *found.given_up}
    assert {*found.ask, *found.given_up} <= {*found.left}
    assert not {*found.ask} & {*found.given_up}
