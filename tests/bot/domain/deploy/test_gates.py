from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.deploy.answers import Answer, Deny, Gate, Pass, Wait, verdict
from bot.domain.deploy.environment import (
    AfterGate,
    ApprovalsGate,
    BoxesGate,
    NotFrozenGate,
    Window,
)
from bot.domain.deploy.gate_facts import Boxes, BreakGlass, Reviewers, Unknown
from bot.domain.deploy.gates import again, evaluate, still_holds
from bot.domain.deploy.release import Standing
from bot.domain.deploy.states import State
from bot.domain.freeze import Freeze
from tests.bot.domain.deploy.story import (
    BEEF,
    CAFE,
    HOUR,
    NOBODY,
    NOW,
    RELEASE,
    answer,
    answers,
    approval,
    deployment,
    environment,
    facts,
    known,
    lock,
    origin,
    release,
    staged,
)

HOLIDAYS = Window(once=(NOW - HOUR, NOW + HOUR), because="the holidays")
FREEZE = Freeze(id="f", repo_id=1, branch="main", by="ada", because="the release", since=NOW - HOUR)


def test_a_commit_of_the_default_branch_with_nothing_in_its_way_passes() -> None:
    gates = evaluate(facts(), now=NOW)

    assert [gate.name for gate in gates] == ["origin", "quarantine", "lock", "turn"]
    assert verdict(gates) == Pass("every gate passes")


# Boxes.


@pytest.mark.parametrize(
    ("boxes", "said"),
    [
        pytest.param(Boxes(sha=CAFE, total=4), Pass("all 4 boxes of tier:1-3 are green on cafe123"), id="green"),
        pytest.param(
            Boxes(sha=BEEF, total=4),
            Wait("tier:1-3 ran on beef456, and this is cafe123", "they have to run on this commit"),
            id="green-on-another-commit",
            marks=pytest.mark.requirement("S-1"),
        ),
        pytest.param(
            Boxes(sha=CAFE, total=4, not_green=("21 Adds failed", "22 Logs errored"), open=1),
            Wait("21 Adds failed and 1 more on cafe123", "a green re-run, or a commit that mends it"),
            id="red",
        ),
        pytest.param(
            Boxes(sha=CAFE, total=4, open=1),
            Wait("3 of 4 boxes of tier:1-3 have run on cafe123", "when they have"),
            id="running",
        ),
        pytest.param(
            Boxes(sha=CAFE, total=0),
            Deny("tier:1-3 selects no box of cafe123", "correct the gate on the default branch"),
            id="nothing-is-selected-and-nothing-is-not-green",
        ),
        pytest.param(NOBODY, Wait("GitHub did not say", "it is asked again within a minute"), id="unknown"),
    ],
)
def test_boxes_have_to_be_green_on_exactly_that_commit(boxes: Boxes | Unknown, said: Answer) -> None:
    assert answer("boxes", BoxesGate("tier:1-3"), boxes={"tier:1-3": boxes}) == said


def test_a_commit_without_a_run_waits_and_says_what_starts_one() -> None:
    assert answer("boxes", BoxesGate("all")) == snapshot(
        Wait(because="no run of cafe123 is known", way_out="push the commit, or comment `/boxes run`")
    )


# Approvals, and GitHub's reviewers beside them.


def test_approvals_that_nobody_could_read_are_none() -> None:
    spec = ApprovalsGate(sources=("team:release",))

    assert isinstance(answer("approvals", spec, approvals=NOBODY), Wait)
    assert isinstance(answer("approvals", spec, approvals=(approval("ada"),), authors=NOBODY), Wait)
    assert isinstance(answer("approvals", spec, approvals=(approval("ada"),)), Pass)


@pytest.mark.parametrize(
    ("reviewers", "by", "passes"),
    [
        pytest.param(Reviewers(sources=("team:release",)), "ada", True, id="one-of-the-team"),
        pytest.param(Reviewers(sources=("user:bob",)), "ada", False, id="somebody-else"),
        pytest.param(Reviewers(sources=("user:rick",)), "rick", True, id="who-asked-for-it"),
        pytest.param(
            Reviewers(sources=("user:rick",), prevent_self_review=True),
            "rick",
            False,
            id="who-asked-for-it-where-github-prevents-it",
            marks=pytest.mark.requirement("S-31"),
        ),
        pytest.param(
            Reviewers(sources=("user:mona",), prevent_self_review=True), "mona", True, id="the-author-did-not-ask"
        ),
    ],
)
def test_one_of_the_reviewers_of_githubs_environment_has_to_approve(
    reviewers: Reviewers, by: str, passes: bool
) -> None:
    said = answer("reviewers", reviewers=reviewers, approvals=(approval(by),))

    assert isinstance(said, Pass if passes else Wait)


