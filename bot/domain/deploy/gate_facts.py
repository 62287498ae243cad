"""What the gates want to know of a deployment. What nobody could find out is `Unknown`, and never passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.domain.deploy.deployment import Approval, Deployment, Lock
from bot.domain.deploy.environment import Environment
from bot.domain.deploy.release import Known, Release
from bot.domain.freeze import Freeze


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody could say. `because` completes the gate's answer (`GitHub did not say who reviews production`)."""

    because: str
    way_out: str = "it is asked again within a minute"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullRequest:
    """The pull request that a deployment was asked for on. `head` is its head now, all 40 digits."""

    number: int
    head: str
    is_fork: bool
    is_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the commit comes from.

    Attributes:
        default_branch: its name.
        branches: of the default branch and those that the environment lists, the ones that hold the commit.
        pull: None when it was not asked for on a pull request.
        typed: the commit as the person typed it, "" for none.
    """

    default_branch: str
    branches: frozenset[str] | Unknown
    pull: PullRequest | Unknown | None = None
    typed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """What is known of the boxes of one selection on one commit.

    Attributes:
        sha: the commit that they ran on.
        total: how many are selected.
        not_green: `21 Adds is failed`, for each that has a verdict which is not green; quarantined ones do not gate.
        open: how many have no verdict yet.
        evidence: where to look; "" for nowhere.
    """

    sha: str
    total: int
    not_green: tuple[str, ...] = ()
    open: int = 0
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewers:
    """Whom GitHub's environment requires. `sources` are `user:<login>` and `team:<slug>`; one of them is enough."""

    sources: tuple[str, ...] = ()
    prevent_self_review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlass:
    """Somebody wants to deploy through a freeze.

    Attributes:
        by: login of who does.
        because: why; without it, it does not count.
        second: login of who confirmed it, another person who may approve; "" as long as nobody has.
    """

    by: str
    because: str
    second: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """Everything that the gates look at.

    Attributes:
        deployment: that waits.
        environment: as the default branch has it now.
        release: what is to go live.
        origin: where its commit comes from.
        boxes: by the gate's selection; one that is missing is unknown.
        standings: by environment, of every one that a gate names and of this one; one that is missing is unknown.
        approvals: given for this environment on any commit, `as_who` as it was read just now.
        authors: logins of who wrote the commits of the change.
        reviewers: of GitHub's environment; none when it has none, or GitHub has no such environment.
        freezes: of the repository, by `/freeze`.
        branch: that the commit goes into, for these.
        glass: whether somebody breaks the glass.
        lock: on the environment.
        others: the environment's other deployments that have not ended.
        schema_version: of its database; None when the release names no versions, or nothing says which it has.
    """

    deployment: Deployment
    environment: Environment
    release: Release
    origin: Origin
    boxes: Mapping[str, Boxes | Unknown] = field(default_factory=dict)
    standings: Mapping[str, tuple[Known, ...] | Unknown] = field(default_factory=dict)
    approvals: tuple[Approval, ...] | Unknown = ()
    authors: tuple[str, ...] | Unknown = ()
    reviewers: Reviewers | Unknown = field(default_factory=Reviewers)
    freezes: tuple[Freeze, ...] | Unknown = ()
    branch: str = ""
    glass: BreakGlass | None = None
    lock: Lock | Unknown | None = None
    others: tuple[Deployment, ...] | Unknown = ()
    schema_version: int | Unknown | None = None
