"""What a release has shown elsewhere, and here: order of environments, soaking, quarantine. Pure.

A release is the same elsewhere when commit and artifact are: every environment has a configuration of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from bot.domain.deploy.answers import Answer, Deny, Pass, Wait
from bot.domain.deploy.gate_facts import Unknown
from bot.domain.deploy.locking import age
from bot.domain.deploy.release import Known, Release, Standing
from bot.domain.freeze import moment
from bot.domain.text import one_line

Standings = tuple[Known, ...] | Unknown | None
"""All releases of an environment that stand somehow; None is unknown too."""


def after(known: Standings, release: Release, environment: str) -> Answer:
    """Whether the release is good in another environment; its newest deployment there decides."""
    match _there(known, release, environment):
        case Known(standing=Standing.GOOD, at=at):
            return Pass(f"{release.short} is good in {environment} since {moment(at)}")
        case Known(standing=Standing.BAD, because=because):
            return Deny(f"{release.short} is bad in {environment}{_why(because)}", way_out="a commit that mends it")
        case Known():
            return Wait(f"{release.short} is in {environment}, and not known to be good", way_out="its watch says so")
        case Wait() as wait:
            return wait


def soaked(known: Standings, release: Release, environment: str, *, seconds: float, now: datetime) -> Answer:
    """Whether the release has been live and good in another environment for so long."""
    good = after(known, release, environment)
    there = _there(known, release, environment)
    if not isinstance(good, Pass) or isinstance(there, Wait):
        return good
    if there.live_since is None:
        return Wait(f"nobody has seen {release.short} in {environment}", way_out=_deploy_there(environment))
    wanted = timedelta(seconds=seconds)
    assert isinstance(known, tuple)  # it is known, or `after` would not have passed.
    replaced = _replaced(known, there)
    live = (replaced.live_since if replaced and replaced.live_since else now) - there.live_since
    if live >= wanted:
        return Pass(f"{release.short} was well in {environment} for {age(live)}")
    if replaced is not None:
        return Wait(
            f"{release.short} was live in {environment} for {age(live)} of {age(wanted)} before "
            f"{replaced.release.short} took its place",
            way_out=_deploy_there(environment),
        )
    return Wait(
        f"{release.short} has been well in {environment} for {age(live)} of {age(wanted)}",
        way_out=f"it passes by itself {moment(there.live_since + wanted)}",
    )


def not_quarantined(known: Standings, release: Release, environment: str) -> Answer:
    """Whether the artifact was never shown to be bad in an environment: nothing else makes it good again."""
    if not isinstance(known, tuple):
        return _unknown(known, environment)
    for one in known:
        if one.standing is Standing.BAD and one.release.artifact == release.artifact:
            return Deny(
                f"{one.release.short} was shown to be bad in {environment} by deployment {one.deployment}"
                f"{_why(one.because)}",
                way_out="a commit that mends it: the same artifact is not deployed there again",
            )
    return Pass(f"nothing is known against {release.short}")


def _there(known: Standings, release: Release, environment: str) -> Known | Wait:
    """How the release stands elsewhere, by what was learnt last; else why that is not known."""
    if not isinstance(known, tuple):
        return _unknown(known, environment)
    same = [one for one in known if (one.release.sha, one.release.artifact) == (release.sha, release.artifact)]
    if not same:
        return Wait(f"{release.short} was not deployed to {environment}", way_out=_deploy_there(environment))
    return max(same, key=lambda one: one.at)


def _replaced(known: Iterable[Known], there: Known) -> Known | None:
    """What went live after it, first."""
    since = there.live_since
    later = [one for one in known if since and one.live_since and one.live_since > since]
    return min(later, key=lambda one: one.live_since or one.at, default=None)


def _unknown(known: Unknown | None, environment: str) -> Wait:
    if known is None:
        return Wait(f"nobody said what is known of {environment}", way_out="it is asked again within a minute")
    return Wait(known.because, way_out=known.way_out)


def _deploy_there(environment: str) -> str:
    return f"deploy it there: `/deploy {environment}`"


def _why(because: str) -> str:
    return f": {one_line(because)}" if because else ""
