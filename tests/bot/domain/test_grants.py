"""The sets of permissions grow, and ask for nothing that could push."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain import grants
from bot.domain.grants import GRANTS, LEVELS, SUBSCRIPTIONS, Tier
from bot.domain.webhook_events import EVENTS

NEVER = {"administration", "secrets", "workflows", "organization_administration", "environments"}


def test_each_set_holds_the_one_before() -> None:
    for smaller, larger in ((Tier.OBSERVE, Tier.OPERATE), (Tier.OPERATE, Tier.DEPLOY)):
        more = grants.permissions(larger)
        for name, level in grants.permissions(smaller).items():
            assert LEVELS.index(more[name]) >= LEVELS.index(level)
        assert set(grants.events(smaller)) < set(grants.events(larger))


def test_no_set_can_push_or_change_a_repository() -> None:
    asked = grants.permissions(Tier.DEPLOY)
    assert not NEVER & asked.keys()
    assert asked["contents"] == "read"


def test_every_event_comes_with_the_permission_that_github_wants_for_it() -> None:
    for tier in Tier:
        held = grants.permissions(tier)
        assert [one.event for one in SUBSCRIPTIONS if tier.covers(one.tier) and one.permission not in held] == []


def test_the_app_subscribes_to_all_that_the_bot_acts_on_and_to_nothing_that_it_does_not_know() -> None:
    acts = {event for event, actions in EVENTS.items() if any(meaning.acts for meaning in actions.values())}
    unasked = {event for event in acts if event.startswith("installation")}
    assert acts - unasked == set(grants.events(Tier.DEPLOY))
    assert EVENTS.keys() >= set(grants.events(Tier.DEPLOY))


def test_what_an_owner_added_makes_no_larger_set_of_a_small_one() -> None:
    added = {**grants.permissions(Tier.OPERATE), "issues": "write", "members": "read"}
    assert grants.tier_of(added) is Tier.OPERATE


@pytest.mark.parametrize("tier", Tier)
def test_a_set_is_known_again_by_its_permissions(tier: Tier) -> None:
    held = grants.permissions(tier)
    assert grants.tier_of(held) is tier
    assert grants.missing(held, tier) == ()


def test_of_two_levels_the_lower_one_is_told_since_more_stops_without_it() -> None:
    (told,) = [one for one in grants.missing({}, Tier.OPERATE) if one.permission == "pull_requests"]
    assert (told.level, told.vital) == ("read", True)


@given(st.dictionaries(st.sampled_from([one.permission for one in GRANTS]), st.sampled_from([*LEVELS, "own"])))
def test_what_is_not_missing_is_allowed(held: dict[str, str]) -> None:
    for tier in Tier:
        lacking = {one.permission for one in grants.missing(held, tier)}
        for grant in GRANTS:
            if tier.covers(grant.tier) and grant.permission not in lacking:
                assert grants.allows(held, grant)
