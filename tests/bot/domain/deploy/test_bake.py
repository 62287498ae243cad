from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.deploy.bake import (
    GAP,
    AskBoth,
    Bad,
    BakeTime,
    GoesOn,
    Good,
    Inconclusive,
    Judgement,
    NotTheRelease,
    Pairs,
    bake_time,
    course,
    judgement,
    pairs_from_json,
    pairs_to_json,
)
from bot.domain.deploy.environment import Watch
from bot.domain.deploy.watch import Judge, begin, feed

WELL, FAILING = (True, True), (False, False)
ONLY_NEW = (False, True)


def judge(*, failures: int = 0, successes: int = 0, planned: int = 240) -> Judge:
    return feed(begin(batches=planned, alpha=0.001, p0=0.01), failures=failures, successes=successes)


DEAD = judge(failures=3)


def asked(*pairs: tuple[bool, bool]) -> Pairs:
    whole = Pairs()
    for new, old in pairs:
        whole = whole.add(new=new, old=old)
    return whole


def test_nothing_is_said_before_the_bake_is_over() -> None:
    assert judgement(judge(successes=10_000), None, over=False) == GoesOn()


def test_a_bake_in_which_enough_was_seen_is_good_and_says_what_would_have_been_found() -> None:
    said = judgement(judge(failures=1, successes=239), None, over=True)

    assert isinstance(said, Good)
    assert said.because == snapshot("1 of 240 answers failed; a share of 6% would have been found")


@pytest.mark.deployment(16)
@pytest.mark.parametrize("seen", [pytest.param(0, id="nothing"), pytest.param(9, id="too-little")])
def test_a_bake_in_which_too_little_was_seen_is_never_good(seen: int) -> None:
    said = judgement(judge(successes=seen), None, over=True)

    assert isinstance(said, Inconclusive)
    assert (said.samples, said.needed) == (seen, 10)
    assert said.because == f"inconclusive: {seen} of the 10 samples that it takes"


@pytest.mark.deployment(14)
def test_a_release_that_fails_is_bad_before_the_bake_is_over() -> None:
    said = judgement(DEAD, None, over=False)

    assert isinstance(said, Bad)
    assert said.evidence >= said.threshold
    assert said.because == snapshot("3 of 3 answers failed, 1.0% are tolerated")


@pytest.mark.deployment(17)
@pytest.mark.parametrize(
    ("pairs", "kind"),
    [
        pytest.param(asked(WELL, ONLY_NEW), Bad, id="the-old-one-is-well"),
        pytest.param(asked(WELL, ONLY_NEW, FAILING, ONLY_NEW), Bad, id="the-old-one-failed-once"),
        pytest.param(asked(WELL, FAILING, FAILING), NotTheRelease, id="both-fail"),
        pytest.param(asked(*[FAILING] * 5, ONLY_NEW, ONLY_NEW), NotTheRelease, id="the-old-one-nearly-as-often"),
        pytest.param(asked(*[FAILING] * 2, *[ONLY_NEW] * 4), Bad, id="the-old-one-much-less"),
        pytest.param(asked((True, False), (True, False), ONLY_NEW), Bad, id="the-old-one-before-the-trouble-began"),
        pytest.param(
            asked(ONLY_NEW, (True, False), ONLY_NEW, (True, False)), NotTheRelease, id="alike-but-not-at-the-same-time"
        ),
    ],
)
def test_what_fails_on_both_slots_alike_is_not_the_release(pairs: Pairs, kind: type[Judgement]) -> None:
    assert isinstance(judgement(DEAD, pairs, over=False, confirmed=True), kind)


@pytest.mark.deployment(17)
@pytest.mark.parametrize(
    ("pairs", "kind"),
    [
        pytest.param(Pairs(), AskBoth, id="nobody-asked-the-old-one"),
        pytest.param(asked(WELL, WELL), AskBoth, id="nobody-asked-since-the-trouble-began"),
        pytest.param(asked(WELL, FAILING), AskBoth, id="once-may-be-chance"),
        pytest.param(asked(WELL, ONLY_NEW), AskBoth, id="it-may-have-failed-between-the-two-answers"),
        pytest.param(asked(WELL, ONLY_NEW, FAILING), AskBoth, id="the-old-one-fails-now-too"),
        pytest.param(asked(WELL, ONLY_NEW, ONLY_NEW), Bad, id="the-old-one-answers-well"),
        pytest.param(asked(FAILING, FAILING), NotTheRelease, id="it-is-clear-already"),
    ],
)
def test_nobody_is_blamed_before_both_slots_were_asked(pairs: Pairs, kind: type[Judgement]) -> None:
    assert isinstance(judgement(DEAD, pairs, over=False), kind)


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_both_slots_are_asked_once_more_at_most(pairs: list[tuple[bool, bool]]) -> None:
    said = judgement(DEAD, asked(*pairs), over=False, confirmed=True)

    assert isinstance(said, Bad | NotTheRelease)


