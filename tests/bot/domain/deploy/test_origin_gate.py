from __future__ import annotations

import pytest

from bot.domain.deploy.answers import Answer, Deny, Pass, Wait
from bot.domain.deploy.gate_facts import Origin, PullRequest
from tests.bot.domain.deploy.story import (
    BEEF,
    CAFE,
    NOBODY,
    answer,
    environment,
    origin,
)

PULL = PullRequest(number=3, head=CAFE, is_fork=False)


@pytest.mark.parametrize(
    ("pulls", "where", "said"),
    [
        pytest.param(False, origin(branches=frozenset({"main"})), Pass("it is on main"), id="the-default-branch"),
        pytest.param(False, origin(branches=frozenset({"stable"})), Pass("it is on stable"), id="a-branch-of-its-own"),
        pytest.param(
            False,
            origin(pull=PULL),
            Deny("production takes commits of main and stable only", "merge it first"),
            id="a-pull-request-where-none-may",
        ),
        pytest.param(True, origin(pull=PULL), Pass("it is the head of #3"), id="a-pull-request"),
        pytest.param(
            True,
            origin(pull=PullRequest(number=3, head=BEEF, is_fork=False)),
            Deny("the head of #3 is beef456 now, and this is cafe123", "a new `/deploy` is for the new head"),
            id="its-head-has-moved",
            marks=[pytest.mark.deployment(1), pytest.mark.requirement("S-1")],
        ),
        pytest.param(
            True,
            origin(pull=PullRequest(number=3, head=CAFE, is_fork=False, is_open=False)),
            Deny("#3 is closed", "reopen it, or merge it"),
            id="it-was-closed",
        ),
        pytest.param(
            True,
            origin(pull=PullRequest(number=3, head=CAFE, is_fork=True), typed=CAFE[:12]),
            Deny("#3 comes from a fork, and nobody typed the whole commit", f"whoever has read it adds `at {CAFE}`"),
            id="a-fork",
            marks=pytest.mark.deployment(6),
        ),
        pytest.param(
            True,
            origin(pull=PullRequest(number=3, head=CAFE, is_fork=True), typed=CAFE.upper()),
            Pass("it is the head of #3"),
            id="a-fork-and-the-whole-commit",
            marks=pytest.mark.deployment(6),
        ),
        pytest.param(
            True,
            origin(pull=PULL, typed="beef456"),
            Deny("beef456 was typed, and this is cafe123", "type the commit that is meant"),
            id="another-commit-was-typed",
        ),
        pytest.param(
            True, origin(pull=NOBODY), Wait("GitHub did not say", "it is asked again within a minute"), id="unknown"
        ),
        pytest.param(
            False,
            origin(branches=NOBODY),
            Wait("GitHub did not say", "it is asked again within a minute"),
            id="unknown-branches",
        ),
    ],
)
def test_which_commits_an_environment_takes(pulls: bool, where: Origin, said: Answer) -> None:
    there = environment(pull_requests=pulls, branches=("stable",))

    assert answer("origin", environment=there, origin=where) == said
