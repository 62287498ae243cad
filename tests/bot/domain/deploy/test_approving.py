from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.deploy.answers import Answer, Deny, Pass, Wait
from bot.domain.deploy.approving import count, entitled, void, votes, whom
from bot.domain.deploy.deployment import Approval
from bot.domain.deploy.environment import ApprovalsGate
from tests.bot.domain.deploy.story import BEEF, DEPLOYMENT, HOUR, NOW, TWO_OF_RELEASE, approval, deployment

SECOND = timedelta(seconds=1)
ONE = replace(TWO_OF_RELEASE, count=1)


def answer(*approvals: Approval, spec: ApprovalsGate = ONE, authors: tuple[str, ...] = ()) -> Answer:
    return count(approvals, DEPLOYMENT, spec, now=NOW + HOUR, authors=authors)


def test_as_many_people_as_are_asked_for_make_it_pass() -> None:
    one = answer(approval("ada"), spec=TWO_OF_RELEASE)
    two = answer(approval("ada"), approval("bob"), spec=TWO_OF_RELEASE)

    assert one == snapshot(
        Wait(
            because="1 of 2 approvals for cafe123, by @ada",
            way_out="a member of team release can comment `/approve production`",
        )
    )
    assert two == snapshot(Pass(because="approved by @ada, @bob"))


@pytest.mark.deployment(1)
@pytest.mark.requirement("S-3")
@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        pytest.param({"sha": BEEF}, "@ada spoke of commit beef456, and this is commit cafe123", id="another-commit"),
        pytest.param(
            {"artifact": "tree:" + "b" * 40},
            "@ada spoke of artifact tree:bbbbbbb, and this is artifact tree:aaaaaaa",
            id="another-artifact",
        ),
        pytest.param(
            {"config": "d" * 64},
            "@ada spoke of configuration ddddddd, and this is configuration ccccccc",
            id="another-configuration",
        ),
        pytest.param(
            {"artifact": ""},
            "@ada spoke of artifact (none), and this is artifact tree:aaaaaaa",
            id="before-the-artifact-was-known",
        ),
    ],
)
def test_an_approval_of_something_else_does_not_count_and_both_are_named(
    changed: dict[str, Any], sentence: str
) -> None:
    said = answer(approval("ada", **changed))

    assert isinstance(said, Wait)
    assert said.because == f"0 of 1 approvals for cafe123; {sentence}"


@pytest.mark.deployment(1)
@pytest.mark.requirement("S-3")
def test_what_a_new_head_makes_void_is_said_of_each_approval_once() -> None:
    mine, gone = approval("ada"), approval("bob", void_because="the comment was edited")
    elsewhere = approval("eve", environment="staging")
    moved = deployment(sha=BEEF)

    assert void([mine, gone, elsewhere], DEPLOYMENT) == ()
    [voided] = void([mine, gone, elsewhere], moved)
    assert voided.approval is mine
    assert voided.because == "@ada spoke of commit cafe123, and this is commit beef456"


@pytest.mark.requirement("S-3")
@given(
    st.sets(st.sampled_from(["sha", "artifact", "config"]), min_size=1),
    st.text(alphabet="0123456789abcdef", min_size=1, max_size=64),
)
def test_no_approval_survives_a_change_of_what_it_binds_to(parts: set[str], other: str) -> None:
    changed: dict[str, Any] = {part: other for part in parts if other != getattr(DEPLOYMENT, part)}

    assert not votes([approval("ada", **changed)], DEPLOYMENT, ONE, now=NOW).approved or not changed


def test_two_digests_that_begin_alike_are_told_apart() -> None:
    near = DEPLOYMENT.sha[:18] + "f" + DEPLOYMENT.sha[19:]

    [voided] = void([approval("ada", sha=near)], DEPLOYMENT)

    assert near[:20] in voided.because


@pytest.mark.deployment(2)
@pytest.mark.requirement("S-31")
@pytest.mark.parametrize(
    ("by", "sentence"),
    [
        pytest.param("Mona", "@Mona wrote it, so that approval does not count", id="the-author"),
        pytest.param("rick", "@rick asked for it, so that approval does not count", id="the-requester"),
        pytest.param("linus", "@linus wrote it, so that approval does not count", id="who-wrote-a-commit-of-it"),
    ],
)
def test_nobody_approves_the_own_change_and_is_told_why(by: str, sentence: str) -> None:
    said = answer(approval(by), authors=("linus",))

    assert isinstance(said, Wait)
    assert sentence in said.because


