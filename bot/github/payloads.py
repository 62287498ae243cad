"""What we read of GitHub's webhook payloads: few fields, all forgiving.

GitHub adds fields and values without warning, and an Enterprise server sends the shapes of years ago. So unknown fields
are dropped, a null counts as absent, actions and states are open strings, and what cannot be read at all is a value
(`Unreadable`), never an exception. Decisions are taken elsewhere, from `Payload.facts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bot.domain.deliveries import Facts

MAX_BODY = 25 * 1024 * 1024
"""Bytes of a delivery; GitHub sends none above."""

BRANCHES = "refs/heads/"
NO_COMMIT = "0" * 40


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: item for name, item in value.items() if item is not None}
        return value


class Account(_Lenient):
    """A user, an organisation or an app."""

    login: str = ""
    id: int = 0
    type: str = "User"

    @property
    def is_bot(self) -> bool:
        """GitHub says so by the type, and keeps the suffix for apps."""
        return self.type == "Bot" or self.login.endswith("[bot]")


class Repository(_Lenient):
    """The repository that a delivery is about."""

    id: int
    full_name: str
    default_branch: str = ""


class Installation(_Lenient):
    """The app on an account."""

    id: int
    app_id: int = 0
    account: Account = Account()


class Commitish(_Lenient):
    """A pull request's head or base. `repo` is absent when the fork was deleted."""

    ref: str = ""
    sha: str = ""


class PullRequest(_Lenient):
    """A pull request, whole or as a check run lists it."""

    number: int
    head: Commitish = Commitish()
    base: Commitish = Commitish()


class App(_Lenient):
    """Whose check it is."""

    id: int = 0


class Suite(_Lenient):
    """A check suite."""

    head_sha: str = ""
    app: App = App()
    pull_requests: tuple[PullRequest, ...] = ()


class CheckRun(_Lenient):
    """A check run."""

    id: int = 0
    name: str = ""
    head_sha: str = ""
    external_id: str = ""
    app: App = App()
    pull_requests: tuple[PullRequest, ...] = ()


class IssueComment(_Lenient):
    """A comment."""

    id: int
    body: str = ""
    user: Account = Account()


class Review(_Lenient):
    """A review of a pull request."""

    id: int
    body: str = ""
    user: Account = Account()


class MergeGroup(_Lenient):
    """Pull requests on their way into a branch, merged in the order of the queue. The refs are whole."""

    head_sha: str = ""
    head_ref: str = ""
    base_sha: str = ""
    base_ref: str = ""


class RequestedAction(_Lenient):
    """The button that was pressed."""

    identifier: str = ""


class Issue(_Lenient):
    """An issue; it is a pull request when it has that key."""

    number: int
    pull_request: Mapping[str, Any] | None = None


class Payload(_Lenient):
    """What every delivery may have. Each event below adds its own and says its `facts`."""

    event: ClassVar[str] = ""

    action: str = ""
    repository: Repository | None = None
    installation: Installation | None = None
    sender: Account = Account()

    @property
    def facts(self) -> Facts:
        """What bot.domain.deliveries decides from."""
        return Facts(**self._common())

    def _common(self) -> dict[str, Any]:
        return {
            "repo_id": self.repository.id if self.repository else 0,
            "repo": self.repository.full_name if self.repository else "",
            "installation_id": self.installation.id if self.installation else 0,
            "default_branch": self.repository.default_branch if self.repository else "",
            "sender": self.sender.login,
            "sender_is_bot": self.sender.is_bot,
        }


class OtherPayload(Payload):
    """An event that nothing reacts to; only what all have is read."""


class PingPayload(Payload):
    """`ping`: the webhook was set up."""

    event: ClassVar[str] = "ping"


class PushPayload(Payload):
    """`push`: a branch or tag moved, came or went."""

    event: ClassVar[str] = "push"

    ref: str = ""
    before: str = ""
    after: str = ""
    deleted: bool = False

    @property
    def facts(self) -> Facts:
        """The branch is the base of itself."""
        gone = self.deleted or self.after == NO_COMMIT
        branch = self.ref.removeprefix(BRANCHES) if self.ref.startswith(BRANCHES) else ""
        return Facts(**self._common(), base_ref=branch, head_sha="" if gone else self.after, deleted=gone)


class PullRequestPayload(Payload):
    """`pull_request`."""

    event: ClassVar[str] = "pull_request"

    pull_request: PullRequest
    changes: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def facts(self) -> Facts:
        """The head and base as they were when GitHub sent this."""
        pull = self.pull_request
        return Facts(
            **self._common(),
            pr=pull.number,
            head_sha=pull.head.sha,
            base_ref=pull.base.ref,
            base_changed="base" in self.changes,
        )


class IssueCommentPayload(Payload):
    """`issue_comment`: on an issue or a pull request."""

    event: ClassVar[str] = "issue_comment"

    issue: Issue
    comment: IssueComment

    @property
    def facts(self) -> Facts:
        """`pr` is set only where the issue is a pull request."""
        return Facts(
            **self._common(),
            pr=self.issue.number if self.issue.pull_request is not None else None,
            comment_id=self.comment.id,
            comment=self.comment.body,
            commenter=self.comment.user.login,
            commenter_is_bot=self.comment.user.is_bot,
        )