def test_users_see_failures_that_no_probe_sees_and_the_release_is_to_blame() -> None:
    said = judgement(DEAD, asked(WELL, WELL), over=False, confirmed=True)

    assert isinstance(said, Bad)


def test_people_read_that_it_was_not_the_release() -> None:
    said = judgement(DEAD, asked(FAILING, FAILING, ONLY_NEW), over=False)

    assert isinstance(said, NotTheRelease)
    assert said.because == snapshot(
        "not the release: of 3 questions to both slots the new one failed 3, the one before 2"
    )


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_pairs_that_were_written_down_are_the_same_pairs(pairs: list[tuple[bool, bool]]) -> None:
    whole = asked(*pairs)

    assert pairs_from_json(json.loads(json.dumps(pairs_to_json(whole)))) == whole


BAD = judgement(DEAD, None, over=False)
NOTHING = judgement(judge(), None, over=True)
NOT_IT = judgement(DEAD, asked(FAILING, FAILING), over=False)


@pytest.mark.parametrize(
    ("said", "watch", "follows"),
    [
        pytest.param(GoesOn(), {}, "go_on", id="goes-on"),
        pytest.param(AskBoth(), {}, "ask_both", id="asks-both"),
        pytest.param(judgement(judge(successes=99), None, over=True), {}, "retire", id="good"),
        pytest.param(BAD, {}, "roll_back", id="bad"),
        pytest.param(BAD, {"on_bad": "hold"}, "hold", id="bad-and-a-person-decides"),
        pytest.param(NOTHING, {}, "hold", id="no-data-holds", marks=pytest.mark.deployment(16)),
        pytest.param(NOTHING, {"no_data": "rollback"}, "roll_back", id="no-data-goes-back"),
        pytest.param(NOTHING, {"no_data": "accept"}, "retire", id="no-data-is-accepted"),
        pytest.param(NOT_IT, {}, "hold", id="not-the-release", marks=pytest.mark.deployment(17)),
    ],
)
def test_what_follows(said: Judgement, watch: dict[str, Any], follows: str) -> None:
    assert course(said, Watch(**watch)) == follows


def ticked(bake: BakeTime, *moments: float) -> BakeTime:
    for now in moments:
        bake = bake.tick(now)
    return bake


def test_a_bake_is_over_when_it_was_watched_for_as_long_as_planned() -> None:
    bake = bake_time(planned=4.0, now=100.0)

    assert not ticked(bake, 100, 102, 103.9).over(103.9)
    assert ticked(bake, 100, 102, 104).over(104)


@pytest.mark.deployment(28)
def test_a_gap_makes_a_bake_begin_again() -> None:
    bake = ticked(bake_time(planned=30.0, now=0.0), *range(25), 24 + GAP + 1)

    assert (bake.seen, bake.restarts, bake.enough) == (0.0, 1, False)
    assert ticked(bake, *range(36, 66)).enough


@pytest.mark.deployment(28)
@given(st.floats(1, 60), st.lists(st.floats(0.01, 30), min_size=1, max_size=60))
def test_no_bake_takes_less_time_than_was_planned(planned: float, pauses: list[float]) -> None:
    bake, now = bake_time(planned=planned, now=0.0).tick(0.0), 0.0
    for pause in pauses:
        now += pause
        bake = bake.tick(now)
        assert bake.seen <= now + 1e-9
        if bake.enough:
            assert now >= planned - 1e-9


def test_a_clock_that_was_set_back_adds_nothing() -> None:
    assert ticked(bake_time(planned=30.0, now=50.0), 50, 55, 40, 41).seen == 6.0


@pytest.mark.deployment(16)
def test_a_bake_without_samples_ends_all_the_same() -> None:
    bake = bake_time(planned=60.0, now=0.0)

    over = [now for now in range(400) if bake.over(now)]

    assert over[0] == 200
    assert isinstance(judgement(judge(), None, over=bake.over(200)), Inconclusive)


def test_a_probe_that_asks_rarely_leaves_no_gap() -> None:
    bake = ticked(bake_time(planned=120.0, now=0.0, slowest=30.0), 0, 30, 60, 90, 120)

    assert (bake.restarts, bake.enough) == (0, True)
    assert all(later - earlier > GAP for earlier, later in pairwise((0, 30, 60)))
