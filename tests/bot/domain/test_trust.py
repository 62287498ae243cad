from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.trust import (
    LIST_THE_BOT,
    WRITER_PUSHES,
    WRITER_REOPENS,
    Trusted,
    TrustFacts,
    TrustLevel,
    Untrusted,
    decide_trust,
)

MONA = TrustFacts(event="pull_request", author="mona", author_permission="write")


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        pytest.param(MONA, Trusted(TrustLevel.T1), id="a-writer"),
        pytest.param(replace(MONA, author_permission="maintain"), Trusted(TrustLevel.T1), id="a-maintainer"),
        pytest.param(replace(MONA, author_permission="admin"), Trusted(TrustLevel.T1), id="an-admin"),
        pytest.param(
            replace(MONA, author_permission="triage"),
            Untrusted("its author has no write permission here", WRITER_REOPENS),
            id="triage-may-not-push",
        ),
        pytest.param(
            replace(MONA, author_permission="read"),
            Untrusted("its author has no write permission here", WRITER_REOPENS),
            id="a-reader-who-opens-a-branch-of-somebody-else",
        ),
        pytest.param(
            replace(MONA, author_permission="our-custom-role"),
            Untrusted("its author has no write permission here", WRITER_REOPENS),
            id="a-role-that-nobody-resolved",
        ),
        pytest.param(
            replace(MONA, is_fork=True, author_permission="admin"),
            Untrusted("the pull request comes from a fork, and boxes of forks do not run yet", WRITER_PUSHES),
            id="a-fork-even-of-an-admin",
        ),
        pytest.param(
            replace(MONA, author="renovate[bot]", author_is_bot=True, author_permission="write"),
            Untrusted("its author is an app that this repository has not listed", LIST_THE_BOT),
            id="an-unlisted-app-whatever-its-permission",
        ),
        pytest.param(
            replace(MONA, author="renovate[bot]", author_is_bot=True, author_permission="none", bot_is_listed=True),
            Trusted(TrustLevel.T1),
            id="a-listed-app",
        ),
        pytest.param(
            replace(MONA, author="evil[bot]", author_is_bot=True, bot_is_listed=True, is_fork=True),
            Untrusted("the pull request comes from a fork, and boxes of forks do not run yet", WRITER_PUSHES),
            id="a-listed-app-from-a-fork",
        ),
        pytest.param(
            TrustFacts(event="push", author="mona", to_default_branch=True), Trusted(TrustLevel.T0), id="default-branch"
        ),
        pytest.param(
            TrustFacts(event="push", author="mona", author_permission="admin"),
            Untrusted("a push runs boxes only on the default branch", "anyone can open a pull request for this branch"),
            id="another-branch",
        ),
    ],
)
def test_who_may_have_code_run(facts: TrustFacts, answer: Trusted | Untrusted) -> None:
    assert decide_trust(facts) == answer


@given(
    st.builds(
        TrustFacts,
        event=st.just("pull_request"),
        author=st.text(),
        author_permission=st.sampled_from(["admin", "maintain", "write", "triage", "read", "none"]) | st.text(),
        author_is_bot=st.booleans(),
        bot_is_listed=st.booleans(),
        is_fork=st.booleans(),
        to_default_branch=st.booleans(),
    )
)
def test_no_pull_request_ever_gets_the_trust_of_a_branch_and_no_fork_runs(facts: TrustFacts) -> None:
    answer = decide_trust(facts)
    assert answer != Trusted(TrustLevel.T0)
    assert not (facts.is_fork and isinstance(answer, Trusted))
