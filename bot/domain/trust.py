"""Who may have code run here: from facts about an event to a trust level, or a sentence that says who can help.

What is untrusted does not run, and what did not run is never green: the caller concludes `action_required` with the
sentences of `Untrusted`. See docs/explanation/trust.md.
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
    T2 = "T2"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustFacts:
    """What GitHub's API says about a change and its author, read when the decision is taken.

    Attributes:
        event: what brought the change.
        author: login of the pull request's author, or of the one who pushed.
        author_permission: `admin maintain write triage read none`, of the author in this repository. Any other word,
            such as a custom role that was not resolved to its base, counts as no permission.
        author_is_bot: whether GitHub says that the author is an app. GitHub answers no useful permission for one.
        bot_is_listed: whether the default branch's configuration lists that app by its id.
        is_fork: whether the head lives in another repository (a deleted one counts as another).
        is_protected: for a push, whether the default branch or one that its configuration lists has the commit; for a
            merge group, whether it is one of the queue's own branches that GitHub has at this commit.
        head_sha: of the pull request.
        is_permitted: whether somebody with write permission has let exactly this head run.
        withdrawn: why a permit for exactly this head counts no longer, in words; "" when there was none.
    """

    event: Literal["pull_request", "push", "merge_group"]
    author: str
    author_permission: str = "none"
    author_is_bot: bool = False
    bot_is_listed: bool = False
    is_fork: bool = False
    is_protected: bool = False
    head_sha: str = ""
    is_permitted: bool = False
    withdrawn: str = ""


@dataclass(frozen=True, slots=True)
class Trusted:
    """The boxes may run, with what `level` allows."""

    level: TrustLevel


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Nothing runs.

    Attributes:
        because: a sentence without a full stop, for the check's text.
        who_can: another one, about what helps.
        line: the comment that helps, ready to copy; "" where none does.
    """

    because: str
    who_can: str
    line: str = ""


WRITER_PERMITS = "someone with write permission reads the change and comments this line, for this commit alone"
LIST_THE_BOT = (
    "a maintainer can list the app under `trust: {bots: [id]}` in `.github/interlock.yml` on the default branch; or "
)


def permit_line(sha: str) -> str:
    """The comment that lets a commit run."""
    return f"/ok-to-test {sha}"


def decide_trust(facts: TrustFacts) -> Trusted | Untrusted:
    """Decide whether the boxes of this change may run, and with what trust.

    A push is judged by where it went, since GitHub has let it through; a pull request by where its head lives and by
    the *current* permission of its author. Neither `author_association`, nor what a login looks like, nor anything that
    a commit says of itself is a fact: its author chose that.
    """
    match facts.event:
        case "push":
            if facts.is_protected:
                return Trusted(TrustLevel.T0)
            return Untrusted(
                "a push runs boxes only on the default branch and on those that its configuration lists as protected",
                "anyone can open a pull request for this branch",
            )
        case "merge_group":
            if facts.is_protected:
                return Trusted(TrustLevel.T0)
            return Untrusted("it is not what the merge queue proposes now", "the queue asks again for what it proposes")
        case "pull_request":
            return _pull_request(facts)


def _pull_request(facts: TrustFacts) -> Trusted | Untrusted:
    stranger = _stranger(facts)
    if not stranger:
        return Trusted(TrustLevel.T1)
    if facts.is_permitted:
        return Trusted(TrustLevel.T2)
    because = f"{stranger}, and {facts.withdrawn}" if facts.withdrawn else stranger
    listing = LIST_THE_BOT if facts.author_is_bot and not facts.is_fork else ""
    return Untrusted(because, listing + WRITER_PERMITS, permit_line(facts.head_sha))


def _stranger(facts: TrustFacts) -> str:
    """Why nobody with write permission stands for this head by having opened the pull request; "" when one does."""
    if facts.is_fork:
        return "the pull request comes from a fork"
    if facts.author_is_bot:
        return "" if facts.bot_is_listed else "its author is an app that this repository has not listed"
    return "" if facts.author_permission in WRITERS else "its author has no write permission here"
