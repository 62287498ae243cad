from __future__ import annotations

import json
from math import exp, isfinite
from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.bakes import ALPHA, SAMPLES, after_successes, found_after, is_alarmed, until_failure
from bot.domain.deploy.watch import (
    CEILING,
    FLOOR,
    LEAST,
    Judge,
    alternatives,
    begin,
    evidence,
    feed,
    from_json,
    is_bad,
    samples_needed,
    smallest_found,
    threshold,
    to_json,
    tolerated,
    upper_bound,
)

BAKES = 100_000

batches = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40)
shares = st.floats(LEAST, CEILING)


def fed(judge: Judge, seen: list[tuple[int, int]]) -> Judge:
    for failures, successes in seen:
        judge = feed(judge, failures=failures, successes=successes)
    return judge


@pytest.mark.deployment(15)
@pytest.mark.parametrize(
    ("rate", "p0"),
    [
        pytest.param(0.001, 0.01, id="a-tenth-of-what-is-tolerated"),
        pytest.param(0.005, 0.01, id="half-of-what-is-tolerated"),
        pytest.param(0.01, 0.01, id="all-that-is-tolerated"),
        pytest.param(0.001, 0.001, id="all-of-a-tenth-of-a-percent"),
        pytest.param(0.005, 0.005, id="all-of-half-a-percent"),
    ],
)
def test_a_release_no_worse_than_tolerated_is_rolled_back_no_more_often_than_promised(rate: float, p0: float) -> None:
    rng = Random(f"{rate} {p0}")

    false = sum(is_alarmed(rng, rate=rate, p0=p0) for _ in range(BAKES))

    assert upper_bound(false, BAKES) <= ALPHA, f"{false} of {BAKES} bakes"


@pytest.mark.deployment(15)
def test_the_promise_holds_for_batches_of_hundreds_of_answers_too() -> None:
    rng, bakes, size, count, alpha = Random(15), 4_000, 400, 40, 0.01
    false = 0
    for _ in range(bakes):
        judge = begin(batches=count, alpha=alpha, p0=0.01)
        for _ in range(count):
            failures, left = 0, size
            while (well := until_failure(rng, 0.01)) < left:
                failures, left = failures + 1, left - well - 1
            judge = feed(judge, failures=failures, successes=size - failures)
            if is_bad(judge):
                false += 1
                break

    assert upper_bound(false, bakes) <= alpha, f"{false} of {bakes} bakes"


def test_the_simulation_sees_a_promise_that_does_not_hold() -> None:
    rng = Random(15)

    false = sum(is_alarmed(rng, rate=0.03, p0=0.01) for _ in range(2_000))

    assert false / 2_000 > 10 * ALPHA


@given(st.integers(0, 300), st.sampled_from([0.001, 0.01, 0.2]), st.integers(0, 5))
def test_the_simulation_takes_the_same_steps_as_the_judge(count: int, p0: float, failures: int) -> None:
    judge = fed(begin(batches=SAMPLES, alpha=ALPHA, p0=p0), [(1, 0)] * failures)

    one_by_one, at_once = fed(judge, [(0, 1)] * count), after_successes(judge, count)

    assert at_once.r == pytest.approx(one_by_one.r, rel=1e-9, abs=1e-9)
    assert (at_once.batches, at_once.successes) == (one_by_one.batches, one_by_one.successes)


@pytest.mark.deployment(14)
@pytest.mark.parametrize(
    ("rate", "middle", "most"),
    [
        pytest.param(1.0, 4, 4, id="all"),
        pytest.param(0.5, 9, 16, id="half"),
        pytest.param(0.2, 27, 58, id="a-fifth"),
        pytest.param(0.1, 76, 157, id="a-tenth"),
    ],
)
def test_failures_that_begin_in_the_middle_of_a_bake_are_found_as_soon_as_was_measured(
    rate: float, middle: int, most: int
) -> None:
    rng = Random(14)

    found = [found_after(rng, before=0.001, rate=rate) or SAMPLES for _ in range(2_000)]

    assert median(found) == pytest.approx(middle, rel=0.12, abs=0.5)
    assert sorted(found)[int(0.95 * len(found))] == pytest.approx(most, rel=0.15, abs=1)