def test_the_configuration_may_let_people_approve_their_own_change() -> None:
    lenient = replace(ONE, excluding=frozenset())

    assert answer(approval("mona"), spec=lenient) == Pass("approved by @mona")


@pytest.mark.deployment(2)
def test_one_person_counts_once_however_the_name_is_written() -> None:
    said = answer(approval("ada", id="1"), approval("Ada", id="2"), spec=TWO_OF_RELEASE)

    assert isinstance(said, Wait)
    assert said.because == "1 of 2 approvals for cafe123, by @Ada"


def test_an_approval_expires_to_the_second() -> None:
    spec = replace(ONE, expires=3600.0)

    assert isinstance(answer(approval("ada", given_at=NOW + SECOND), spec=spec), Pass)
    assert answer(approval("ada"), spec=spec) == snapshot(
        Wait(
            because="0 of 1 approvals for cafe123; the approval by @ada has expired",
            way_out="a member of team release can comment `/approve production`",
        )
    )


def test_of_what_one_person_said_the_last_word_counts() -> None:
    yes, no = approval("ada", id="1"), approval("ada", id="2", approves=False, given_at=NOW + SECOND)
    yes_again = approval("ada", id="3", given_at=NOW + 2 * SECOND)

    assert isinstance(answer(no, yes), Deny)
    assert isinstance(answer(yes_again, no, yes), Pass)
    assert isinstance(answer(approval("ada", id="9"), no), Deny), "by when it was said, not by what it is called"


def test_one_rejection_denies_whoever_else_approves() -> None:
    no = approval("bob", approves=False, because="the index is\nmissing")

    assert answer(approval("ada"), approval("eve"), no) == snapshot(
        Deny(because="@bob rejected cafe123: the index is missing", way_out="a new `/deploy` asks again")
    )


def test_who_may_not_approve_may_not_reject() -> None:
    said = answer(approval("ada"), approval("mallory", approves=False, as_who=("role:write",)))

    assert said == Pass("approved by @ada")


def test_what_was_taken_back_counts_neither_way() -> None:
    taken = approval("bob", approves=False, void_because="the comment was deleted")

    assert answer(approval("ada"), taken) == Pass("approved by @ada")
    assert isinstance(answer(approval("ada", void_because="the comment was edited")), Wait)


def test_what_was_said_before_stands_again_when_the_last_word_is_taken_back() -> None:
    no = approval("ada", id="2", approves=False, given_at=NOW + SECOND, void_because="the comment was deleted")

    assert answer(approval("ada", id="1"), no) == Pass("approved by @ada")


def test_an_approval_for_another_environment_is_not_one_for_this() -> None:
    assert isinstance(answer(approval("ada", environment="staging")), Wait)


@pytest.mark.parametrize(
    ("as_who", "sources", "may"),
    [
        pytest.param(["team:release"], ["team:Release"], True, id="of-the-team"),
        pytest.param(["team:design"], ["team:release"], False, id="of-another-team"),
        pytest.param([], ["user:Ada"], True, id="by-name"),
        pytest.param(["role:admin"], ["role:maintain"], True, id="a-role-holds-those-below"),
        pytest.param(["role:write"], ["role:maintain"], False, id="and-none-above"),
        pytest.param(["role:release-manager"], ["role:write"], False, id="a-role-nobody-knows-holds-nothing"),
        pytest.param(["team:admin"], ["role:write"], False, id="a-team-is-no-role"),
        pytest.param(["role:admin"], [], False, id="nobody-may"),
    ],
)
def test_who_is_entitled(as_who: list[str], sources: list[str], may: bool) -> None:
    assert entitled(as_who, "ada", sources) is may


@pytest.mark.requirement("S-3")
def test_who_has_left_the_team_since_does_not_count() -> None:
    said = answer(approval("ada", as_who=()))

    assert isinstance(said, Wait)
    assert said.because == "0 of 1 approvals for cafe123; @ada is none of those who may"


def test_whom_is_asked_in_words() -> None:
    sources = ("team:release", "user:ada", "role:maintain")

    assert whom(ApprovalsGate(sources=sources)) == snapshot(
        "a member of team release or @ada or somebody with maintain permission"
    )


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans(), st.integers(0, 5)), max_size=12))
def test_no_order_in_which_a_database_answers_changes_the_answer(said: list[tuple[str, bool, int]]) -> None:
    given_order = [
        approval(by, id=str(at), approves=yes, given_at=NOW + when * SECOND) for at, (by, yes, when) in enumerate(said)
    ]

    assert answer(*given_order, spec=TWO_OF_RELEASE) == answer(*reversed(given_order), spec=TWO_OF_RELEASE)
