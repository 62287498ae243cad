from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.run_states import EDGES, GIVEN_UP, OPEN, RunState, may_become, sources

LEGAL = {
    ("queued", "running"),
    ("queued", "finished"),
    ("queued", "refused"),
    ("queued", "cancelled"),
    ("queued", "superseded"),
    ("running", "finished"),
    ("running", "refused"),
    ("running", "cancelled"),
    ("running", "superseded"),
}
"""Written out once more, by hand: an edge that slips into the table is noticed here."""


@pytest.mark.parametrize(("now", "wanted"), list(itertools.permutations(RunState, 2)), ids=str)
def test_a_run_goes_along_these_edges_and_no_others(now: RunState, wanted: RunState) -> None:
    assert may_become(now, wanted) is ((str(now), str(wanted)) in LEGAL)


@given(st.lists(st.sampled_from(RunState)))
def test_whatever_a_run_is_told_it_ends_once_and_stays_as_it_ended(wishes: list[RunState]) -> None:
    state, path = RunState.QUEUED, [RunState.QUEUED]
    for wish in wishes:
        if may_become(state, wish) and wish is not state:
            state = wish
            path.append(wish)
    assert len(path) == len(set(path)), "no state twice"
    assert all(passed in OPEN for passed in path[:-1]), "nothing comes after an end"


@given(st.sampled_from(RunState))
def test_a_repeated_step_may_say_again_what_it_said(state: RunState) -> None:
    assert may_become(state, state)


@given(st.sampled_from(RunState), st.sampled_from(RunState))
def test_the_sources_of_a_state_are_those_that_may_become_it(now: RunState, wanted: RunState) -> None:
    assert (now in sources(wanted)) is may_become(now, wanted)


def test_every_state_has_its_edges_and_only_open_ones_have_any() -> None:
    assert set(EDGES) == set(RunState)
    assert {state for state, following in EDGES.items() if following} == set(OPEN)
    assert not set(OPEN) & set(GIVEN_UP)
