"""Whether enough people have said yes to exactly this release. Pure.

An approval binds to commit, artifact and configuration; whoever wrote or asked for the change cannot give it unless
the configuration says so; of what one person said the last word counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.deploy.answers import Answer, Deny, Pass, Wait
from bot.domain.deploy.deployment import Approval, Deployment
from bot.domain.deploy.environment import ApprovalsGate
from bot.domain.text import one_line

ROLES = ("read", "triage", "write", "maintain", "admin")
"""GitHub's, each with the rights of those before it."""


@dataclass(frozen=True, slots=True)
class Voided:
    """An approval that does not bind to a deployment any more, and why, naming what it was given for."""

    approval: Approval
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """What people said that counts. `others` says of each vote that does not why not, as a sentence."""

    approved: tuple[Approval, ...] = ()
    rejected: tuple[Approval, ...] = ()
    others: tuple[str, ...] = ()


def count(
    approvals: Iterable[Approval],
    deployment: Deployment,
    spec: ApprovalsGate,
    *,
    now: datetime,
    authors: Iterable[str] = (),
) -> Answer:
    """Whether there are enough.

    Args:
        approvals: of this environment, with `as_who` as it was read just now.
        deployment: what they must have been given for.
        spec: how many, of whom.
        now: aware.
        authors: logins of everybody who wrote a commit of the change, beside the deployment's author.
    """
    counted = votes(approvals, deployment, spec, now=now, authors=authors)
    commit, line = deployment.short, f"/approve {deployment.environment}"
    if counted.rejected:
        no = counted.rejected[-1]
        because = f": {one_line(no.because)}" if no.because else ""
        return Deny(f"@{no.by} rejected {commit}{because}", way_out="a new `/deploy` asks again")
    by = ", ".join(f"@{yes.by}" for yes in counted.approved)
    if len(counted.approved) >= spec.count:
        return Pass(f"approved by {by}" if by else "nobody has to approve")
    so_far = f"{len(counted.approved)} of {spec.count} approvals for {commit}" + (f", by {by}" if by else "")
    return Wait("; ".join((so_far, *counted.others)), way_out=f"{whom(spec)} can comment `{line}`")


def votes(
    approvals: Iterable[Approval],
    deployment: Deployment,
    spec: ApprovalsGate,
    *,
    now: datetime,
    authors: Iterable[str] = (),
) -> Votes:
    """Each person's last word, sorted into what counts and what does not; the arguments are those of `count`."""
    excluded = _excluded(deployment, spec, authors)
    last: dict[str, Approval] = {}
    for approval in sorted(approvals, key=lambda one: (one.given_at, one.id)):
        if not approval.void_because and (approval.repo_id, approval.environment) == (
            deployment.repo_id,
            deployment.environment,
        ):
            last[approval.by.casefold()] = approval
    approved, rejected, others = [], [], []
    for login, approval in last.items():
        if (why := _unbound(approval, deployment)) or (why := _not_entitled(approval, spec)):
            others.append(why)
        elif not approval.approves:
            rejected.append(approval)  # also of somebody who may not approve the own change: it only stops.
        elif login in excluded:
            others.append(f"@{approval.by} {excluded[login]}, so that approval does not count")
        elif approval.given_at + timedelta(seconds=spec.expires) <= now:
            others.append(f"the approval by @{approval.by} has expired")
        else:
            approved.append(approval)
    return Votes(approved=tuple(approved), rejected=tuple(rejected), others=tuple(others))


def void(approvals: Iterable[Approval], deployment: Deployment) -> tuple[Voided, ...]:
    """Those that still stand but were given for something else than this deployment of their environment."""
    return tuple(
        Voided(approval, why)
        for approval in approvals
        if (approval.repo_id, approval.environment) == (deployment.repo_id, deployment.environment)
        and not approval.void_because
        and (why := _unbound(approval, deployment))
    )


def entitled(as_who: Iterable[str], by: str, sources: Iterable[str]) -> bool:
    """Whether somebody is one of those who may: by name, by team, or by a role that holds the one asked for."""
    mine, wanted = {who.casefold() for who in as_who}, {source.casefold() for source in sources}
    if f"user:{by.casefold()}" in wanted or mine & wanted:
        return True
    return any(_covers(have, want) for have in mine for want in wanted)


def whom(spec: ApprovalsGate) -> str:
    """Who may, in words: `a member of team release, or @ada`."""
    return " or ".join(_in_words(source) for source in spec.sources) or "nobody"


def _excluded(deployment: Deployment, spec: ApprovalsGate, authors: Iterable[str]) -> dict[str, str]:
    excluded: dict[str, str] = {}
    if "requester" in spec.excluding and deployment.requested_by:
        excluded[deployment.requested_by.casefold()] = "asked for it"
    if "author" in spec.excluding:
        excluded |= {login.casefold(): "wrote it" for login in (*authors, deployment.author) if login}
    return excluded


def _unbound(approval: Approval, deployment: Deployment) -> str:
    """Why an approval is not one of this release; "" when it is."""
    for what, given, wanted in (
        ("commit", approval.sha, deployment.sha),
        ("artifact", approval.artifact, deployment.artifact),
        ("configuration", approval.config, deployment.config),
    ):
        if given != wanted:
            theirs, ours = _told_apart(given, wanted)
            return f"@{approval.by} spoke of {what} {theirs}, and this is {what} {ours}"
    return ""


def _told_apart(one: str, other: str) -> tuple[str, str]:
    """Both digests, shortened as far as they still differ."""
    for digits in (7, 12, 20):
        if (first := _short(one, digits)) != (second := _short(other, digits)):
            return first, second
    return one, other


def _short(digest: str, digits: int) -> str:
    """`cafe123`, or `tree:cafe123` of a digest that says of what kind it is."""
    kind, colon, rest = digest.rpartition(":")
    return f"{kind}{colon}{rest[:digits]}" if rest else "(none)"


def _not_entitled(approval: Approval, spec: ApprovalsGate) -> str:
    if entitled(approval.as_who, approval.by, spec.sources):
        return ""
    return f"@{approval.by} is none of those who may"


def _covers(have: str, want: str) -> bool:
    kind, _, role = have.partition(":")
    wanted_kind, _, wanted = want.partition(":")
    if (kind, wanted_kind) != ("role", "role") or role not in ROLES or wanted not in ROLES:
        return False
    return ROLES.index(role) >= ROLES.index(wanted)


def _in_words(source: str) -> str:
    kind, _, name = source.partition(":")
    match kind:
        case "team":
            return f"a member of team {name}"
        case "user":
            return f"@{name}"
        case _:
            return f"somebody with {name} permission"
