"""What GitHub's payloads are made of, as far as we read it: few fields, all forgiving but in their shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

# What goes on to databases, addresses and git has the shape that GitHub gives it, or is not read at all.
Number = Annotated[int, Field(ge=0, lt=2**63)]
PullNumber = Annotated[int, Field(ge=1, lt=2**31)]
Name = Annotated[str, Field(max_length=300)]
FullName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")]
Sha = Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})?$")]
Address = Annotated[str, Field(max_length=2_000)]
Text = Annotated[str, Field(max_length=4 * 65_536)]
"""A comment; GitHub takes 65 536 characters."""


class Lenient(BaseModel):
    """Unknown fields are dropped, and a null counts as absent."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nulls_are_absent(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: item for name, item in value.items() if item is not None}
        return value


class Account(Lenient):
    """A user, an organisation or an app."""

    login: Name = ""
    id: Number = 0
    type: Name = "User"

    @property
    def is_bot(self) -> bool:
        """GitHub says so by the type, and keeps the suffix for apps."""
        return self.type == "Bot" or self.login.endswith("[bot]")

    @property
    def is_lookalike(self) -> bool:
        """It has the suffix that GitHub keeps for apps, and is none."""
        return self.type != "Bot" and self.login.endswith("[bot]")


class Repository(Lenient):
    """The repository that a delivery is about."""

    id: Number
    full_name: FullName
    default_branch: Name = ""


class Installation(Lenient):
    """The app on an account."""

    id: Number
    app_id: Number = 0
    account: Account = Account()


class Commitish(Lenient):
    """A pull request's head or base. `repo` is absent when the fork was deleted."""

    ref: Name = ""
    sha: Sha = ""


class PullRequest(Lenient):
    """A pull request, whole or as a check run lists it."""

    number: PullNumber
    head: Commitish = Commitish()
    base: Commitish = Commitish()


class App(Lenient):
    """Whose check it is."""

    id: Number = 0


class Suite(Lenient):
    """A check suite."""

    id: Number = 0
    updated_at: Name = ""
    head_sha: Sha = ""
    app: App = App()
    pull_requests: tuple[PullRequest, ...] = ()


class CheckRun(Lenient):
    """A check run."""

    id: Number = 0
    name: Name = ""
    head_sha: Sha = ""
    external_id: Name = ""
    app: App = App()
    pull_requests: tuple[PullRequest, ...] = ()
    check_suite: Suite = Suite()


class IssueComment(Lenient):
    """A comment."""

    id: Number
    body: Text = ""
    user: Account = Account()


class Review(Lenient):
    """A review of a pull request."""

    id: Number
    body: Text = ""
    user: Account = Account()


class MergeGroup(Lenient):
    """Pull requests on their way into a branch, merged in the order of the queue. The refs are whole."""

    head_sha: Sha = ""
    head_ref: Name = ""
    base_sha: Sha = ""
    base_ref: Name = ""


class Deployment(Lenient):
    """What a job of a workflow deploys. GitHub gives the branch without `refs/heads/`, or a tag."""

    id: Number = 0
    sha: Sha = ""
    ref: Name = ""


class RequestedAction(Lenient):
    """The button that was pressed."""

    identifier: Name = ""


class Issue(Lenient):
    """An issue; it is a pull request when it has that key."""

    number: PullNumber
    pull_request: Mapping[str, Any] | None = None
