from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deliveries import Action, CancelRuns, CommentChanged, Facts, Ignore, ReadCommands, StartRun, react

APP = 42
SHA = "cafe" * 10
BASE = Facts(repo_id=1, repo="octo/app", installation_id=2, sender="mona", default_branch="main")
PULL = replace(BASE, pr=7, head_sha=SHA, base_ref="main")
PUSH = replace(BASE, head_sha=SHA, base_ref="main")
COMMENT = replace(BASE, pr=7, comment_id=99, comment="/boxes run all")
CHECK = replace(BASE, pr=7, head_sha=SHA, base_ref="main", app_id=APP, check_name="Interlock")
RUN = StartRun(repo_id=1, repo="octo/app", installation_id=2, pr=7, head_sha=SHA, base_ref="main")


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
            Ignore("pull_request edited changes neither head nor base"),
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
            "push", "", replace(PUSH, deleted=True), Ignore("the branch was deleted"), id="the-default-branch-removed"
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
            Ignore("check_suite completed is an echo of what was reported"),
            id="our-own-echo",
        ),
        pytest.param(
            "pull_request", "opened", replace(PULL, head_sha=""), Ignore("it names no commit"), id="no-commit"
        ),
        pytest.param("watch", "started", BASE, Ignore("nothing reacts to watch"), id="an-event-of-no-interest"),
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


@given(
    st.sampled_from(["push", "pull_request", "issue_comment", "check_run", "check_suite", "ping"]) | st.text(),
    st.text(),
    st.builds(Facts),
)
def test_every_delivery_has_an_answer(event: str, action: str, facts: Facts) -> None:
    assert react(event, action, facts, own_app_id=APP)
