from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.permits import MayNot, MayRun, PermitFacts, decide_permit

HEAD, OTHER = "a" * 40, "b" * 40
FACTS = PermitFacts(asked=HEAD, pr=7, head_sha=HEAD, is_open=True, actor="mona", actor_permission="write")


@pytest.mark.requirement("S-2")
@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param(replace(FACTS, actor_permission="read"), "no_write_permission", id="a-reader"),
        pytest.param(replace(FACTS, actor_permission="triage"), "no_write_permission", id="triage"),
        pytest.param(replace(FACTS, actor_permission="CONTRIBUTOR"), "no_write_permission", id="an-association"),
        pytest.param(replace(FACTS, is_as_sent=False), "comment_changed", id="an-edited-comment"),
        pytest.param(replace(FACTS, is_open=False), "not_open", id="a-closed-pull-request"),
        pytest.param(replace(FACTS, asked=""), "not_a_sha", id="no-sha"),
        pytest.param(replace(FACTS, asked="HEAD"), "not_a_sha", id="a-ref"),
        pytest.param(replace(FACTS, asked="$(id)"), "not_a_sha", id="a-shell-command"),
        pytest.param(replace(FACTS, asked=HEAD + "0"), "not_a_sha", id="too-long"),
        pytest.param(replace(FACTS, asked=HEAD[:12]), "sha_not_in_full", id="a-prefix"),
        pytest.param(replace(FACTS, asked=HEAD[:39]), "sha_not_in_full", id="all-but-a-letter"),
        pytest.param(replace(FACTS, asked=OTHER), "sha_is_not_the_head", id="an-unknown-commit"),
        pytest.param(replace(FACTS, asked=OTHER, was_head=True), "sha_is_older", id="an-older-head"),
        pytest.param(replace(FACTS, asked=OTHER, head_of=9), "sha_of_another", id="another-pull-request"),
    ],
)
def test_only_a_writer_permits_and_only_the_whole_sha_of_the_head(facts: PermitFacts, reason: str) -> None:
    answer = decide_permit(facts)
    assert isinstance(answer, MayNot)
    assert answer.reason == reason


@pytest.mark.parametrize("permission", ["write", "maintain", "admin"])
@pytest.mark.parametrize("asked", [HEAD, HEAD.upper(), f" {HEAD} "])
def test_a_writer_who_names_the_whole_head_permits_it(permission: str, asked: str) -> None:
    assert decide_permit(replace(FACTS, actor_permission=permission, asked=asked)) == MayRun(HEAD)


@pytest.mark.requirement("S-2")
@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(replace(FACTS, asked=OTHER), id="unknown"),
        pytest.param(replace(FACTS, asked=OTHER, was_head=True), id="older"),
        pytest.param(replace(FACTS, asked=OTHER, head_of=9), id="another"),
    ],
)
def test_a_refusal_of_a_commit_names_both(facts: PermitFacts) -> None:
    answer = decide_permit(facts)
    assert isinstance(answer, MayNot)
    assert HEAD in answer.because
    assert OTHER in answer.because


def test_a_refusal_says_what_to_do() -> None:
    answer = decide_permit(replace(FACTS, asked=OTHER, was_head=True))
    assert isinstance(answer, MayNot)
    said = answer.because.replace(HEAD, "HEAD").replace(OTHER, "OTHER")
    assert said == snapshot("""\
`OTHER` is an older commit of this pull request, the head is `HEAD` now; \
having read that one, comment `/ok-to-test HEAD`\
""")


@given(asked=st.text() | st.text("0123456789abcdef", min_size=38, max_size=42), permission=st.text())
def test_no_text_but_the_head_is_ever_permitted(asked: str, permission: str) -> None:
    answer = decide_permit(replace(FACTS, asked=asked, actor_permission=permission))
    assert isinstance(answer, MayNot)
    answer = decide_permit(replace(FACTS, asked=asked))
    assert isinstance(answer, MayNot) or asked.strip().lower() == HEAD