class ReviewPayload(Payload):
    """`pull_request_review`: its body may hold commands."""

    event: ClassVar[str] = "pull_request_review"

    pull_request: PullRequest
    review: Review

    @property
    def facts(self) -> Facts:
        """The review is a comment on the pull request."""
        return Facts(
            **self._common(),
            pr=self.pull_request.number,
            comment_id=self.review.id,
            comment=self.review.body,
            commenter=self.review.user.login,
            commenter_is_bot=self.review.user.is_bot,
        )


class MergeGroupPayload(Payload):
    """`merge_group`."""

    event: ClassVar[str] = "merge_group"

    merge_group: MergeGroup

    @property
    def facts(self) -> Facts:
        """The head is the queue's own merge commit."""
        group = self.merge_group
        return Facts(
            **self._common(),
            head_sha=group.head_sha,
            group_ref=group.head_ref.removeprefix(BRANCHES),
            base_ref=group.base_ref.removeprefix(BRANCHES),
            base_sha=group.base_sha,
        )


class RepositoryPayload(Payload):
    """`repository`."""

    event: ClassVar[str] = "repository"

    changes: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def facts(self) -> Facts:
        """`old_name` is the whole name that it had before it was renamed."""
        known = self.repository
        before = self.changes.get("repository")
        name = before.get("name") if isinstance(before, Mapping) else None
        old = name.get("from") if isinstance(name, Mapping) else None
        owner = known.full_name.partition("/")[0] if known else ""
        return Facts(**self._common(), old_name=f"{owner}/{old}" if isinstance(old, str) else "")


class CheckRunPayload(Payload):
    """`check_run`."""

    event: ClassVar[str] = "check_run"

    check_run: CheckRun
    requested_action: RequestedAction = RequestedAction()

    @property
    def facts(self) -> Facts:
        """`pr` only where exactly one is listed: heads are shared, and forks list none."""
        run = self.check_run
        return Facts(
            **self._common(),
            **_of_pulls(run.pull_requests),
            head_sha=run.head_sha,
            app_id=run.app.id,
            check_name=run.name,
            check_run_id=run.id,
            external_id=run.external_id,
            button=self.requested_action.identifier,
        )


class CheckSuitePayload(Payload):
    """`check_suite`."""

    event: ClassVar[str] = "check_suite"

    check_suite: Suite

    @property
    def facts(self) -> Facts:
        """As for a check run, without a name."""
        suite = self.check_suite
        return Facts(**self._common(), **_of_pulls(suite.pull_requests), head_sha=suite.head_sha, app_id=suite.app.id)


class InstallationPayload(Payload):
    """`installation` and `installation_repositories`: who has us, and where."""

    event: ClassVar[str] = "installation"

    repositories: tuple[Repository, ...] = ()
    repositories_added: tuple[Repository, ...] = ()
    repositories_removed: tuple[Repository, ...] = ()

    @property
    def facts(self) -> Facts:
        """The repositories that the action is about."""
        about = (*self.repositories, *self.repositories_added, *self.repositories_removed)
        return Facts(
            **self._common(),
            account=self.installation.account.login if self.installation else "",
            repositories=tuple((each.id, each.full_name) for each in about),
        )


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A delivery that cannot be read; `reason` is for its page and the log, and quotes none of its values."""

    reason: str


MODELS: Mapping[str, type[Payload]] = {
    **{
        model.event: model
        for model in (
            PingPayload,
            PushPayload,
            PullRequestPayload,
            IssueCommentPayload,
            ReviewPayload,
            MergeGroupPayload,
            RepositoryPayload,
            CheckRunPayload,
            CheckSuitePayload,
            InstallationPayload,
        )
    },
    "installation_repositories": InstallationPayload,
}


def parse(event: str, body: bytes) -> Payload | Unreadable:
    """Read a delivery.

    Args:
        event: the `X-GitHub-Event` header; one that we do not know gives an `OtherPayload`.
        body: the raw JSON, already authenticated.
    """
    if len(body) > MAX_BODY:
        return Unreadable(f"{len(body)} bytes, more than GitHub sends")
    try:
        # Straight from the bytes: most of a payload is ignored, and is never made into Python objects.
        return MODELS.get(event, OtherPayload).model_validate_json(body)
    except ValidationError as bad:
        first = bad.errors(include_url=False, include_context=False, include_input=False)[0]
        match first["type"], first["loc"]:
            case "json_invalid", _:
                return Unreadable("not JSON")
            case "model_type", ():
                return Unreadable("not a JSON object")
            case _:
                return Unreadable(f"{event}: {_where(bad)}")


def _where(bad: ValidationError) -> str:
    first = bad.errors(include_url=False, include_context=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    more = f" (and {bad.error_count() - 1} more)" if bad.error_count() > 1 else ""
    return f"{field}: {first['msg'].lower()}{more}"


def _of_pulls(pulls: tuple[PullRequest, ...]) -> dict[str, Any]:
    if len(pulls) != 1:
        return {"pr": None}
    return {"pr": pulls[0].number, "base_ref": pulls[0].base.ref}
