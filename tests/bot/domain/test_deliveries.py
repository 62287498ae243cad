from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deliveries import (
    Action,
    AskGates,
    CancelGroup,
    CancelLost,
    CancelRuns,
    CommentChanged,
    Facts,
    Ignore,
    InstallationChanged,
    Press,
    ReadCommands,
    RepositoryChanged,
    StartRun,
    react,
    unknown,
)
from bot.domain.tally import LENGTH, NAMES, OTHERS, Tally
from bot.domain.text import size
from bot.domain.webhook_events import EVENTS

APP = 42
SHA = "cafe" * 10
BASE = Facts(repo_id=1, repo="octo/app", installation_id=2, sender="mona", default_branch="main")
PLACE: dict[str, Any] = {"repo_id": 1, "repo": "octo/app", "installation_id": 2}
PULL = replace(BASE, pr=7, head_sha=SHA, base_ref="main")
PUSH = replace(BASE, head_sha=SHA, base_ref="main")
COMMENT = replace(BASE, pr=7, comment_id=99, comment="/boxes run all")
CHECK = replace(BASE, pr=7, head_sha=SHA, base_ref="main", app_id=APP, check_name="Interlock")
RUN = StartRun(repo_id=1, repo="octo/app", installation_id=2, pr=7, head_sha=SHA, base_ref="main")
CALLBACK = "https://api.github.com/repos/octo/app/actions/runs/15/deployment_protection_rule"
RULE = replace(PUSH, environment="production", deployment_id=3, callback=CALLBACK)
ASKED = AskGates(
    repo_id=1,
    repo="octo/app",
    installation_id=2,
    environment="production",
    sha=SHA,
    branch="main",
    pr=None,
    deployment_id=3,
    callback=CALLBACK,
    requested_by="mona",
)


