from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model import Quarantine, Verdict
from runner.verdict import (
    decide,
    falsify_exit_code,
    flaky_fails,
    is_gating,
    is_green,
    run_exit_code,
    should_retry,
)
from tests.runner.boxes import attempts, box

OUTCOMES = ["passed", "failed", "timed_out", "errored", "vacuous", "skipped", "cancelled"]


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        *[pytest.param([outcome], outcome, id=f"one-{outcome}") for outcome in OUTCOMES],
        pytest.param(["failed", "passed"], "flaky", id="passed-on-retry"),
        pytest.param(["errored", "timed_out", "passed"], "flaky", id="passed-on-the-second-retry"),
        pytest.param(["failed", "errored"], "errored", id="the-last-red-attempt-names-it"),
        pytest.param(["failed", "skipped"], "failed", id="a-red-box-cannot-skip-its-way-out"),
        pytest.param(["failed", "vacuous"], "vacuous", id="nor-by-asserting-nothing"),
        pytest.param(["failed", "cancelled"], "cancelled", id="cancelled-on-retry"),
    ],
)
def test_the_last_attempt_decides(outcomes: list[str], verdict: str) -> None:
    assert decide(attempts(*outcomes)) == verdict


@given(st.lists(st.sampled_from(OUTCOMES), min_size=1), st.booleans())
def test_a_box_whose_last_attempt_did_not_pass_is_green_only_by_a_plain_skip(outcomes: list[str], may: bool) -> None:
    green = is_green(decide(attempts(*outcomes)), may_skip=may, flaky_fails=False)
    red_before = any(outcome in {"failed", "timed_out", "errored"} for outcome in outcomes)
    assert green == (outcomes[-1] == "passed" or (outcomes[-1] == "skipped" and may and not red_before))


@pytest.mark.parametrize(
    ("verdict", "plain", "may_skip", "strict_flaky"),
    [
        pytest.param("passed", True, True, True, id="passed"),
        pytest.param("cached", True, True, True, id="cached"),
        pytest.param("flaky", True, True, False, id="flaky-unless-flaky-fails"),
        pytest.param("skipped", False, True, False, id="skipped-only-if-it-may"),
        *[
            pytest.param(red, False, False, False, id=red)
            for red in ("failed", "timed_out", "errored", "vacuous", "blocked", "cancelled")
        ],
    ],
)
def test_what_is_green(verdict: str, plain: bool, may_skip: bool, strict_flaky: bool) -> None:
    value = Verdict(verdict)
    assert is_green(value, may_skip=False, flaky_fails=False) is plain
    assert is_green(value, may_skip=True, flaky_fails=False) is may_skip
    assert is_green(value, may_skip=False, flaky_fails=True) is strict_flaky


def test_every_verdict_has_its_row() -> None:
    assert {*OUTCOMES, "cached", "flaky", "blocked"} == set(Verdict)


@pytest.mark.parametrize(
    ("today", "gating"),
    [
        pytest.param("2026-03-01", False, id="before"),
        pytest.param("2026-03-31", False, id="on-the-day"),
        pytest.param("2026-04-01", True, id="the-day-after"),
    ],
)
def test_a_quarantine_ends_after_its_date(today: str, gating: bool) -> None:
    quarantined = box(1, quarantine=Quarantine(until="2026-03-31", reason="flaky upstream"))
    assert is_gating(quarantined, today=today) is gating


def test_a_box_without_quarantine_gates() -> None:
    assert is_gating(box(1), today="2026-03-31")


def test_a_box_decides_about_its_own_flakiness_before_the_place_where_it_runs() -> None:
    answers = [
        flaky_fails(box(1, flaky=own), default=default) for own in ("", "pass", "fail") for default in (True, False)
    ]
    assert answers == [True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("outcomes", "retries", "again"),
    [
        pytest.param(["failed"], 0, False, id="no-retries-allowed"),
        pytest.param(["failed"], 1, True, id="first-retry"),
        pytest.param(["failed", "failed"], 1, False, id="used-up"),
        pytest.param(["errored"], 1, True, id="errored"),
        pytest.param(["timed_out"], 1, True, id="timed-out"),
        pytest.param(["passed"], 1, False, id="passed"),
        pytest.param(["vacuous"], 1, False, id="vacuous-stays-vacuous"),
        pytest.param(["skipped"], 1, False, id="skipped"),
        pytest.param(["cancelled"], 1, False, id="cancelled"),
    ],
)
def test_only_a_red_attempt_is_repeated_and_only_so_often(outcomes: list[str], retries: int, again: bool) -> None:
    assert should_retry(attempts(*outcomes), retries=retries) is again


def test_exit_codes_are_those_that_are_documented() -> None:
    assert run_exit_code([True, True]) == 0
    assert run_exit_code([True, False]) == 1
    assert run_exit_code([True], interrupted=True) == 5
    assert falsify_exit_code(["proven"], strict=True) == 0
    assert falsify_exit_code(["proven", "no_control"], strict=True) == 1
    assert falsify_exit_code(["proven", "no_control"], strict=False) == 0
    assert falsify_exit_code(["proven"], strict=False, interrupted=True) == 5


@pytest.mark.parametrize("answer", ["blind", "wrong_reason", "overreach", "stale", "unproven"])
def test_a_control_that_proved_nothing_is_never_let_pass(answer: str) -> None:
    assert falsify_exit_code(["proven", answer], strict=False) == 1
