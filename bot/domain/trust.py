"""Who may have code run here: from facts about an event to a trust level, or a sentence that says who can help.

What is untrusted does not run in this version, and what did not run is never green: the caller concludes
`action_required` with the sentences of `Untrusted`. See docs/explanation/trust.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

WRITERS = frozenset({"write", "maintain", "admin"})
"""GitHub's permissions that let someone push to the repository."""


class TrustLevel(StrEnum):
    """How far the code of a subject is trusted; decides sandbox, network and secrets."""

    T0 = "T0"
    T1 = "T1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFacts:
    """What GitHub's API says about the author of a change, read when the decision is taken.

    Attributes:
        event: what brought the change.
        author: login of the pull request's author, or of the one who pushed.
        author_permission: `admin maintain write triage read none`, of the author in this repository. Any other word,
            such as a custom role that was not resolved to its base, counts as no permission.
        author_is_bot: whether GitHub says that the author is an app. GitHub answers no useful permission for one.
        bot_is_listed: whether the default branch's configuration lists that app by its id.
        is_fork: whether the head lives in another repository (a deleted one counts as another).
        to_default_branch: for a push, whether it went to the default branch.
    """

    event: Literal["pull_request", "push"]
    author: str
    author_permission: str = "none"
    author_is_bot: bool = False
    bot_is_listed: bool = False
    is_fork: bool = False
    to_default_branch: bool = False


@dataclass(frozen=True, slots=True)
class Trusted:
    """The boxes may run, with what `level` allows."""

    level: TrustLevel


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Nothing runs. Both fields are sentences without a full stop, for the check's text."""

    because: str
    who_can: str


WRITER_PUSHES = (
    "someone with write permission can push the commits to a branch of this repository and open it from there"
)
WRITER_REOPENS = "someone with write permission can open a pull request from this branch"
LIST_THE_BOT = (
    "a maintainer can list the app under `trust: {bots: [id]}` in `.github/interlock.yml` on the default branch"
)


def decide_trust(facts: TrustFacts) -> Trusted | Untrusted:
    """Decide whether the boxes of this change may run, and with what trust.

    A push is judged by where it went, since GitHub has let it through; a pull request by where its head lives and by
    the *current* permission of its author. `author_association` is never a fact: GitHub shows it, it grants nothing.
    """
    if facts.event == "push":
        if facts.to_default_branch:
            return Trusted(TrustLevel.T0)
        return Untrusted(
            "a push runs boxes only on the default branch", "anyone can open a pull request for this branch"
        )
    return _pull_request(facts)


def _pull_request(facts: TrustFacts) -> Trusted | Untrusted:
    if facts.is_fork:
        return Untrusted("the pull request comes from a fork, and boxes of forks do not run yet", WRITER_PUSHES)
    if facts.author_is_bot:
        if facts.bot_is_listed:
            return Trusted(TrustLevel.T1)
        return Untrusted("its author is an app that this repository has not listed", LIST_THE_BOT)
    if facts.author_permission in WRITERS:
        return Trusted(TrustLevel.T1)
    return Untrusted("its author has no write permission here", WRITER_REOPENS)
