from __future__ import annotations

from collections.abc import Collection

import pytest

from bot.domain.deploy.states import EDGES, FINAL, WAITING, IllegalEdge, State, step

SEEN_BY_USERS = frozenset({State.SWITCHING, State.BAKING, State.HELD, State.RETIRING})
"""Some users see the new release, and it is not on its way out yet."""


def reachable(begin: State, *, without: Collection[State] = ()) -> set[State]:
    seen, left = {begin}, [begin]
    while left:
        for there in EDGES[left.pop()] - seen - set(without):
            seen.add(there)
            left.append(there)
    return seen


@pytest.mark.parametrize("here", State)
def test_an_edge_that_is_not_in_the_table_is_refused(here: State) -> None:
    for there in set(State) - EDGES[here] - {here}:
        with pytest.raises(IllegalEdge, match=f"^a deployment that is {here} cannot become {there}$"):
            step(here, there)


@pytest.mark.parametrize("here", State)
def test_an_edge_of_the_table_is_allowed_once_and_again(here: State) -> None:
    for there in EDGES[here]:
        assert step(step(here, there), there) is there


def test_every_state_has_its_row_and_can_be_reached() -> None:
    assert set(EDGES) == set(State) == reachable(State.REQUESTED)


@pytest.mark.parametrize("state", State)
def test_no_state_is_without_a_way_to_an_end(state: State) -> None:
    assert reachable(state) & FINAL


@pytest.mark.parametrize("state", State)
def test_exactly_the_final_states_have_no_way_out(state: State) -> None:
    assert (not EDGES[state]) is (state in FINAL)


@pytest.mark.parametrize("state", sorted(SEEN_BY_USERS))
def test_from_wherever_users_see_the_release_there_is_one_step_to_the_way_back(state: State) -> None:
    assert State.ROLLING_BACK in EDGES[state]


@pytest.mark.parametrize("state", sorted(set(State) - SEEN_BY_USERS - {State.ROLLING_BACK}))
def test_nobody_goes_back_who_never_went(state: State) -> None:
    assert State.ROLLING_BACK not in EDGES[state]


@pytest.mark.parametrize("state", sorted(SEEN_BY_USERS))
def test_what_users_have_seen_does_not_end_as_if_nobody_had(state: State) -> None:
    assert not reachable(state) & ({State.ABORTED, State.DENIED, State.EXPIRED, State.SUPERSEDED} | WAITING)


def test_nothing_succeeds_that_was_neither_watched_nor_accepted_by_a_person() -> None:
    assert State.SUCCEEDED not in reachable(State.REQUESTED, without={State.BAKING, State.HELD})
    assert State.SUCCEEDED in reachable(State.REQUESTED, without={State.HELD})
