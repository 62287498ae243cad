from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.trust import (
    LIST_THE_BOT,
    WRITER_PERMITS,
    Trusted,
    TrustFacts,
    TrustLevel,
    Untrusted,
    decide_trust,
    permit_line,
)

HEAD = "a" * 40
MONA = TrustFacts(event="pull_request", author="mona", author_permission="write", head_sha=HEAD)
FORK = replace(MONA, is_fork=True)
APP = replace(MONA, author="renovate[bot]", author_is_bot=True, author_permission="none")
LINE = permit_line(HEAD)


def untrusted(because: str, *, app: bool = False) -> Untrusted:
    return Untrusted(because, (LIST_THE_BOT if app else "") + WRITER_PERMITS, LINE)


@pytest.mark.requirement("S-5")
@pytest.mark.requirement("S-7")
@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        pytest.param(MONA, Trusted(TrustLevel.T1), id="a-writer"),
        pytest.param(replace(MONA, author_permission="maintain"), Trusted(TrustLevel.T1), id="a-maintainer"),
        pytest.param(replace(MONA, author_permission="admin"), Trusted(TrustLevel.T1), id="an-admin"),
        pytest.param(
            replace(MONA, author_permission="triage"),
            untrusted("its author has no write permission here"),
            id="triage-may-not-push",
        ),
        pytest.param(
            replace(MONA, author_permission="read"),
            untrusted("its author has no write permission here"),
            id="a-reader-who-opens-a-branch-of-somebody-else",
        ),
        pytest.param(
            replace(MONA, author_permission="MEMBER"),
            untrusted("its author has no write permission here"),
            id="an-association-is-no-permission",
        ),
        pytest.param(
            replace(FORK, author_permission="admin"),
            untrusted("the pull request comes from a fork"),
            id="a-fork-even-of-an-admin",
        ),
        pytest.param(
            replace(APP, author_permission="write"),
            untrusted("its author is an app that this repository has not listed", app=True),
            id="an-unlisted-app-whatever-its-permission",
        ),
        pytest.param(replace(APP, bot_is_listed=True), Trusted(TrustLevel.T1), id="a-listed-app"),
        pytest.param(
            replace(MONA, author="renovate[bot]", author_permission="read", bot_is_listed=True),
            untrusted("its author has no write permission here"),
            id="a-person-who-is-called-like-an-app",
        ),
        pytest.param(
            replace(APP, bot_is_listed=True, is_fork=True),
            untrusted("the pull request comes from a fork"),
            id="a-listed-app-from-a-fork",
        ),
        pytest.param(replace(FORK, is_permitted=True), Trusted(TrustLevel.T2), id="a-permitted-fork"),
        pytest.param(
            replace(MONA, author_permission="read", is_permitted=True), Trusted(TrustLevel.T2), id="a-permitted-reader"
        ),
        pytest.param(replace(APP, is_permitted=True), Trusted(TrustLevel.T2), id="a-permitted-unlisted-app"),
        pytest.param(replace(MONA, is_permitted=True), Trusted(TrustLevel.T1), id="a-permit-takes-nothing-away"),
        pytest.param(
            replace(FORK, withdrawn="@eve has changed the comment that let it run"),
            untrusted("the pull request comes from a fork, and @eve has changed the comment that let it run"),
            id="a-withdrawn-permit",
        ),
        pytest.param(
            TrustFacts(event="push", author="mona", is_protected=True), Trusted(TrustLevel.T0), id="protected-branch"
        ),
        pytest.param(
            TrustFacts(event="push", author="mona", author_permission="admin", is_permitted=True),
            Untrusted(
                "a push runs boxes only on the default branch and on those that its configuration lists as protected",
                "anyone can open a pull request for this branch",
            ),
            id="another-branch",
        ),
        pytest.param(
            TrustFacts(event="merge_group", author="", is_protected=True), Trusted(TrustLevel.T0), id="merge-queue"
        ),
        pytest.param(
            TrustFacts(event="merge_group", author="", is_permitted=True),
            Untrusted("it is not what the merge queue proposes now", "the queue asks again for what it proposes"),
            id="something-that-calls-itself-a-merge-group",
        ),
    ],
)
def test_who_may_have_code_run(facts: TrustFacts, answer: Trusted | Untrusted) -> None:
    assert decide_trust(facts) == answer


@pytest.mark.requirement("S-7")
@given(
    st.builds(
        TrustFacts,
        event=st.just("pull_request"),
        author=st.text(),
        author_permission=st.sampled_from(["admin", "maintain", "write", "triage", "read", "none"]) | st.text(),
        author_is_bot=st.booleans(),
        bot_is_listed=st.booleans(),
        is_fork=st.booleans(),
        is_protected=st.booleans(),
        head_sha=st.just(HEAD),
        is_permitted=st.booleans(),
    )
)
def test_no_pull_request_gets_the_trust_of_a_branch_and_no_fork_more_than_a_permit_gives(facts: TrustFacts) -> None:
    answer = decide_trust(facts)
    assert answer != Trusted(TrustLevel.T0)
    assert not facts.is_fork or answer != Trusted(TrustLevel.T1)
    assert facts.is_permitted or answer != Trusted(TrustLevel.T2)
    assert isinstance(answer, Trusted) or answer.line == LINE