def test_our_own_approvals_do_not_stand_in_for_githubs_reviewers_nor_theirs_for_ours() -> None:
    spec = ApprovalsGate(sources=("team:release",))
    reviewers = Reviewers(sources=("user:bob",))

    ours = answers(facts(environment=environment(gates=(spec,)), reviewers=reviewers, approvals=(approval("ada"),)))
    theirs = answers(
        facts(environment=environment(gates=(spec,)), reviewers=reviewers, approvals=(approval("bob", as_who=()),))
    )

    assert [isinstance(ours[name], Pass) for name in ("approvals", "reviewers")] == [True, False]
    assert [isinstance(theirs[name], Pass) for name in ("approvals", "reviewers")] == [False, True]


def test_a_stranger_who_says_no_does_not_speak_for_githubs_reviewers() -> None:
    no = approval("mallory", as_who=(), approves=False)
    reviewers = Reviewers(sources=("team:release",))

    assert isinstance(answer("reviewers", reviewers=reviewers, approvals=(approval("ada"), no)), Pass)


# Freezes.


@pytest.mark.deployment(10)
def test_a_window_holds_and_says_until_when() -> None:
    said = answer("frozen", environment=environment(freeze=(HOLIDAYS,)))

    assert said == snapshot(
        Wait(
            because="frozen until 2026-03-02 13:00 UTC: the holidays",
            way_out="it passes by itself 2026-03-02 13:00 UTC; break-glass needs a reason and a second person",
        )
    )


def test_a_freeze_of_the_branch_holds_where_the_gate_is_asked_for() -> None:
    assert answer("frozen", NotFrozenGate(), freezes=(FREEZE,)) == snapshot(
        Wait(
            because="frozen: the release (by @ada)",
            way_out="`/unfreeze` lifts the freeze; break-glass needs a reason and a second person",
        )
    )
    assert "frozen" not in answers(facts(freezes=(FREEZE,)))
    assert isinstance(answer("frozen", NotFrozenGate(), freezes=(FREEZE,), branch="develop"), Pass)


def test_both_a_window_and_a_freeze_are_named() -> None:
    said = answer("frozen", environment=environment(gates=(NotFrozenGate(),), freeze=(HOLIDAYS,)), freezes=(FREEZE,))

    assert isinstance(said, Wait)
    assert said.because == "frozen until 2026-03-02 13:00 UTC: the holidays; frozen: the release (by @ada)"


def test_freezes_that_nobody_could_read_hold() -> None:
    assert isinstance(answer("frozen", NotFrozenGate(), freezes=NOBODY), Wait)


@pytest.mark.deployment(10)
@pytest.mark.parametrize(
    ("glass", "said"),
    [
        pytest.param(BreakGlass(by="ada", because="the fire", second="bob"), Pass, id="a-reason-and-two-people"),
        pytest.param(BreakGlass(by="ada", because=" \n", second="bob"), Deny, id="no-reason"),
        pytest.param(BreakGlass(by="ada", because="the fire"), Wait, id="no-second-person"),
        pytest.param(BreakGlass(by="ada", because="the fire", second="Ada"), Wait, id="the-same-person-twice"),
        pytest.param(BreakGlass(by="", because="the fire", second="bob"), Deny, id="nobody"),
    ],
)
def test_the_glass_is_broken_with_a_reason_and_by_two_people(glass: BreakGlass, said: type[Answer]) -> None:
    given_answer = answer("frozen", environment=environment(freeze=(HOLIDAYS,)), glass=glass)

    assert isinstance(given_answer, said)