@pytest.mark.parametrize(
    ("event", "action", "facts", "answer"),
    [
        pytest.param("pull_request", "opened", PULL, RUN, id="opened"),
        pytest.param("pull_request", "reopened", PULL, RUN, id="reopened"),
        pytest.param("pull_request", "synchronize", PULL, RUN, id="a-new-head"),
        pytest.param("pull_request", "ready_for_review", PULL, RUN, id="no-longer-a-draft"),
        pytest.param("pull_request", "edited", replace(PULL, base_changed=True), RUN, id="another-base"),
        pytest.param(
            "pull_request",
            "edited",
            PULL,
            Ignore("it changes neither head nor base"),
            id="another-title",
        ),
        pytest.param(
            "pull_request",
            "closed",
            PULL,
            CancelRuns(repo_id=1, repo="octo/app", installation_id=2, pr=7, because="closing the pull request"),
            id="closed",
        ),
        pytest.param("push", "", PUSH, replace(RUN, pr=None, cause="push"), id="a-push-to-the-default-branch"),
        pytest.param(
            "push",
            "",
            replace(PUSH, base_ref="topic"),
            replace(RUN, pr=None, cause="push", base_ref="topic", if_listed=True),
            id="a-push-elsewhere",
        ),
        pytest.param(
            "push",
            "",
            replace(PUSH, base_ref="", default_branch=""),
            Ignore("a tag was pushed"),
            id="a-tag-in-a-repository-of-unknown-default",
        ),
        pytest.param(
            "push",
            "",
            replace(PUSH, base_ref="gh-readonly-queue/main/pr-7-ba5e"),
            Ignore("a branch of the merge queue, which tells of it itself"),
            id="a-branch-of-the-merge-queue",
        ),
        pytest.param(
            "push",
            "",
            replace(PUSH, repo_id=0),
            Ignore("it is about no repository of an installation"),
            id="no-repository",
        ),
        pytest.param(
            "push",
            "",
            replace(PUSH, deleted=True),
            CancelLost(**PLACE, branch="main", because="the removal of its branch"),
            id="the-default-branch-removed",
        ),
        pytest.param(
            "issue_comment",
            "created",
            COMMENT,
            ReadCommands(
                repo_id=1,
                repo="octo/app",
                installation_id=2,
                pr=7,
                comment_id=99,
                body="/boxes run all",
                author="mona",
            ),
            id="a-comment",
        ),
        pytest.param(
            "issue_comment",
            "edited",
            COMMENT,
            CommentChanged(
                repo_id=1,
                repo="octo/app",
                installation_id=2,
                pr=7,
                comment_id=99,
                how="edited",
                author="",
                by="mona",
                body="/boxes run all",
            ),
            id="an-edited-comment",
        ),
        pytest.param(
            "issue_comment",
            "created",
            replace(COMMENT, pr=None),
            Ignore("the comment is on an issue, not on a pull request"),
            id="a-comment-on-an-issue",
        ),
        pytest.param(
            "issue_comment",
            "created",
            replace(COMMENT, commenter_is_bot=True),
            Ignore("a bot wrote it"),
            id="our-own-help-text",
        ),
        pytest.param(
            "issue_comment",
            "created",
            replace(COMMENT, sender_is_bot=True),
            Ignore("a bot wrote it"),
            id="a-comment-that-a-bot-sent-in-somebody-s-name",
        ),
        pytest.param(
            "issue_comment",
            "created",
            replace(COMMENT, commenter_is_bot=True, commenter_is_lookalike=True),
            ReadCommands(**PLACE, pr=7, comment_id=99, body="/boxes run all", author="mona"),
            id="who-only-looks-like-a-bot-is-refused-later-and-in-the-audit",
        ),
        pytest.param(
            "issue_comment",
            "edited",
            replace(COMMENT, commenter_is_bot=True),
            Ignore("a bot wrote it, so it permitted nothing"),
            id="our-own-comment-edited",
        ),
        pytest.param(
            "issue_comment",
            "created",
            replace(COMMENT, comment="thanks"),
            Ignore("it holds no command"),
            id="a-thank-you",
        ),
        pytest.param("check_run", "rerequested", CHECK, replace(RUN, cause="rerequested"), id="re-run-the-check"),
        pytest.param(
            "check_run",
            "rerequested",
            replace(CHECK, check_name="Interlock / tier 2"),
            replace(RUN, cause="rerequested", selection="tier:2"),
            id="re-run-a-tier",
        ),
        pytest.param(
            "check_run",
            "rerequested",
            replace(CHECK, check_name="Interlock / tier 2 or all"),
            replace(RUN, cause="rerequested"),
            id="a-name-that-only-looks-like-a-tier",
        ),
        pytest.param(
            "check_suite",
            "rerequested",
            replace(CHECK, check_name="Interlock / tier 2", occasion="12:00"),
            replace(RUN, cause="rerequested", occasion="12:00"),
            id="re-run-all-is-about-no-tier-and-says-when",
        ),
        pytest.param(
            "check_suite",
            "rerequested",
            replace(CHECK, check_name="", pr=None, base_ref=""),
            replace(RUN, cause="rerequested", pr=None, base_ref=""),
            id="re-run-all-of-a-head-that-names-no-pull-request",
        ),
        pytest.param(
            "check_run",
            "rerequested",
            replace(CHECK, app_id=APP + 1),
            Ignore("the check belongs to another app"),
            id="another-apps-check",
        ),
        pytest.param(
            "check_suite",
            "completed",
            CHECK,
            Ignore("it only echoes what was reported"),
            id="our-own-echo",
        ),
        pytest.param(
            "pull_request", "opened", replace(PULL, head_sha=""), Ignore("it names no commit"), id="no-commit"
        ),
        pytest.param(
            "watch", "started", BASE, Ignore("nothing reacts to this: event watch"), id="an-event-of-no-interest"
        ),
        pytest.param(
            "delete",
            "",
            replace(BASE, base_ref="topic", deleted=True),
            CancelLost(**PLACE, branch="topic", because="the removal of its branch"),
            id="a-branch-is-gone",
        ),
        pytest.param("delete", "", replace(BASE, deleted=True), Ignore("only a tag is gone"), id="a-tag-is-gone"),
        pytest.param(
            "merge_group",
            "destroyed",
            replace(BASE, head_sha=SHA, group_end="dequeued"),
            CancelGroup(**PLACE, head_sha=SHA, because="the merge queue (dequeued)"),
            id="a-merge-group-is-no-more",
        ),
        pytest.param(
            "merge_group",
            "checks_requested",
            replace(BASE, head_sha=SHA, base_ref="main", base_sha="ba5e" * 10),
            replace(RUN, pr=None, cause="merge_group", base_sha="ba5e" * 10),
            id="a-merge-group",
        ),
        pytest.param(
            "pull_request", "converted_to_draft", PULL, Ignore("a draft runs as any other pull request"), id="a-draft"
        ),
        pytest.param(
            "pull_request_review",
            "edited",
            replace(COMMENT, commenter="mona"),
            CommentChanged(
                **PLACE,
                pr=7,
                comment_id=99,
                how="edited",
                author="mona",
                by="mona",
                source="review",
                body="/boxes run all",
            ),
            id="an-edited-review",
        ),
        pytest.param(
            "check_run",
            "requested_action",
            replace(CHECK, check_run_id=5, external_id="r1", button="rerun_failed"),
            Press(
                **PLACE,
                check_run_id=5,
                external_id="r1",
                name="Interlock",
                head_sha=SHA,
                identifier="rerun_failed",
                by="mona",
            ),
            id="a-button",
        ),
        pytest.param(
            "installation",
            "suspend",
            Facts(installation_id=2, account="octo", installed_app_id=APP),
            InstallationChanged(installation_id=2, account="octo", how="suspend"),
            id="suspended",
        ),
        pytest.param(
            "installation_target",
            "renamed",
            Facts(installation_id=2, account="octo-2"),
            InstallationChanged(installation_id=2, account="octo-2", how="renamed"),
            id="an-account-is-renamed",
        ),
        pytest.param(
            "repository",
            "renamed",
            BASE,
            RepositoryChanged(**PLACE, how="renamed"),
            id="a-repository-is-renamed",
        ),
        pytest.param("deployment_protection_rule", "requested", RULE, ASKED, id="a-job-that-waits"),
        pytest.param(
            "deployment_protection_rule",
            "requested",
            replace(RULE, head_sha=""),
            Ignore("it names no commit"),
            id="a-job-of-no-commit",
        ),
        pytest.param(
            "deployment_protection_rule",
            "requested",
            replace(RULE, environment=""),
            Ignore("it names no environment"),
            id="a-job-for-nowhere",
        ),
        pytest.param(
            "pull_request",
            "frobnicated",
            PULL,
            Ignore("nothing reacts to this: action pull_request frobnicated"),
            id="an-action-of-next-year",
        ),
        pytest.param("ping", "", Facts(), Ignore("GitHub only says that the webhook works"), id="ping"),
        pytest.param(
            "pull_request",
            "opened",
            replace(PULL, installation_id=0),
            Ignore("it is about no installation"),
            id="a-repository-hook-without-an-installation",
        ),
    ],
)
def test_what_a_delivery_starts(event: str, action: str, facts: Facts, answer: Action) -> None:
    assert react(event, action, facts, own_app_id=APP) == (answer,)


