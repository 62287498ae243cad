"""Which deliveries start what. A delivery is only a hint: whoever acts on an answer reads GitHub's API first.

So the facts here are few, and a wrong or stale one costs a look at the API, never a wrong verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.domain.checks import NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a delivery says, as far as it matters here; bot.github.payloads reads it from the payload.

    Attributes:
        repo_id: GitHub's number of the repository; 0 when the delivery is about none.
        repo: `owner/name`.
        installation_id: 0 when the delivery names none.
        sender: login of whoever caused it.
        sender_is_bot: whether that is an app.
        pr: the pull request's number; None where there is none, or where GitHub does not tell (check suites of forks).
        head_sha: the commit that it is about.
        base_ref: the pull request's base, or the branch of a push, without `refs/heads/`; "" for a tag.
        base_changed: the pull request was edited to go into another base.
        default_branch: of the repository.
        deleted: the push removed the branch.
        app_id: the app that owns the check run or suite.
        check_name: the check run's name.
        comment_id: the comment's number.
        comment: its body.
        commenter_is_bot: whether an app wrote it.
    """

    repo_id: int = 0
    repo: str = ""
    installation_id: int = 0
    sender: str = ""
    sender_is_bot: bool = False
    pr: int | None = None
    head_sha: str = ""
    base_ref: str = ""
    base_changed: bool = False
    default_branch: str = ""
    deleted: bool = False
    app_id: int = 0
    check_name: str = ""
    comment_id: int = 0
    comment: str = ""
    commenter_is_bot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRun:
    """Run `selection` for this head. `pr` None: for the push, or (`again`) for every pull request with that head."""

    repo_id: int
    repo: str
    installation_id: int
    pr: int | None
    head_sha: str
    base_ref: str
    selection: str = "all"
    cause: Literal["pull_request", "push", "rerequested"] = "pull_request"

    @property
    def again(self) -> bool:
        """Somebody asked for it: an earlier run of the same subject is no reason not to run."""
        return self.cause == "rerequested"


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRuns:
    """End every run of this pull request; `because` completes "cancelled by"."""

    repo_id: int
    repo: str
    installation_id: int
    pr: int
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadCommands:
    """Look for commands in a comment, on behalf of `author`, whose permission is still to be read."""

    repo_id: int
    repo: str
    installation_id: int
    pr: int
    comment_id: int
    body: str
    author: str


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing to do; `reason` is for the delivery's page and the log."""

    reason: str


Action = StartRun | CancelRuns | ReadCommands | Ignore

NEW_HEADS = frozenset({"opened", "reopened", "synchronize", "ready_for_review"})


def react(event: str, action: str, facts: Facts, *, own_app_id: int) -> tuple[Action, ...]:
    """What a delivery asks for, in order; always at least an `Ignore` with its reason.

    Args:
        event: the `X-GitHub-Event` header.
        action: the payload's `action`, "" where the event has none.
        facts: what the payload says.
        own_app_id: our app's id; re-run buttons on other apps' checks are not for us.
    """
    if event == "ping":
        return (Ignore("GitHub only says that the webhook works"),)
    if not facts.repo_id or not facts.installation_id:
        return (Ignore("it is about no repository of an installation"),)
    return (_react(event, action, facts, own_app_id),)


def _react(event: str, action: str, facts: Facts, own_app_id: int) -> Action:
    match event:
        case "pull_request":
            return _pull_request(action, facts)
        case "push":
            return _push(facts)
        case "issue_comment":
            return _comment(action, facts)
        case "check_run" | "check_suite":
            return _check(event, action, facts, own_app_id)
        case _:
            return Ignore(f"nothing reacts to {event}")


def _pull_request(action: str, facts: Facts) -> Action:
    if facts.pr is None:
        return Ignore("it names no pull request")
    if action == "closed":
        return CancelRuns(
            repo_id=facts.repo_id,
            repo=facts.repo,
            installation_id=facts.installation_id,
            pr=facts.pr,
            because="closing the pull request",
        )
    if action in NEW_HEADS or (action == "edited" and facts.base_changed):
        return _start(facts)
    return Ignore(f"pull_request {action} changes neither head nor base")


def _push(facts: Facts) -> Action:
    if facts.deleted:
        return Ignore("the branch was deleted")
    if not facts.base_ref or facts.base_ref != facts.default_branch:
        return Ignore("not the default branch; an open pull request reports its own head")
    return _start(facts, cause="push")


def _comment(action: str, facts: Facts) -> Action:
    if action != "created":
        return Ignore("commands are read when a comment is created, never when it is edited")
    if facts.pr is None:
        return Ignore("the comment is on an issue, not on a pull request")
    if facts.commenter_is_bot or facts.sender_is_bot:
        return Ignore("a bot wrote it")
    if "/" not in facts.comment:
        return Ignore("it holds no command")
    return ReadCommands(
        repo_id=facts.repo_id,
        repo=facts.repo,
        installation_id=facts.installation_id,
        pr=facts.pr,
        comment_id=facts.comment_id,
        body=facts.comment,
        author=facts.sender,
    )


def _check(event: str, action: str, facts: Facts, own_app_id: int) -> Action:
    if action != "rerequested":
        return Ignore(f"{event} {action} is an echo of what was reported")
    if facts.app_id != own_app_id:
        return Ignore("the check belongs to another app")
    # "Re-run all" comes as check_suite, the button of one check as check_run.
    tier = facts.check_name.removeprefix(f"{NAME} / tier ")
    is_tier = event == "check_run" and tier != facts.check_name and tier.isdecimal()
    return _start(facts, cause="rerequested", selection=f"tier:{tier}" if is_tier else "all")


def _start(
    facts: Facts, *, cause: Literal["pull_request", "push", "rerequested"] = "pull_request", selection: str = "all"
) -> StartRun | Ignore:
    if not facts.head_sha:
        return Ignore("it names no commit")
    return StartRun(
        repo_id=facts.repo_id,
        repo=facts.repo,
        installation_id=facts.installation_id,
        pr=facts.pr,
        head_sha=facts.head_sha,
        base_ref=facts.base_ref,
        selection=selection,
        cause=cause,
    )
