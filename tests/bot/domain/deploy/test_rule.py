"""What a job of a workflow that waits for our rule is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.deploy.answers import Answer, Deny, Gate, Pass, Wait
from bot.domain.deploy.rule import EARLY, GITHUB_WAITS, LONGEST, MOST_TOLD, Decided, Nothing, Tell, answer, last_moment

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
SHA = "cafe123" + "0" * 33
GREEN = Gate("boxes", Pass("all 3 boxes of tier:1-2 are green"))
WANTING = Gate("approvals", Wait("0 of 1 approvals", way_out="@ada can comment"))


def said(*gates: Gate, now: datetime = NOW, told: str = "", comments: int = 0) -> Decided | Tell | Nothing:
    return answer(gates, sha=SHA, now=now, due_at=LATER, told=told, comments=comments)


def test_when_every_gate_passes_the_answer_is_yes() -> None:
    assert said(GREEN) == snapshot(
        Decided(
            state="approved",
            comment="Every gate passes for cafe12\u200d3: all 3 boxes of tier:1-2 are green",
            reason="gates_pass",
        )
    )


def test_one_denial_is_a_no_whatever_the_others_say() -> None:
    denied = Gate("origin", Deny("production takes commits of main only", way_out="merge it first"))
    assert said(GREEN, WANTING, denied) == snapshot(
        Decided(
            state="rejected",
            comment="Not cafe12\u200d3: production takes commits of main only (merge it first)",
            reason="gate_denied",
        )
    )


def test_while_a_gate_waits_only_its_sentence_is_told() -> None:
    told = said(GREEN, WANTING)
    assert isinstance(told, Tell)
    assert told.comment.replace("\u200d", "").split(": ") == snapshot(
        ["cafe123 waits until 2026-03-01 13:00 UTC at the latest", "0 of 1 approvals (@ada can comment)"]
    )


@pytest.mark.deployment(3)
def test_when_its_time_is_over_the_answer_is_no() -> None:
    late = said(GREEN, WANTING, now=LATER)
    assert isinstance(late, Decided)
    assert (late.state, late.reason) == ("rejected", "expired")


def test_what_was_told_is_not_told_again_until_another_gate_or_another_person_speaks() -> None:
    first = said(GREEN, WANTING)
    assert isinstance(first, Tell)
    assert said(GREEN, WANTING, told=first.key) == Nothing()
    second = said(GREEN, Gate("approvals", Wait("1 of 2 approvals")), told=first.key)
    assert isinstance(second, Tell)
    running = [Gate("boxes", Wait(f"{n} of 9 boxes have run")) for n in (1, 2)]
    one = said(running[0])
    assert isinstance(one, Tell)
    assert said(running[1], told=one.key) == Nothing(), "each box that ends is no news"


def test_github_takes_only_so_many_comments() -> None:
    assert said(WANTING, comments=MOST_TOLD) == Nothing()
    assert isinstance(said(WANTING, comments=MOST_TOLD - 1), Tell)


answers: st.SearchStrategy[Answer] = st.one_of(
    st.builds(Pass, st.text(max_size=3000)),
    st.builds(Wait, st.text(max_size=3000)),
    st.builds(Deny, st.text(max_size=3000)),
)
gates = st.lists(st.builds(Gate, st.sampled_from(["boxes", "approvals", "lock"]), answers), max_size=5)


@given(gates, st.booleans())
def test_a_yes_needs_every_gate_and_a_comment_fits(some: list[Gate], is_late: bool) -> None:
    given_now = said(*some, now=LATER if is_late else NOW)
    is_yes = isinstance(given_now, Decided) and given_now.state == "approved"
    assert is_yes == all(isinstance(gate.answer, Pass) for gate in some)
    if not isinstance(given_now, Nothing):
        assert len(given_now.comment.encode()) <= LONGEST
        assert "@ada" not in given_now.comment
    if is_late:
        assert isinstance(given_now, Decided), "what is late is answered"


@pytest.mark.deployment(3)
@given(st.none() | st.floats(min_value=60, max_value=1e9))
def test_it_is_answered_before_github_gives_up(expires: float | None) -> None:
    due = last_moment(NOW, expires)
    assert NOW < due <= NOW + GITHUB_WAITS - EARLY
