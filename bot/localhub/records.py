"""What the hub remembers: frozen rows of plain JSON values, so that storing one is `asdict` and loading one is a call.

Timestamps are text in GitHub's own format. A row never changes: `Table.change` puts a new one in its place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

ROLES = ("none", "read", "triage", "write", "maintain", "admin")
"""Repository roles, weakest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account: `type` is `User`, `Organization` or `Bot` (an App's own)."""

    id: int
    login: str
    type: str
    created_at: str
    site_admin: bool = False

    @property
    def email(self) -> str:
        """The address that ties a commit to this account."""
        return f"{self.id}+{self.login}@users.noreply.github.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """A GitHub App; `public_key` (PEM) judges its JWTs. `webhook_url` "" means: no deliveries."""

    id: int
    slug: str
    name: str
    owner: str
    client_id: str
    public_key: str
    webhook_secret: str
    webhook_url: str
    hook_id: int
    permissions: dict[str, str]
    events: list[str]
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """An App on an account. With `repository_selection` "all", `repository_ids` is not looked at."""

    id: int
    app_id: int
    account: str
    repository_selection: str
    repository_ids: list[int]
    permissions: dict[str, str]
    events: list[str]
    created_at: str
    suspended_at: str | None = None
    suspended_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A secret that speaks for a user, or for an installation until `expires_at`; the secret is its key."""

    id: str
    login: str = ""
    installation_id: int = 0
    permissions: dict[str, str] = field(default_factory=dict)
    repository_ids: list[int] | None = None
    expires_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A new App's key, kept until somebody exchanges the code (its key here) for it."""

    id: str
    app_id: int
    private_key: str
    expires_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository; its commits live in a bare git directory named after `id`."""

    id: int
    owner: str
    name: str
    private: bool
    default_branch: str
    collaborators: dict[str, str]
    created_at: str
    pushed_at: str
    description: str = ""
    parent_id: int = 0
    archived: bool = False
    old_names: list[str] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue; `number` is unique among issues and pull requests of a repository."""

    id: int
    repository_id: int
    number: int
    title: str
    body: str | None
    author: str
    created_at: str
    updated_at: str
    state: str = "open"
    closed_at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest(Issue):
    """An issue with a branch: `head_sha` follows the head branch, `base_sha` is read when the head moves."""

    issue_id: int
    head_repository_id: int
    head_ref: str
    head_sha: str
    base_ref: str
    base_sha: str
    draft: bool = False
    maintainer_can_modify: bool = False
    merged_at: str | None = None
    merged_by: str = ""
    merge_commit_sha: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeGroup:
    """A pull request in a merge queue: `head_sha` is it, merged onto `base_sha`, on a branch of the queue's own.

    `state` is `open`, or why it left the queue: `merged`, `invalidated`, `dequeued`. `required` are the names of the
    checks that decide.
    """

    id: int
    repository_id: int
    number: int
    base_ref: str
    base_sha: str
    head_ref: str
    head_sha: str
    by: str
    required: list[str]
    state: str = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment on an issue or pull request; `app_id` is the App it was written through, or 0."""

    id: int
    repository_id: int
    number: int
    author: str
    body: str
    created_at: str
    updated_at: str
    app_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """A reaction to the comment or issue with the id `subject_id` (`subject` says which of both)."""

    id: int
    subject: str
    subject_id: int
    login: str
    content: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSuite:
    """An App's checks for one commit."""

    id: int
    repository_id: int
    app_id: int
    head_sha: str
    head_branch: str | None
    before: str | None
    after: str | None
    created_at: str
    updated_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """One row of a check suite, with everything that was reported to it."""

    id: int
    suite_id: int
    repository_id: int
    head_sha: str
    name: str
    status: str
    conclusion: str | None
    started_at: str | None
    completed_at: str | None
    external_id: str = ""
    details_url: str = ""
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[Json] = field(default_factory=list)
    actions: list[Json] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A commit status; the newest of a context counts."""

    id: int
    repository_id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    creator: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A team of an organization; `slug` is unique in it."""

    id: int
    organization: str
    slug: str
    members: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where something is deployed, and what protects it.

    `reviewers` are logins and `organization/team`; `wait_timer` is in minutes; `branch_policy` is "", `protected` or
    `custom`; `custom_rules` are the Apps that are asked.
    """

    id: int
    repository_id: int
    name: str
    created_at: str
    reviewers: list[str] = field(default_factory=list)
    prevent_self_review: bool = False
    wait_timer: int = 0
    branch_policy: str = ""
    custom_rules: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Somebody deploys a commit; what became of it are its statuses. `app_id` is the App that said so, or 0."""

    id: int
    repository_id: int
    sha: str
    ref: str
    task: str
    environment: str
    description: str | None
    payload: Any
    production: bool
    transient: bool
    creator: str
    created_at: str
    updated_at: str
    app_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatus:
    """What somebody said about a deployment; the newest counts."""

    id: int
    deployment_id: int
    repository_id: int
    state: str
    description: str
    environment: str
    environment_url: str
    log_url: str
    creator: str
    created_at: str
    app_id: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowRun:
    """A run of a workflow, as far as a job of it that waits for an environment needs one."""

    id: int
    repository_id: int
    name: str
    number: int
    event: str
    head_branch: str
    head_sha: str
    by: str
    created_at: str
    status: str = "in_progress"
    conclusion: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDeployment:
    """A job of a workflow run that wants to go into an environment, and who has said what about that.

    `rules` holds each custom rule's App (its id as text) with its answer, "" while it waits; `review` is what a
    reviewer said. `state` is `waiting`, `approved`, `rejected` or `expired`.
    """

    id: int
    repository_id: int
    run_id: int
    environment_id: int
    deployment_id: int
    asked_at: str
    due_at: str
    rules: dict[str, str] = field(default_factory=dict)
    comments: list[Json] = field(default_factory=list)
    review: str = ""
    reviewed_by: str = ""
    state: str = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release: a tag with a text."""

    id: int
    repository_id: int
    tag: str
    target: str
    name: str | None
    body: str | None
    draft: bool
    prerelease: bool
    author: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt to deliver one webhook. `guid` is shared by the attempts at one event."""

    id: int
    app_id: int
    guid: str
    event: str
    action: str | None
    installation_id: int | None
    repository_id: int | None
    redelivery: bool
    url: str
    request_headers: dict[str, str]
    payload: str
    delivered_at: str
    duration: float = 0.0
    status: str = ""
    status_code: int = 0
    response_headers: dict[str, str] = field(default_factory=dict)
    response_payload: str = ""
