"""What we read of GitHub's webhook payloads: few fields, all forgiving.

GitHub adds fields and values without warning, and an Enterprise server sends the shapes of years ago. So unknown fields
are dropped, a null counts as absent, actions and states are open strings, and what cannot be read at all is a value
(`Unreadable`), never an exception. Decisions are taken elsewhere, from `Payload.facts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationError, model_validator

from bot.domain.deliveries import Facts
from bot.domain.webhook_events import ACTORS, GROUP_ENDS
from bot.github.payload_parts import (
    Account,
    Address,
    CheckRun,
    Deployment,
    Installation,
    Issue,
    IssueComment,
    Lenient,
    MergeGroup,
    Name,
    PullRequest,
    Repository,
    RequestedAction,
    Review,
    Sha,
    Suite,
)

MAX_BODY = 25 * 1024 * 1024
"""Bytes of a delivery; GitHub sends none above."""

BRANCHES = "refs/heads/"
NO_COMMIT = "0" * 40

Repositories = Annotated[tuple[Repository, ...], Field(max_length=20_000)]

_EVERYWHERE = frozenset({"organization", "enterprise", "business"})
_MOST_NEW_FIELDS = 10


class Payload(Lenient):
    """What every delivery may have. Each event below adds its own and says its `facts`."""

    event: ClassVar[str] = ""
    passed_over: ClassVar[frozenset[str]] = frozenset()
    """Names that GitHub gives the event and that say nothing to us."""

    action: Name = ""
    repository: Repository | None = None
    installation: Installation | None = None
    sender: Account = Account()
    new_fields: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _new_fields_are_noted(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not cls.event:
            return value
        new = value.keys() - cls.model_fields.keys() - _EVERYWHERE - cls.passed_over
        return {**value, "new_fields": tuple(sorted(str(name)[:100] for name in new)[:_MOST_NEW_FIELDS])}

    @property
    def facts(self) -> Facts:
        """What bot.domain.deliveries decides from."""
        return Facts(**self._common())

    @property
    def oddities(self) -> tuple[str, ...]:
        """Fields and values that are new to us, as names to count them by."""
        fields = (f"field {self.event} {name}" for name in self.new_fields)
        values = (f"value {self.event} {name}: {value}" for name, value in self._odd_values())
        return (*fields, *values)

    def _odd_values(self) -> Iterator[tuple[str, str]]:
        if self.sender.type not in ACTORS:
            yield "sender.type", self.sender.type

    def _common(self) -> dict[str, Any]:
        return {
            "repo_id": self.repository.id if self.repository else 0,
            "repo": self.repository.full_name if self.repository else "",
            "installation_id": self.installation.id if self.installation else 0,
            "installed_app_id": self.installation.app_id if self.installation else 0,
            "default_branch": self.repository.default_branch if self.repository else "",
            "sender": self.sender.login,
            "sender_is_bot": self.sender.is_bot,
        }


class OtherPayload(Payload):
    """An event that nothing reacts to; only what all have is read."""


class PingPayload(Payload):
    """`ping`: the webhook was set up."""

    event: ClassVar[str] = "ping"
    passed_over: ClassVar[frozenset[str]] = frozenset({"hook", "hook_id", "zen"})


class PushPayload(Payload):
    """`push`: a branch or tag moved, came or went."""

    event: ClassVar[str] = "push"
    passed_over: ClassVar[frozenset[str]] = frozenset(
        {"base_ref", "before", "commits", "compare", "created", "head_commit", "pusher"}
    )

    ref: Name = ""
    after: Sha = ""
    deleted: bool = False
    forced: bool = False

    @property
    def facts(self) -> Facts:
        """The branch is the base of itself."""
        gone = self.deleted or self.after == NO_COMMIT
        branch = self.ref.removeprefix(BRANCHES) if self.ref.startswith(BRANCHES) else ""
        return Facts(
            **self._common(), base_ref=branch, head_sha="" if gone else self.after, deleted=gone, forced=self.forced
        )


class DeletePayload(Payload):
    """`delete`: a branch or tag is gone. Only here GitHub gives the bare name."""

    event: ClassVar[str] = "delete"
    passed_over: ClassVar[frozenset[str]] = frozenset({"pusher_type"})

    ref: Name = ""
    ref_type: Name = ""

    @property
    def facts(self) -> Facts:
        """As of a push that removed the branch."""
        return Facts(**self._common(), base_ref=self.ref if self.ref_type == "branch" else "", deleted=True)

    def _odd_values(self) -> Iterator[tuple[str, str]]:
        yield from super()._odd_values()
        if self.ref_type not in {"branch", "tag"}:
            yield "ref_type", self.ref_type


class PullRequestPayload(Payload):
    """`pull_request`."""

    event: ClassVar[str] = "pull_request"
    passed_over: ClassVar[frozenset[str]] = frozenset(
        {
            "number",
            "label",
            "assignee",
            "before",
            "after",
            "requested_reviewer",
            "requested_team",
            "reason",
            "milestone",
        }
    )

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
    passed_over: ClassVar[frozenset[str]] = frozenset({"changes"})

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
            commenter_is_lookalike=self.comment.user.is_lookalike,
        )


class ReviewPayload(Payload):
    """`pull_request_review`: its body may hold commands."""

    event: ClassVar[str] = "pull_request_review"
    passed_over: ClassVar[frozenset[str]] = frozenset({"changes"})

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
            commenter_is_lookalike=self.review.user.is_lookalike,
        )


class MergeGroupPayload(Payload):
    """`merge_group`."""

    event: ClassVar[str] = "merge_group"

    merge_group: MergeGroup
    reason: Name = ""

    @property
    def facts(self) -> Facts:
        """The head is the queue's own merge commit."""
        group = self.merge_group
        return Facts(
            **self._common(),
            head_sha=group.head_sha,
            group_end=self.reason if self.reason in GROUP_ENDS else "",
            base_ref=group.base_ref.removeprefix(BRANCHES),
            base_sha=group.base_sha,
        )

    def _odd_values(self) -> Iterator[tuple[str, str]]:
        yield from super()._odd_values()
        if self.reason and self.reason not in GROUP_ENDS:
            yield "reason", self.reason


