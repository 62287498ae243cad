"""Which deliveries start what. A delivery is only a hint: whoever acts on an answer reads GitHub's API first.

So the facts here are few, and a wrong or stale one costs a look at the API, never a wrong verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bot.domain.checks import NAME
from bot.domain.desired import CLOSING
from bot.domain.text import one_line
from bot.domain.webhook_events import EVENTS, meaning


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
        base_ref: the pull request's base, or the branch that moved or went, without `refs/heads/`; "" for a tag.
        base_changed: the pull request was edited to go into another base.
        default_branch: of the repository.
        deleted: the branch was removed.
        forced: the push took commits away.
        app_id: the app that owns the check run or suite.
        installed_app_id: the app whose installation it is; 0 where GitHub does not say.
        check_name: the check run's name.
        check_run_id: its number.
        occasion: what tells one press of "Re-run" from the next; every hook that tells of a press says the same.
        external_id: what we called it when we made it.
        button: identifier of the button of a check run that somebody pressed.
        comment_id: the number of the comment, or of the review.
        comment: its body.
        commenter: login of who wrote it, which need not be the sender.
        commenter_is_bot: whether an app wrote it, or somebody who looks like one.
        commenter_is_lookalike: whether it was the latter.
        group_end: why a merge group is no more.
        base_sha: where the base of a merge group stood.
        account: login of the account that an installation is on.
        repositories: the repositories that an installation got or lost, as pairs of number and `owner/name`.
        environment: that a job of a workflow waits to go into.
        deployment_id: GitHub's number of the deployment that the job is.
        callback: where GitHub wants the answer for it.
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
    forced: bool = False
    app_id: int = 0
    installed_app_id: int = 0
    check_name: str = ""
    check_run_id: int = 0
    occasion: str = ""
    external_id: str = ""
    button: str = ""
    comment_id: int = 0
    comment: str = ""
    commenter: str = ""
    commenter_is_bot: bool = False
    commenter_is_lookalike: bool = False
    group_end: str = ""
    base_sha: str = ""
    account: str = ""
    repositories: tuple[tuple[int, str], ...] = ()
    environment: str = ""
    deployment_id: int = 0
    callback: str = ""


Cause = Literal["pull_request", "push", "merge_group", "rerequested"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRun:
    """Run `selection` for this head. `pr` None: for the push or group, or (`again`) for every pull request with it.

    `if_listed`: only if the default branch's configuration lists `base_ref`, which is another branch.
    """

    repo_id: int
    repo: str
    installation_id: int
    pr: int | None
    head_sha: str
    base_ref: str
    selection: str = "all"
    cause: Cause = "pull_request"
    base_sha: str = ""
    if_listed: bool = False
    occasion: str = ""

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
    source: Literal["comment", "review"] = "comment"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentChanged:
    """Somebody edited or deleted a comment. It is never executed again; what it permitted may be void by it.

    `body` is what it says now; it is only looked at, so that a command that was written so is known to be refused.
    """

    repo_id: int
    repo: str
    installation_id: int
    pr: int
    comment_id: int
    how: Literal["edited", "deleted"]
    author: str
    by: str
    source: Literal["comment", "review"] = "comment"
    body: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """Somebody pressed a button of a check run of ours."""

    repo_id: int
    repo: str
    installation_id: int
    check_run_id: int
    external_id: str
    name: str
    head_sha: str
    identifier: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelGroup:
    """The merge queue gave this head up, or merged it; `because` completes "cancelled by"."""

    repo_id: int
    repo: str
    installation_id: int
    head_sha: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelLost:
    """A branch lost commits, or is no more: end runs of pushes to it that it does not have."""

    repo_id: int
    repo: str
    installation_id: int
    branch: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskGates:
    """A job of a workflow waits for our rule. `pr` and `branch` are what GitHub says that the commit is of."""

    repo_id: int
    repo: str
    installation_id: int
    environment: str
    sha: str
    branch: str
    pr: int | None
    deployment_id: int
    callback: str
    requested_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationChanged:
    """The App came to an account, left it, or was suspended; or repositories were added or removed (`how`)."""

    installation_id: int
    account: str
    how: str
    repositories: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryChanged:
    """A repository was renamed, transferred, deleted or otherwise changed (`how`)."""

    repo_id: int
    repo: str
    installation_id: int
    how: str


@dataclass(frozen=True, slots=True)
class Ignore:
    """Nothing to do; `reason` is for the delivery's page and the log."""

    reason: str