@pytest.mark.deployment(14)
@pytest.mark.parametrize(("planned", "needed"), [(240, 3), (2400, 4)])
def test_a_dead_release_is_found_after_three_or_four_answers(planned: int, needed: int) -> None:
    judge = begin(batches=planned, alpha=ALPHA, p0=0.01)

    assert not is_bad(fed(judge, [(1, 0)] * (needed - 1)))
    assert is_bad(fed(judge, [(1, 0)] * needed))


@given(batches, shares, st.floats(0, 1), st.integers(1, 6))
def test_below_what_is_tolerated_nothing_is_expected_to_grow_but_by_the_time(
    seen: list[tuple[int, int]], p0: float, part: float, size: int
) -> None:
    """The law under the bound: E[R after a batch] ≤ R + 1, for every rate up to p0 and batches of every size."""
    judge, rate = fed(begin(batches=100, alpha=ALPHA, p0=p0), seen), part * p0
    before, expected, ways = evidence(judge), 0.0, 1.0  # `expected` as a multiple of 1 + R, which may be beyond floats.
    for failures in range(size + 1):
        chance = ways * rate**failures * (1 - rate) ** (size - failures)
        expected += chance * exp(evidence(feed(judge, failures=failures, successes=size - failures)) - before)
        ways = ways * (size - failures) / (failures + 1)

    assert expected <= (1 + exp(-before)) * (1 + 1e-9)


@given(batches, shares, st.integers(1, 1000), st.data())
def test_more_failures_never_speak_for_a_release(
    seen: list[tuple[int, int]], p0: float, size: int, data: st.DataObject
) -> None:
    judge = fed(begin(batches=100, alpha=ALPHA, p0=p0), seen)
    failures = data.draw(st.integers(0, size - 1))

    fewer = feed(judge, failures=failures, successes=size - failures)
    more = feed(judge, failures=failures + 1, successes=size - failures - 1)

    assert evidence(more) >= evidence(fewer) - 1e-9, "but for the rounding of logarithms near nought"


def test_no_number_of_answers_is_too_large() -> None:
    judge = begin(batches=240, alpha=ALPHA, p0=0.001)
    for _ in range(3):
        judge = feed(judge, failures=10**6, successes=0)
    dead = judge
    for _ in range(3):
        judge = feed(judge, failures=0, successes=10**9)

    assert is_bad(dead)
    assert not is_bad(judge)
    assert all(isfinite(one) and one >= 0 for one in (*dead.r, *judge.r))


@pytest.mark.deployment(28)
@given(batches, shares)
def test_a_judge_that_was_written_down_is_the_same_judge(seen: list[tuple[int, int]], p0: float) -> None:
    judge = fed(begin(batches=100, alpha=ALPHA, p0=p0), seen)

    assert from_json(json.loads(json.dumps(to_json(judge)))) == judge


def test_a_batch_without_an_answer_tells_nothing() -> None:
    judge = fed(begin(batches=100, alpha=ALPHA, p0=0.01), [(1, 3)])

    assert feed(judge, failures=0, successes=0) == judge


def test_more_batches_than_were_planned_need_more_evidence() -> None:
    planned = begin(batches=10, alpha=ALPHA, p0=0.01)

    assert threshold(fed(planned, [(0, 1)] * 10)) == threshold(planned)
    assert threshold(fed(planned, [(0, 1)] * 20)) == pytest.approx(threshold(begin(batches=20, alpha=ALPHA, p0=0.01)))


@given(shares)
def test_what_is_looked_for_is_always_worse_than_what_is_tolerated(p0: float) -> None:
    assert all(p0 < p1 < 1 for p1 in alternatives(p0))