def test_a_forced_push_ends_runs_of_what_it_took_away_before_it_starts_its_own() -> None:
    assert react("push", "", replace(PUSH, forced=True), own_app_id=APP) == (
        CancelLost(**PLACE, branch="main", because="a forced push"),
        replace(RUN, pr=None, cause="push"),
    )


@pytest.mark.requirement("S-25")
@pytest.mark.parametrize("event", sorted(EVENTS))
def test_no_event_of_another_app_s_installation_asks_for_anything(event: str) -> None:
    every = replace(CHECK, comment="/boxes run", comment_id=9, installed_app_id=APP + 1)
    for action in EVENTS[event]:
        assert all(isinstance(done, Ignore) for done in react(event, action, every, own_app_id=APP))


FULL = replace(
    CHECK,
    comment="/boxes run",
    comment_id=9,
    button="rerun_all",
    base_changed=True,
    account="octo",
    environment="production",
)


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_the_table_of_events_says_what_is_done(event: str) -> None:
    for action, meaning in EVENTS[event].items():
        done = react(event, action, FULL, own_app_id=APP)
        assert any(not isinstance(one, Ignore) for one in done) is meaning.acts, (event, action)
        if not meaning.acts:
            assert done == (Ignore(meaning.says),)
        assert unknown(event, action) == ""


def test_what_is_unknown_has_a_short_name_on_one_line() -> None:
    assert unknown("watch", "started") == "event watch"
    assert unknown("push", "") == ""
    name = unknown("pull_request", "a\nb\x1b[31m" + "c" * 1000)
    assert name.startswith("action pull_request a b")
    assert size(name) <= 100


@given(st.lists(st.text(max_size=300) | st.integers().map(str), max_size=600))
def test_a_tally_is_bounded_and_loses_no_count(names: list[str]) -> None:
    tally = Tally()
    for name in names:
        tally.count(name)
    assert sum(tally.counts.values()) == len(names)
    assert len(tally.counts) <= NAMES + 1
    assert all(size(name) <= LENGTH and "\n" not in name for name in tally.counts)
    assert list(tally.counts.values()) == sorted(tally.counts.values(), reverse=True)


def test_beyond_its_room_a_tally_counts_together() -> None:
    tally = Tally()
    for number in range(NAMES + 5):
        tally.count(f"event {number}")
    assert tally.counts[OTHERS] == 5


@given(
    st.sampled_from(["push", "pull_request", "issue_comment", "check_run", "check_suite", "ping"]) | st.text(),
    st.text(),
    st.builds(Facts),
)
def test_every_delivery_has_an_answer(event: str, action: str, facts: Facts) -> None:
    assert react(event, action, facts, own_app_id=APP)