@pytest.mark.deployment(10)
def test_a_broken_glass_is_read_with_both_names_and_the_reason() -> None:
    glass = BreakGlass(by="ada", because="the fire", second="bob")

    assert answer("frozen", environment=environment(freeze=(HOLIDAYS,)), glass=glass) == snapshot(
        Pass(because="frozen until 2026-03-02 13:00 UTC: the holidays; @ada and @bob broke the glass: the fire")
    )


def test_a_broken_glass_opens_no_other_gate() -> None:
    glass = BreakGlass(by="ada", because="the fire", second="bob")

    said = answers(facts(glass=glass, lock=lock(), environment=environment(gates=(AfterGate("staging"),))))

    assert isinstance(said["lock"], Wait)
    assert isinstance(said["order"], Wait)


# Quarantine, schema, lock, turn.


@pytest.mark.deployment(18)
def test_an_artifact_that_was_bad_is_not_deployed_there_again_under_any_commit() -> None:
    same = release("d", artifact=RELEASE.artifact)
    bad = known(same, Standing.BAD, deployment="d7", because="5 of 9 answers failed")

    assert answer("quarantine", standings={"production": (known(release("b")), bad)}) == snapshot(
        Deny(
            because="ddddddd was shown to be bad in production by deployment d7: 5 of 9 answers failed",
            way_out="a commit that mends it: the same artifact is not deployed there again",
        )
    )


def test_a_quarantine_that_nobody_could_read_holds() -> None:
    assert isinstance(answer("quarantine", standings={}), Wait)


@pytest.mark.deployment(19)
@pytest.mark.parametrize(
    ("version", "hooks", "kind", "said"),
    [
        pytest.param(41, {}, "deploy", Wait, id="behind"),
        pytest.param(41, {"before_switch": ("./migrate",)}, "deploy", Pass, id="behind-and-a-hook-migrates"),
        pytest.param(41, {"before_switch": ("./migrate",)}, "rollback", Deny, id="nobody-migrates-on-the-way-back"),
        pytest.param(42, {}, "deploy", Pass, id="as-it-should-be"),
        pytest.param(43, {}, "deploy", Deny, id="ahead"),
        pytest.param(43, {}, "rollback", Deny, id="ahead-on-the-way-back"),
        pytest.param(None, {}, "deploy", Wait, id="nobody-says"),
        pytest.param(NOBODY, {}, "deploy", Wait, id="nobody-could-say"),
    ],
)
def test_release_and_schema_have_to_go_together(version: Any, hooks: Any, kind: Any, said: type[Answer]) -> None:
    picky = release("a", schema_min=42, schema_max=42)

    given_answer = answer(
        "schema",
        environment=environment(hooks=hooks),
        release=picky,
        schema_version=version,
        deployment=deployment(kind=kind),
    )

    assert isinstance(given_answer, said)


def test_a_release_that_names_no_schema_has_no_such_gate() -> None:
    assert "schema" not in answers(facts(schema_version=NOBODY))


@pytest.mark.requirement("S-37")
def test_a_lock_that_nobody_could_read_holds() -> None:
    assert isinstance(answer("lock", lock=NOBODY), Wait)
    assert isinstance(answer("turn", others=NOBODY), Wait)


@pytest.mark.deployment(7)
def test_one_deployment_at_a_time() -> None:
    under_way = deployment(id="d9", number=9, state=State.SMOKING)

    assert isinstance(answer("turn", others=(under_way,)), Wait)


# All of them together.

EVERYTHING_CLOSED: dict[str, Any] = {
    "environment": environment(
        gates=(BoxesGate("all"), AfterGate("staging"), ApprovalsGate(count=9), NotFrozenGate()), freeze=(HOLIDAYS,)
    ),
    "freezes": (FREEZE,),
    "lock": lock(),
    "reviewers": Reviewers(sources=("user:nobody",)),
    "origin": origin(),
}


@pytest.mark.deployment(10)
def test_a_window_holds_also_where_the_gates_do_not_ask_for_it() -> None:
    place = environment(gates=(BoxesGate("all"),), freeze=(HOLIDAYS,))
    said = answers(facts(environment=place, freezes=(FREEZE,)))["frozen"]

    assert isinstance(said, Wait)
    assert "the holidays" in said.because
    assert "the release" not in said.because, "a `/freeze` of the branch is asked about by `not_frozen` alone"