Action = (
    StartRun
    | CancelRuns
    | ReadCommands
    | CommentChanged
    | Press
    | CancelGroup
    | CancelLost
    | AskGates
    | InstallationChanged
    | RepositoryChanged
    | Ignore
)


def react(event: str, action: str, facts: Facts, *, own_app_id: int) -> tuple[Action, ...]:
    """What a delivery asks for, in order; always at least an `Ignore` with its reason.

    Args:
        event: the `X-GitHub-Event` header.
        action: the payload's `action`, "" where the event has none.
        facts: what the payload says.
        own_app_id: our app's id; re-run buttons on other apps' checks are not for us.
    """
    if because := _idle(event, action, facts, own_app_id):
        return (Ignore(because),)
    if event in _OF_INSTALLATIONS:
        return (_installation(action, facts),)
    if event in {"check_run", "check_suite"}:
        return (_check(event, action, facts, own_app_id),)
    return _REACTIONS[event](action, facts)


def unknown(event: str, action: str) -> str:
    """What of a delivery has no place in our table, as a name to count it by; "" when all has."""
    if event not in EVENTS:
        return f"event {event}"
    return "" if meaning(event, action) else one_line(f"action {event} {action}", 100)


def _idle(event: str, action: str, facts: Facts, own_app_id: int) -> str:
    """Why a delivery asks for nothing, whatever its event is about; "" when it may ask for something."""
    known = meaning(event, action)
    if known is None:
        return f"nothing reacts to this: {unknown(event, action)}"
    if not known.acts:
        return known.says
    if not facts.installation_id:
        return "it is about no installation"
    if facts.installed_app_id not in {0, own_app_id}:
        return "it is about an installation of another app"
    if not facts.repo_id and event not in _OF_INSTALLATIONS:
        return "it is about no repository of an installation"
    return ""


def _pull_request(action: str, facts: Facts) -> tuple[Action, ...]:
    if facts.pr is None:
        return (Ignore("it names no pull request"),)
    if action == "closed":
        return (CancelRuns(**_place(facts), pr=facts.pr, because=CLOSING),)
    if action == "edited" and not facts.base_changed:
        return (Ignore("it changes neither head nor base"),)
    return (_start(facts),)


def _push(_action: str, facts: Facts) -> tuple[Action, ...]:
    if facts.deleted:
        return _gone("", facts)
    if not facts.base_ref:
        return (Ignore("a tag was pushed"),)
    if facts.base_ref.startswith("gh-readonly-queue/"):
        return (Ignore("a branch of the merge queue, which tells of it itself"),)
    started = _start(facts, cause="push")
    if isinstance(started, StartRun) and facts.base_ref != facts.default_branch:
        started = replace(started, if_listed=True)
    if not facts.forced:
        return (started,)
    return (CancelLost(**_place(facts), branch=facts.base_ref, because="a forced push"), started)


def _gone(_action: str, facts: Facts) -> tuple[Action, ...]:
    if not facts.base_ref:
        return (Ignore("only a tag is gone"),)
    return (CancelLost(**_place(facts), branch=facts.base_ref, because="the removal of its branch"),)


def _comment(action: str, facts: Facts) -> tuple[Action, ...]:
    if action in {"edited", "deleted"}:
        return (_changed(facts, "edited" if action == "edited" else "deleted", "comment"),)
    return (_commands(facts, "comment"),)


def _review(action: str, facts: Facts) -> tuple[Action, ...]:
    return (_changed(facts, "edited", "review") if action == "edited" else _commands(facts, "review"),)


