"""One attempt to put a release into an environment, as the database knows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bot.domain.deploy.plan import Kind
from bot.domain.deploy.states import State

Cause = Literal["command", "push", "api"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A deployment.

    Attributes:
        id: unique; also begins the ids of its flows, and names its directory.
        number: what people see.
        kind: `deploy` or `rollback`.
        state: where it is.
        sha: the commit that was asked for.
        typed: how the commit was written by whoever asked, "" when they named none.
        ref: the branch that it is of, "" for a pull request's head.
        artifact: digest of what is deployed, once it is known.
        config: digest of the environment's configuration when it was asked for.
        config_sha: the commit of the default branch at which that configuration was read.
        release_id: of the release.
        pr: the pull request that it was asked for on, or that brought the commit; None for neither.
        author: login of who wrote the change.
        requested_by: login of who asked, "" for Interlock itself.
        cause: what made it.
        because: why it is where it is, a sentence; "" before it has moved.
        gates: the gates' last answers, as JSON.
        plan_hash: of the plan that was carried out; or, from a dry run, that must be.
        break_glass: why it must go out although the environment is frozen; "" when nobody said so.
        token: fencing token of its lease, 0 before it had one.
        github_id: number of GitHub's Deployment, 0 before it was told.
        told: how many of its states GitHub was told.
    """

    id: str
    number: int
    repo_id: int
    repo: str
    installation_id: int
    environment: str
    kind: Kind
    state: State
    sha: str
    typed: str = ""
    ref: str = ""
    artifact: str = ""
    config: str = ""
    config_sha: str = ""
    release_id: str = ""
    pr: int | None = None
    author: str = ""
    requested_by: str = ""
    cause: Cause = "command"
    because: str = ""
    gates: str = ""
    plan_hash: str = ""
    break_glass: str = ""
    token: int = 0
    github_id: int = 0
    told: int = 0
    created_at: datetime
    changed_at: datetime
    expires_at: datetime
    finished_at: datetime | None = None

    @property
    def short(self) -> str:
        """The commit as people quote it."""
        return self.sha[:7]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Somebody's yes or no to one release in one environment; it binds to all three digests.

    Attributes:
        id: of the command that gave it.
        deployment: id of the deployment that it was given on.
        as_who: the sources that let this person approve, as they were read: `team:release`, `role:maintain`, … .
        approves: whether it is a yes.
        break_glass: whether it is also a yes to passing a freeze.
        void_because: why it does not count any more; "" while it does.
    """

    id: str
    repo_id: int
    environment: str
    deployment: str
    sha: str
    artifact: str
    config: str
    by: str
    as_who: tuple[str, ...] = ()
    approves: bool = True
    break_glass: bool = False
    because: str = ""
    comment_id: int = 0
    given_at: datetime
    void_because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """Who keeps others out of an environment. `pr` None: a person's, whatever the pull request."""

    repo_id: int
    environment: str
    by: str
    pr: int | None
    because: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A claim that expires unless it is renewed; `token` grows with every new holder."""

    key: str
    holder: str
    token: int
    expires_at: datetime