@pytest.mark.deployment(10)
@pytest.mark.deployment(27)
def test_the_way_back_is_held_by_nothing_that_people_close() -> None:
    gates = evaluate(facts(**EVERYTHING_CLOSED, deployment=deployment(kind="rollback")), now=NOW)

    assert [gate.name for gate in gates] == ["quarantine", "turn"]
    assert isinstance(verdict(gates), Pass)


def test_every_gate_that_holds_says_who_can_change_that() -> None:
    gates = evaluate(facts(**EVERYTHING_CLOSED), now=NOW)

    held = [gate for gate in gates if not isinstance(gate.answer, Pass)]
    assert [gate.name for gate in held] == ["origin", "boxes", "order", "approvals", "frozen", "reviewers", "lock"]
    assert all(not isinstance(gate.answer, Pass) and gate.answer.way_out and gate.answer.because for gate in held)


UNKNOWABLE: dict[str, Any] = {
    "origin": origin(branches=NOBODY),
    "approvals": NOBODY,
    "authors": NOBODY,
    "reviewers": NOBODY,
    "freezes": NOBODY,
    "lock": NOBODY,
    "others": NOBODY,
    "standings": {"production": NOBODY, "staging": NOBODY},
    "boxes": {"all": NOBODY},
}


@pytest.mark.requirement("S-37")
@given(st.sets(st.sampled_from(sorted(UNKNOWABLE)), min_size=1))
def test_whatever_is_unknown_nothing_passes(unknown: set[str]) -> None:
    gates = (BoxesGate("all"), AfterGate("staging"), ApprovalsGate(sources=("team:release",)), NotFrozenGate())
    well: dict[str, Any] = {
        "environment": environment(gates=gates),
        "approvals": (approval("ada"),),
        "standings": {"production": (), "staging": (staged(),)},
        "boxes": {"all": Boxes(sha=CAFE, total=1)},
    }

    assert isinstance(verdict(evaluate(facts(**well), now=NOW)), Pass)
    missing = {name: UNKNOWABLE[name] for name in unknown}
    assert isinstance(verdict(evaluate(facts(**{**well, **missing}), now=NOW)), Wait)


@pytest.mark.requirement("S-3")
def test_what_has_changed_since_is_named_before_the_switch() -> None:
    spec = ApprovalsGate(sources=("team:release",))
    well = facts(environment=environment(gates=(spec,)), approvals=(approval("ada"),))
    before = evaluate(well, now=NOW)
    later = evaluate(facts(environment=environment(gates=(spec,)), lock=lock()), now=NOW)

    assert still_holds(before, before) == ()
    assert [gate.name for gate in still_holds(before, later)] == ["approvals", "lock"]


def test_a_gate_that_is_not_asked_again_does_not_count_as_passed() -> None:
    before = (Gate("boxes", Pass("green")), Gate("lock", Pass("nobody")))

    [changed] = still_holds(before, before[1:])

    assert changed.name == "boxes"
    assert isinstance(changed.answer, Wait)


def test_of_two_gates_of_one_name_the_one_that_does_not_pass_is_seen() -> None:
    before = (Gate("boxes", Pass("green")), Gate("boxes", Pass("green too")))

    changed = still_holds(before, (Gate("boxes", Pass("green")), Gate("boxes", Wait("red"))))

    assert changed == (Gate("boxes", Wait("red")),)


@pytest.mark.requirement("S-3")
def test_who_asks_once_more_is_told_every_gate_that_does_not_pass_any_more() -> None:
    before = (Gate("boxes", Pass("green")), Gate("approvals", Pass("approved by ada")), Gate("lock", Pass("nobody")))
    away = (Gate("boxes", Wait("a box is red", "a green re-run")), before[1], Gate("lock", Wait("locked by @mona")))

    assert again(before, before) == Pass("every gate passes")
    assert again(before, away) == Wait("boxes: a box is red; lock: locked by @mona", "a green re-run")
    assert again(before, (*away, Gate("quarantine", Deny("it is bad")))) == Deny("quarantine: it is bad")
    broken = Gate("configuration", Wait("it cannot be read", "mend it"))
    assert again(before[:1], (broken,)) == Wait(
        "configuration: it cannot be read; boxes: this gate was not asked again", "mend it"
    )