@pytest.mark.parametrize(
    ("given_share", "used"),
    [
        pytest.param(0.0, LEAST, id="nothing-is-tolerated"),
        pytest.param(0.02, 0.02, id="a-sensible-share"),
        pytest.param(0.99, CEILING, id="nearly-everything"),
    ],
)
def test_the_tolerated_share_stays_where_a_watch_makes_sense(given_share: float, used: float) -> None:
    assert begin(batches=1, alpha=ALPHA, p0=given_share).p0 == used


@settings(max_examples=25)
@given(shares)
def test_a_dead_release_is_found_whatever_is_tolerated(p0: float) -> None:
    judge = fed(begin(batches=100, alpha=ALPHA, p0=p0), [(1, 0)] * 25)

    assert is_bad(judge)


@pytest.mark.parametrize(
    ("rate", "middle"),
    [pytest.param(0.5, 9, id="half"), pytest.param(0.2, 27, id="a-fifth"), pytest.param(0.1, 76, id="a-tenth")],
)
def test_the_samples_that_are_said_to_be_needed_are_about_those_that_are(rate: float, middle: int) -> None:
    needed = samples_needed(batches=SAMPLES, alpha=ALPHA, p0=0.01, rate=rate)

    assert middle <= needed <= 1.6 * middle


def test_what_is_tolerated_is_never_found() -> None:
    assert samples_needed(batches=SAMPLES, alpha=ALPHA, p0=0.01, rate=0.01) == 0


def test_more_answers_find_smaller_faults() -> None:
    found = [
        smallest_found(fed(begin(batches=600, alpha=ALPHA, p0=0.01), [(0, 1)] * count)) for count in (0, 12, 60, 600)
    ]

    assert found == sorted(found, reverse=True)
    assert (found[0], found[-1]) == (1.0, 0.04)


@pytest.mark.parametrize(
    ("failures", "answers", "bound"),
    [
        # Where no or all answers failed, the bound has a closed form.
        pytest.param(0, 100, 1 - 0.001 ** (1 / 100), id="none-of-a-hundred"),
        pytest.param(0, 100_000, 1 - 0.001 ** (1 / 100_000), id="none-of-many"),
        pytest.param(10, 10, 1.0, id="all"),
        pytest.param(0, 0, 1.0, id="nobody-asked"),
        # One failure: (1 - p)ⁿ + n p (1 - p)ⁿ⁻¹ = 0.001 at n = 2 is 1 - p² = 0.001.
        pytest.param(1, 2, 0.999**0.5, id="one-of-two"),
    ],
)
def test_the_bound_on_a_share_is_the_known_one(failures: int, answers: int, bound: float) -> None:
    assert upper_bound(failures, answers) == pytest.approx(bound, rel=1e-9)


@given(st.integers(1, 400), st.data())
def test_at_the_bound_so_few_failures_are_as_unlikely_as_it_says(answers: int, data: st.DataObject) -> None:
    failures = data.draw(st.integers(0, answers - 1))

    bound = upper_bound(failures, answers)

    at_most, ways = 0.0, 1.0
    for count in range(failures + 1):
        at_most += ways * bound**count * (1 - bound) ** (answers - count)
        ways = ways * (answers - count) / (count + 1)
    assert at_most == pytest.approx(0.001, rel=1e-6)


@pytest.mark.parametrize(
    ("failures", "answers", "share"),
    [
        pytest.param(0, 0, FLOOR, id="nobody-asked"),
        pytest.param(0, 20, FLOOR, id="never-failed-however-few-answers"),
        pytest.param(1, 10_000, FLOOR, id="better-than-the-floor"),
        pytest.param(50, 1000, pytest.approx(0.0750, abs=1e-4), id="worse-than-the-floor"),
        pytest.param(9, 10, CEILING, id="nobody-tolerates-that"),
    ],
)
def test_what_the_release_before_failed_is_tolerated_within_reason(failures: int, answers: int, share: float) -> None:
    assert tolerated(failures, answers) == share
