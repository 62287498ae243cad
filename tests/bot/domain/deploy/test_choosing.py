from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deploy.choosing import TRIES, Refused, must_freeze, retry_after, way_back
from bot.domain.deploy.release import Known, Release, Standing
from bot.domain.deploy.schema_guard import Fits, NobodyKnows, TooNew, TooOld, fit, roll_forward_only
from tests.bot.domain.deploy.story import HOUR, NOW, known, release

A, B, C = release("a"), release("b"), release("c")


def at(hours: float) -> datetime:
    return NOW + hours * HOUR


def live(of: Release, hours: float, standing: Standing = Standing.GOOD) -> Known:
    return known(of, standing, live_since=at(hours), at=at(hours + 0.1))


@pytest.mark.deployment(18)
def test_the_way_back_leads_to_the_newest_release_that_was_good() -> None:
    stands = [live(A, 1), live(B, 2), live(C, 3, Standing.UNKNOWN)]

    assert way_back(stands, current=C, schema_version=None) == B


@pytest.mark.deployment(18)
def test_the_way_back_passes_over_the_last_release_if_it_was_bad() -> None:
    stands = [live(A, 1), live(B, 2, Standing.BAD), live(C, 3, Standing.BAD)]

    assert way_back(stands, current=C, schema_version=None) == A


@pytest.mark.deployment(18)
def test_what_was_bad_by_its_artifact_is_bad_under_every_commit_and_everywhere() -> None:
    same = release("d", artifact=B.artifact)
    stands = [live(A, 1), live(B, 2)]

    assert way_back([*stands, live(same, 3, Standing.BAD)], current=C, schema_version=None) == A
    there = [known(same, Standing.BAD, environment="staging")]
    assert way_back(stands, current=C, schema_version=None, elsewhere=there) == A


@pytest.mark.deployment(18)
def test_the_way_back_leads_away_from_the_artifact_that_is_live_whatever_its_commit() -> None:
    same = release("d", artifact=C.artifact)

    assert way_back([live(A, 1), live(same, 2), live(C, 3)], current=C, schema_version=None) == A


@pytest.mark.deployment(18)
@pytest.mark.parametrize(
    "stands",
    [
        pytest.param([], id="nothing-is-known"),
        pytest.param([live(C, 1)], id="only-what-is-live"),
        pytest.param([live(B, 1, Standing.BAD), live(A, 2, Standing.UNKNOWN)], id="nothing-is-good"),
    ],
)
def test_without_a_good_release_there_is_no_way_back(stands: list[Known]) -> None:
    said = way_back(stands, current=C, schema_version=None)

    assert said == Refused("no other release is known to be good here", way_out="deploy a release that mends it")


@pytest.mark.deployment(19)
def test_a_release_that_does_not_know_the_schema_is_passed_over() -> None:
    old = release("a", schema_min=1, schema_max=41)
    older = release("b", schema_min=1, schema_max=50)

    assert way_back([live(older, 1), live(old, 2)], current=C, schema_version=42) == older


@pytest.mark.deployment(19)
@pytest.mark.parametrize(
    ("version", "why"),
    [
        pytest.param(42, "the schema has version 42, and aaaaaaa works with versions 1 to 41", id="migrated"),
        pytest.param(
            None, "aaaaaaa works with versions 1 to 41, and the schema's version is not known", id="nobody-can-say"
        ),
    ],
)
def test_a_migration_that_closed_the_way_back_leaves_only_the_way_forward(version: int | None, why: str) -> None:
    old = release("a", schema_min=1, schema_max=41)

    said = way_back([live(old, 1)], current=C, schema_version=version)

    assert said == Refused(f"roll forward only: {why}", way_out="deploy a release that mends it")


@pytest.mark.deployment(18)
@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(Standing), st.integers(0, 20))),
    st.sampled_from("abcdef"),
)
def test_no_way_back_leads_to_what_was_bad_or_to_where_we_are(
    stands: list[tuple[str, Standing, int]], current: str
) -> None:
    rows = [live(release(letter), hours, standing) for letter, standing, hours in stands]

    chosen = way_back(rows, current=release(current), schema_version=None)

    bad = {row.release.artifact for row in rows if row.standing is Standing.BAD}
    good = {row.release for row in rows if row.standing is Standing.GOOD and row.release.artifact not in bad}
    if isinstance(chosen, Refused):
        assert good <= {release(current)}
    else:
        assert chosen in good - {release(current)}


@pytest.mark.parametrize(
    ("span", "version", "said"),
    [
        pytest.param((None, None), None, Fits, id="any-version-will-do"),
        pytest.param((3, 5), 3, Fits, id="the-oldest"),
        pytest.param((3, 5), 5, Fits, id="the-newest"),
        pytest.param((3, 5), 2, TooOld, id="behind"),
        pytest.param((3, 5), 6, TooNew, id="ahead"),
        pytest.param((None, 5), 1, Fits, id="no-oldest"),
        pytest.param((3, None), 99, Fits, id="no-newest"),
        pytest.param((0, 0), 0, Fits, id="zero-is-a-version"),
        pytest.param((3, None), None, NobodyKnows, id="unknown"),
    ],
)
def test_how_release_and_schema_go_together(
    span: tuple[int | None, int | None], version: int | None, said: type
) -> None:
    assert isinstance(fit(release("a", schema_min=span[0], schema_max=span[1]), version), said)


@pytest.mark.deployment(19)
def test_there_is_a_way_back_exactly_if_release_and_schema_go_together() -> None:
    bounded = release("a", schema_min=3, schema_max=3)

    assert roll_forward_only(bounded, 3) == ""
    assert roll_forward_only(bounded, 4) == (
        "roll forward only: the schema has version 4, and aaaaaaa works with version 3"
    )


@pytest.mark.parametrize(
    ("minutes", "freezes"),
    [
        pytest.param([], False, id="none"),
        pytest.param([0], False, id="one"),
        pytest.param([0, 59], True, id="two-in-an-hour"),
        pytest.param([0, 60], False, id="two-in-more"),
        pytest.param([0, -1], False, id="not-of-the-future"),
    ],
)
def test_two_rollbacks_in_an_hour_freeze_an_environment(minutes: list[int], freezes: bool) -> None:
    assert must_freeze([NOW - timedelta(minutes=ago) for ago in minutes], now=NOW) is freezes


@pytest.mark.deployment(20)
@given(st.integers())
def test_a_rollback_is_tried_three_times_at_scattered_moments_that_lie_further_and_further_apart(seed: int) -> None:
    waits = [retry_after(failed, Random(seed)) for failed in range(1, TRIES + 1)]

    *between, last = waits
    assert (TRIES, last) == (3, None)
    assert all(
        wait is not None and low <= wait <= high
        for wait, (low, high) in zip(between, [(0.1, 0.4), (0.2, 0.8)], strict=True)
    )
    assert waits != [retry_after(failed, Random(seed + 1)) for failed in range(1, TRIES + 1)]
