"""Who may deploy while somebody holds an environment, and whose turn it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.deploy.answers import Answer, Pass, Wait
from bot.domain.deploy.deployment import Deployment, Lock
from bot.domain.deploy.environment import LockRule
from bot.domain.deploy.states import FINAL, WAITING
from bot.domain.freeze import moment
from bot.domain.text import one_line

LEASE_SECONDS = 15.0
"""How long a lease holds unless it is renewed: so long a dead holder keeps others out."""

RENEW_SECONDS = 5.0
"""How often its holder renews it: two renewals may fail."""


def lease_key(repo_id: int, environment: str) -> str:
    """What one deployment at a time holds."""
    return f"deploy:{repo_id}:{environment}"


def may_deploy(lock: Lock | None, deployment: Deployment, rule: LockRule, *, now: datetime) -> Answer:
    """Whether a lock lets a deployment pass.

    With the scope `pull_request` a lock that was taken on a pull request lets only that one in, whoever asks; a lock
    that was taken elsewhere, or with the scope `user`, lets in whoever took it.
    """
    if lock is None or lock.until <= now:
        return Pass("nobody holds a lock")
    if rule.scope == "pull_request" and lock.pr is not None:
        if lock.pr == deployment.pr:
            return Pass(f"locked for #{lock.pr}, which this is of")
    elif lock.by and lock.by.casefold() == deployment.requested_by.casefold():
        return Pass(f"locked by @{lock.by}, who asked for this")
    return Wait(held_by(lock), way_out=_who_unlocks(lock))


def held_by(lock: Lock) -> str:
    """`locked by @mona for #1 until 2026-12-24 17:00 UTC: why`."""
    by = f" by @{lock.by}" if lock.by else ""
    pull = f" for #{lock.pr}" if lock.pr is not None else ""
    because = f": {one_line(lock.because)}" if lock.because else ""
    return f"locked{by}{pull} until {moment(lock.until)}{because}"


@dataclass(frozen=True, slots=True)
class Superseded:
    """A waiting deployment that a newer one has taken the place of, and the sentence that it ends with."""

    deployment: Deployment
    by: Deployment
    because: str


def newest_wins(waiting: Iterable[Deployment]) -> tuple[Deployment | None, tuple[Superseded, ...]]:
    """Of the deployments of one environment that wait at their gates: the one that goes on, and those that do not.

    A way back is never overtaken by a way forward.
    """
    queue = sorted((one for one in waiting if one.state in WAITING), key=_turn)
    if not queue:
        return None, ()
    newest = queue[-1]
    said = f"deployment {newest.number}{_of_pull(newest)} of {newest.short}, which was asked for later, takes its place"
    return newest, tuple(Superseded(one, newest, said) for one in queue[:-1])


def turn(deployment: Deployment, others: Iterable[Deployment], *, now: datetime) -> Answer:
    """Whether an environment is free for a deployment; else who is there, since when, and its own place.

    Args:
        deployment: that waits.
        others: every deployment of the environment that has not ended.
        now: aware.
    """
    others = tuple(one for one in others if one.id != deployment.id and one.state not in FINAL)
    under_way = min((one for one in others if one.state not in WAITING), key=lambda one: one.number, default=None)
    if under_way is None:
        return Pass("no other deployment is under way")
    before = [one for one in others if one.state in WAITING and _turn(one) > _turn(deployment)]
    by = f" by @{under_way.requested_by}" if under_way.requested_by else ""
    return Wait(
        f"deployment {under_way.number}{_of_pull(under_way)}{by} is {under_way.state.replace('_', ' ')}, "
        f"for {age(now - under_way.created_at)}; place {len(before) + 1} in the queue",
        way_out="it begins when that one has ended",
    )


def age(passed: timedelta) -> str:
    """`40 s`, `12 min`, `3 h`, `2 d`: as exact as somebody wants to know who waits."""
    seconds = max(0, int(passed.total_seconds()))
    for unit, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _turn(deployment: Deployment) -> tuple[bool, int]:
    return deployment.kind == "rollback", deployment.number


def _of_pull(deployment: Deployment) -> str:
    return f" of #{deployment.pr}" if deployment.pr is not None else ""


def _who_unlocks(lock: Lock) -> str:
    holder = f"@{lock.by} or a maintainer" if lock.by else "a maintainer"
    return f"{holder} can comment `/unlock {lock.environment}`; it ends by itself {moment(lock.until)}"
