"""What the App asks of GitHub, why, and what stops working without it. Three sets, so that an owner can begin small.

A set holds everything of the sets before it. Adding a permission later needs the consent of everybody who installed the
App; until then the feature that wants it is missing and the others work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LEVELS = ("none", "read", "write", "admin")


class Tier(StrEnum):
    """How much of Interlock an owner wants: checks alone, commands and comments too, or deployments as well."""

    OBSERVE = "observe"
    OPERATE = "operate"
    DEPLOY = "deploy"

    def covers(self, other: Tier) -> bool:
        """Whether this set holds all of `other`."""
        order = tuple(Tier)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """One permission.

    Attributes:
        permission: GitHub's name of it in the API.
        title: GitHub's name of it on its pages.
        level: `read` or `write`.
        tier: the smallest set that asks for it.
        purpose: what it is for; completes "to …".
        without: what happens while it is missing; a clause.
        vital: whether no pull request gets its checks without it.
        names_set: whether the set that an App was registered for is known by it.
        of_organisations: only an organisation can grant it; a person's own account has none of what it is about.
    """

    permission: str
    title: str
    level: str
    tier: Tier
    purpose: str
    without: str
    vital: bool = False
    names_set: bool = True
    of_organisations: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One webhook event, the smallest set that wants it, and the permission without which GitHub refuses it."""

    event: str
    tier: Tier
    permission: str
    without: str


GRANTS = (
    Grant(
        permission="metadata",
        title="Metadata",
        level="read",
        tier=Tier.OBSERVE,
        purpose="know the repositories, and who may do what in them",
        without="nothing works",
        vital=True,
    ),
    Grant(
        permission="contents",
        title="Contents",
        level="read",
        tier=Tier.OBSERVE,
        purpose="fetch the commits that boxes test",
        without="no commit can be fetched, so nothing runs",
        vital=True,
    ),
    Grant(
        permission="pull_requests",
        title="Pull requests",
        level="read",
        tier=Tier.OBSERVE,
        purpose="see pull requests, their heads and their bases",
        without="pull requests are not seen",
        vital=True,
    ),
    Grant(
        permission="checks",
        title="Checks",
        level="write",
        tier=Tier.OBSERVE,
        purpose="report what ran and how it ended",
        without="nothing is reported, and a required check waits for ever",
        vital=True,
    ),
    Grant(
        permission="merge_queues",
        title="Merge queues",
        level="read",
        tier=Tier.OBSERVE,
        purpose="test what a merge queue is about to merge",
        without="a merge queue that requires Interlock waits until it gives up",
    ),
    Grant(
        permission="pull_requests",
        title="Pull requests",
        level="write",
        tier=Tier.OPERATE,
        purpose="keep one comment on the pull request, and answer commands",
        without="there is no comment on pull requests and no answer to commands",
    ),
    Grant(
        permission="issues",
        title="Issues",
        level="read",
        tier=Tier.OPERATE,
        purpose="hear of comments: GitHub tells only who may read issues",
        without="commands in comments are not heard",
    ),
    Grant(
        permission="deployments",
        title="Deployments",
        level="write",
        tier=Tier.DEPLOY,
        purpose="answer for its rule on GitHub's environments, and show there what was deployed",
        without="GitHub shows no deployments, and its environments do not wait for Interlock's gates",
    ),
    Grant(
        permission="actions",
        title="Actions",
        level="read",
        tier=Tier.DEPLOY,
        purpose="read how GitHub's environments are protected, and whom they require",
        without="whatever is to be deployed waits, since nobody knows who has to review it",
    ),
    Grant(
        permission="members",
        title="Members",
        level="read",
        tier=Tier.DEPLOY,
        purpose="know who is in the team whose approval counts",
        without="approvals by members of a team do not count",
        names_set=False,
        of_organisations=True,
    ),
    Grant(
        permission="issues",
        title="Issues",
        level="write",
        tier=Tier.DEPLOY,
        purpose="open an issue when a deployment was rolled back, and close it when it is mended",
        without="no issue is opened for a deployment that was rolled back",
        names_set=False,
    ),
)

OPTIONAL = (
    Grant(
        permission="contents",
        title="Contents",
        level="write",
        tier=Tier.DEPLOY,
        purpose="make a release, with its tag, of what production runs, where the configuration says `release: true`",
        without="no release is made",
    ),
)
"""No set asks for these: an owner who wants what they are for adds them to the App."""

SUBSCRIPTIONS = (
    Subscription(
        event="push",
        tier=Tier.OBSERVE,
        permission="contents",
        without="the default branch is not tested after a merge",
    ),
    Subscription(
        event="delete",
        tier=Tier.OBSERVE,
        permission="contents",
        without="runs of a branch that was removed go on to their end",
    ),
    Subscription(
        event="pull_request",
        tier=Tier.OBSERVE,
        permission="pull_requests",
        without="pull requests are only found by looking, minutes later",
    ),
    Subscription(
        event="check_run",
        tier=Tier.OBSERVE,
        permission="checks",
        without="the re-run button and our own buttons do nothing",
    ),
    Subscription(
        event="check_suite",
        tier=Tier.OBSERVE,
        permission="checks",
        without='"Re-run all checks" does nothing',
    ),
    Subscription(
        event="merge_group",
        tier=Tier.OBSERVE,
        permission="merge_queues",
        without="a merge queue that requires Interlock waits until it gives up",
    ),
    Subscription(
        event="repository",
        tier=Tier.OBSERVE,
        permission="metadata",
        without="a repository that was renamed or moved is noticed late",
    ),
    Subscription(
        event="issue_comment", tier=Tier.OPERATE, permission="issues", without="commands in comments are not heard"
    ),
    Subscription(
        event="pull_request_review",
        tier=Tier.OPERATE,
        permission="pull_requests",
        without="commands in reviews are not heard",
    ),
    Subscription(
        event="deployment_protection_rule",
        tier=Tier.DEPLOY,
        permission="deployments",
        without="deployments do not wait for Interlock's gates",
    ),
)
"""`installation`, `installation_repositories` and `ping` are not here: GitHub sends them unasked, and refuses an App
that lists them."""


def permissions(tier: Tier) -> dict[str, str]:
    """The permissions of a set, by GitHub's names, each at the highest level that the set asks for."""
    wanted: dict[str, str] = {}
    for grant in GRANTS:
        if tier.covers(grant.tier):
            wanted[grant.permission] = max(wanted.get(grant.permission, "none"), grant.level, key=LEVELS.index)
    return wanted


def events(tier: Tier) -> tuple[str, ...]:
    """The events of a set."""
    return tuple(one.event for one in SUBSCRIPTIONS if tier.covers(one.tier))


def allows(held: Mapping[str, str], grant: Grant) -> bool:
    """Whether permissions include one at its level or above; a level that nobody knows counts as none."""
    level = held.get(grant.permission, "none")
    return level in LEVELS and LEVELS.index(level) >= LEVELS.index(grant.level)


def missing(held: Mapping[str, str], tier: Tier) -> tuple[Grant, ...]:
    """What a set asks for and `held` lacks; of two levels of one permission only the lower one is told."""
    lacking: dict[str, Grant] = {}
    for grant in GRANTS:
        if tier.covers(grant.tier) and not allows(held, grant):
            lacking.setdefault(grant.permission, grant)
    return tuple(lacking.values())


def tier_of(held: Mapping[str, str]) -> Tier:
    """The set that an App was registered for, judged by the permissions that only this set asks for."""
    for tier in reversed(Tier):
        if any(grant.tier is tier and grant.names_set and allows(held, grant) for grant in GRANTS):
            return tier
    return Tier.OBSERVE
