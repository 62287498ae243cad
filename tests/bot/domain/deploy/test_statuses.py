"""In which words GitHub is told, and that what was told once stays what was told."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import EDGES, FINAL, State
from bot.domain.deploy.statuses import Stop, is_production, statuses

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WAITS = Deployment(
    id="d1",
    number=7,
    repo_id=1,
    repo="octo/app",
    installation_id=2,
    environment="production",
    kind="deploy",
    state=State.GATED,
    sha="a" * 40,
    created_at=NOW,
    changed_at=NOW,
    expires_at=NOW + timedelta(hours=1),
)


def told(state: State, *journal: State, because: str = "") -> list[str]:
    row = replace(WAITS, state=state, because=because)
    stops = [Stop(one, because if one is journal[-1] else "") for one in journal]
    return [f"{one.state}: {one.description}" for one in statuses(row, stops)]


def test_a_good_deployment_in_githubs_words() -> None:
    way = [State.LOCKED, State.PREPARING, State.SMOKING, State.SWITCHING, State.BAKING, State.RETIRING, State.SUCCEEDED]
    assert told(State.SUCCEEDED, *way, because="120 of 120 samples") == snapshot(
        [
            "pending: waits at its gates",
            "in_progress: the release is started, without users",
            "in_progress: the release is tested, without users",
            "in_progress: users are sent to the release",
            "in_progress: live and watched",
            "success: live and well",
        ]
    )


def test_a_bad_one_says_why_it_went_back() -> None:
    way = [State.PREPARING, State.SMOKING, State.SWITCHING, State.BAKING, State.ROLLING_BACK, State.ROLLED_BACK]
    said = told(State.ROLLED_BACK, *way, because="3 of 3 samples failed")
    assert said[-2:] == snapshot(["in_progress: users are sent back", "failure: rolled back: 3 of 3 samples failed"])


@pytest.mark.parametrize(
    ("state", "says"),
    [
        pytest.param(State.DENIED, "failure: denied: ada said no", id="denied"),
        pytest.param(State.EXPIRED, "failure: waited too long at its gates: ada said no", id="expired"),
        pytest.param(State.SUPERSEDED, "inactive: gave way to a newer one: ada said no", id="superseded"),
        pytest.param(
            State.ABORTED, "failure: given up before a user saw it: ada said no", id="aborted-without-a-journal"
        ),
    ],
)
def test_what_ends_before_it_has_a_journal_is_told_by_its_row(state: State, says: str) -> None:
    assert told(state, because="ada said no") == ["pending: waits at its gates", says]


@st.composite
def journeys(draw: st.DrawFn) -> list[State]:
    """Ways along the edges from where a journal begins."""
    way = [State.LOCKED]
    while way[-1] not in FINAL and len(way) < 12:
        way.append(draw(st.sampled_from(sorted(EDGES[way[-1]]))))
    return way


@pytest.mark.deployment(21)
@given(journeys())
def test_what_was_told_once_is_never_told_otherwise(way: list[State]) -> None:
    before: tuple[object, ...] = ()
    for length in range(len(way) + 1):
        here = way[length - 1] if length else State.GATED
        now = statuses(replace(WAITS, state=here), [Stop(one) for one in way[:length]])
        assert now[: len(before)] == before
        before = now


@given(journeys())
def test_a_row_that_is_ahead_of_its_journal_tells_nothing_twice(way: list[State]) -> None:
    row = replace(WAITS, state=way[-1])
    assert len(statuses(row, [Stop(one) for one in way])) >= len(statuses(row, [Stop(one) for one in way[:-1]]))


@pytest.mark.parametrize(
    ("name", "is_it"),
    [
        *((name, True) for name in ("production", "Production", "prod", "live", "prod-eu", "production_us")),
        *((name, False) for name in ("staging", "preproduction", "product", "deliver", "")),
    ],
)
def test_production_is_known_by_its_name(name: str, is_it: bool) -> None:
    assert is_production(name) is is_it