def _changed(
    facts: Facts, how: Literal["edited", "deleted"], source: Literal["comment", "review"]
) -> CommentChanged | Ignore:
    """Commands are read once, when a text is new; whoever edits it later may not be who wrote it."""
    if facts.pr is None:
        return Ignore("the comment is on an issue, not on a pull request")
    if facts.commenter_is_bot:
        return Ignore("a bot wrote it, so it permitted nothing")
    return CommentChanged(
        **_place(facts),
        pr=facts.pr,
        comment_id=facts.comment_id,
        how=how,
        author=facts.commenter,
        by=facts.sender,
        source=source,
        body=facts.comment,
    )


def _commands(facts: Facts, source: Literal["comment", "review"]) -> Action:
    if facts.pr is None:
        return Ignore("the comment is on an issue, not on a pull request")
    if (facts.commenter_is_bot or facts.sender_is_bot) and not facts.commenter_is_lookalike:
        return Ignore("a bot wrote it")
    if "/" not in facts.comment:
        return Ignore("it holds no command")
    return ReadCommands(
        **_place(facts),
        pr=facts.pr,
        comment_id=facts.comment_id,
        body=facts.comment,
        author=facts.sender,
        source=source,
    )


def _group(action: str, facts: Facts) -> tuple[Action, ...]:
    if action == "destroyed":
        because = f"the merge queue ({facts.group_end})" if facts.group_end else "the merge queue"
        return (CancelGroup(**_place(facts), head_sha=facts.head_sha, because=because),)
    return (_start(facts, cause="merge_group"),)


def _rule(_action: str, facts: Facts) -> tuple[Action, ...]:
    if not facts.head_sha:
        return (Ignore("it names no commit"),)
    if not facts.environment:
        return (Ignore("it names no environment"),)
    asked = AskGates(
        **_place(facts),
        environment=facts.environment,
        sha=facts.head_sha,
        branch=facts.base_ref,
        pr=facts.pr,
        deployment_id=facts.deployment_id,
        callback=facts.callback,
        requested_by=facts.sender,
    )
    return (asked,)


def _installation(action: str, facts: Facts) -> Action:
    return InstallationChanged(
        installation_id=facts.installation_id, account=facts.account, how=action, repositories=facts.repositories
    )


def _repository(action: str, facts: Facts) -> tuple[Action, ...]:
    return (RepositoryChanged(**_place(facts), how=action),)


def _check(event: str, action: str, facts: Facts, own_app_id: int) -> Action:
    if facts.app_id != own_app_id:
        return Ignore("the check belongs to another app")
    if action == "requested_action":
        return Press(
            **_place(facts),
            check_run_id=facts.check_run_id,
            external_id=facts.external_id,
            name=facts.check_name,
            head_sha=facts.head_sha,
            identifier=facts.button,
            by=facts.sender,
        )
    # "Re-run all" comes as check_suite, the button of one check as check_run.
    tier = facts.check_name.removeprefix(f"{NAME} / tier ")
    is_tier = event == "check_run" and tier != facts.check_name and tier.isdecimal()
    return _start(facts, cause="rerequested", selection=f"tier:{tier}" if is_tier else "all")


def _start(facts: Facts, *, cause: Cause = "pull_request", selection: str = "all") -> StartRun | Ignore:
    if not facts.head_sha:
        return Ignore("it names no commit")
    return StartRun(
        **_place(facts),
        pr=facts.pr,
        head_sha=facts.head_sha,
        base_ref=facts.base_ref,
        base_sha=facts.base_sha,
        selection=selection,
        cause=cause,
        occasion=facts.occasion,
    )


def _place(facts: Facts) -> dict[str, Any]:
    """Where everything happens that has to do with a repository."""
    return {"repo_id": facts.repo_id, "repo": facts.repo, "installation_id": facts.installation_id}


_OF_INSTALLATIONS = frozenset({"installation", "installation_repositories", "installation_target"})

_REACTIONS: Mapping[str, Callable[[str, Facts], tuple[Action, ...]]] = {
    "delete": _gone,
    "deployment_protection_rule": _rule,
    "issue_comment": _comment,
    "merge_group": _group,
    "pull_request": _pull_request,
    "pull_request_review": _review,
    "push": _push,
    "repository": _repository,
}
