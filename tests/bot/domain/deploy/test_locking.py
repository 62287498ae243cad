from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.deploy.answers import Pass, Wait
from bot.domain.deploy.environment import LockRule
from bot.domain.deploy.locking import age, lease_key, may_deploy, newest_wins, turn
from bot.domain.deploy.states import FINAL, WAITING, State
from tests.bot.domain.deploy.story import BEEF, HOUR, NOW, deployment, lock

OF_PULL, OF_USER = LockRule(scope="pull_request"), LockRule(scope="user")


@pytest.mark.deployment(8)
@pytest.mark.parametrize(
    ("held", "asked", "rule", "passes"),
    [
        pytest.param({}, {"pr": 1, "requested_by": "eve"}, OF_PULL, True, id="the-same-pull-request-by-anybody"),
        pytest.param({}, {"pr": 2, "requested_by": "ada"}, OF_PULL, False, id="another-one-by-who-locked"),
        pytest.param({}, {"pr": None, "requested_by": "ada"}, OF_PULL, False, id="none-by-who-locked"),
        pytest.param({}, {"pr": 2, "requested_by": "Ada"}, OF_USER, True, id="the-scope-is-the-person"),
        pytest.param({}, {"pr": 1, "requested_by": "eve"}, OF_USER, False, id="another-person-on-the-pull-request"),
        pytest.param({"pr": None}, {"requested_by": "ada"}, OF_PULL, True, id="a-persons-own-lock"),
        pytest.param({"pr": None}, {"requested_by": "eve"}, OF_PULL, False, id="anothers-own-lock"),
        pytest.param({"pr": None, "by": ""}, {"requested_by": ""}, OF_PULL, False, id="our-own-lock-holds-everybody"),
        pytest.param({"until": NOW}, {"pr": 2}, OF_PULL, True, id="it-has-ended"),
    ],
)
def test_whom_a_lock_lets_in(held: dict[str, Any], asked: dict[str, Any], rule: LockRule, passes: bool) -> None:
    said = may_deploy(lock(**held), deployment(**asked), rule, now=NOW)

    assert isinstance(said, Pass if passes else Wait)


@pytest.mark.deployment(8)
def test_who_is_kept_out_reads_by_whom_for_what_and_until_when() -> None:
    said = may_deploy(lock(because="the\nrelease"), deployment(pr=2), OF_PULL, now=NOW)

    assert said == snapshot(
        Wait(
            because="locked by @ada for #1 until 2026-03-02 13:00 UTC: the release",
            way_out="@ada or a maintainer can comment `/unlock production`; it ends by itself 2026-03-02 13:00 UTC",
        )
    )


def test_nobody_is_kept_out_by_nobody() -> None:
    assert may_deploy(None, deployment(), OF_PULL, now=NOW) == Pass("nobody holds a lock")


@pytest.mark.deployment(7)
def test_of_those_that_wait_the_newest_goes_on_and_the_others_are_told() -> None:
    older, newer = deployment(id="d1", number=1), deployment(id="d2", number=2, pr=5, sha=BEEF)

    newest, superseded = newest_wins([newer, older])

    assert newest is newer
    [told] = superseded
    assert (told.deployment, told.by) == (older, newer)
    assert told.because == snapshot("deployment 2 of #5 of beef456, which was asked for later, takes its place")


@pytest.mark.deployment(7)
def test_a_way_back_is_not_overtaken_by_a_way_forward() -> None:
    back, forward = deployment(id="d1", number=1, kind="rollback"), deployment(id="d2", number=2)

    newest, superseded = newest_wins([back, forward])

    assert newest is back
    assert [one.deployment for one in superseded] == [forward]


@pytest.mark.deployment(7)
@given(st.lists(st.tuples(st.sampled_from(State), st.sampled_from(["deploy", "rollback"])), max_size=8))
def test_one_of_those_that_wait_goes_on_and_nobody_is_lost(rows: list[tuple[State, Any]]) -> None:
    all_of_them = [deployment(id=str(at), number=at, state=state, kind=kind) for at, (state, kind) in enumerate(rows)]

    newest, superseded = newest_wins(all_of_them)

    told = [one.deployment for one in superseded]
    waiting = [one for one in all_of_them if one.state in WAITING]
    assert sorted([*told, *([newest] if newest else [])], key=lambda one: one.number) == waiting


@pytest.mark.deployment(7)
def test_who_waits_for_another_deployment_reads_whose_since_when_and_the_own_place() -> None:
    under_way = deployment(id="d9", number=9, state=State.BAKING, pr=8, requested_by="ada")
    newer = deployment(id="d13", number=13)

    said = turn(deployment(), [under_way, newer, deployment()], now=NOW + timedelta(seconds=95))

    assert said == snapshot(
        Wait(
            because="deployment 9 of #8 by @ada is baking, for 95 s; place 2 in the queue",
            way_out="it begins when that one has ended",
        )
    )


@pytest.mark.parametrize("state", sorted(FINAL | WAITING))
def test_what_has_ended_or_not_begun_is_in_nobodys_way(state: State) -> None:
    assert isinstance(turn(deployment(), [deployment(id="d9", number=9, state=state)], now=NOW), Pass)


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=119), "119 s"),
        (timedelta(minutes=2), "2 min"),
        (timedelta(minutes=119), "119 min"),
        (47 * HOUR, "47 h"),
        (48 * HOUR, "2 d"),
    ],
)
def test_ages_are_as_exact_as_people_want_to_know(passed: timedelta, said: str) -> None:
    assert age(passed) == said


def test_every_environment_of_every_repository_has_a_lease_of_its_own() -> None:
    keys = {lease_key(repo, name) for repo in (1, 2, 11) for name in ("production", "1:production", "staging")}

    assert len(keys) == 9