class RepositoryPayload(Payload):
    """`repository`."""

    event: ClassVar[str] = "repository"

    passed_over: ClassVar[frozenset[str]] = frozenset({"changes"})

    @property
    def facts(self) -> Facts:
        """What it is called now is read from the API."""
        return Facts(**self._common())


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
            occasion=_occasion("check_run", run.id, run.check_suite.updated_at),
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
        return Facts(
            **self._common(),
            **_of_pulls(suite.pull_requests),
            head_sha=suite.head_sha,
            app_id=suite.app.id,
            occasion=_occasion("check_suite", suite.id, suite.updated_at),
        )


class ProtectionRulePayload(Payload):
    """`deployment_protection_rule`: a job of a workflow waits for our rule."""

    event: ClassVar[str] = "deployment_protection_rule"
    passed_over: ClassVar[frozenset[str]] = frozenset({"event", "ref", "sha"})

    environment: Name = ""
    deployment: Deployment = Deployment()
    deployment_callback_url: Address = ""
    pull_requests: tuple[PullRequest, ...] = ()

    @property
    def facts(self) -> Facts:
        """The commit is the deployment's, whatever the branch's head is by now."""
        about = self.deployment
        of_this = tuple(pull for pull in self.pull_requests if pull.head.sha == about.sha)
        return Facts(
            **self._common(),
            pr=of_this[0].number if len(of_this) == 1 else None,
            head_sha=about.sha,
            base_ref=about.ref.removeprefix(BRANCHES),
            environment=self.environment,
            deployment_id=about.id,
            callback=self.deployment_callback_url,
        )


class InstallationPayload(Payload):
    """`installation`: who has us, and where."""

    event: ClassVar[str] = "installation"
    passed_over: ClassVar[frozenset[str]] = frozenset({"requester", "repository_selection"})

    repositories: Repositories = ()
    repositories_added: Repositories = ()
    repositories_removed: Repositories = ()

    @property
    def facts(self) -> Facts:
        """The repositories that the action is about."""
        about = (*self.repositories, *self.repositories_added, *self.repositories_removed)
        return Facts(
            **self._common(),
            account=self.installation.account.login if self.installation else "",
            repositories=tuple((each.id, each.full_name) for each in about),
        )


class InstallationRepositoriesPayload(InstallationPayload):
    """`installation_repositories`: the same with repositories that came or went."""

    event: ClassVar[str] = "installation_repositories"


class InstallationTargetPayload(Payload):
    """`installation_target`: the account is called otherwise now."""

    event: ClassVar[str] = "installation_target"
    passed_over: ClassVar[frozenset[str]] = frozenset({"changes", "target_type"})

    account: Account = Account()

    @property
    def facts(self) -> Facts:
        """The account by its new name."""
        return Facts(**self._common(), account=self.account.login)


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
            ProtectionRulePayload,
            InstallationPayload,
            InstallationRepositoriesPayload,
            InstallationTargetPayload,
            DeletePayload,
        )
    },
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


def _occasion(kind: str, number: int, updated_at: str) -> str:
    """GitHub dates a suite anew with every re-run that is asked for; an old server may not say when."""
    return f"{kind}{number}@{updated_at}" if number and updated_at else ""


def _of_pulls(pulls: tuple[PullRequest, ...]) -> dict[str, Any]:
    if len(pulls) != 1:
        return {"pr": None}
    return {"pr": pulls[0].number, "base_ref": pulls[0].base.ref}
