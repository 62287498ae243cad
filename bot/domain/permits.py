"""May this person let this commit of a stranger run, now? Facts in, an answer with its sentence out.

A permit names one commit in full: whoever gives it has read that commit, and a shorter name could come to mean another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bot.domain.text import code
from bot.domain.trust import WRITERS, permit_line

_SHA = re.compile(r"[0-9a-f]{40}")
_PREFIX = re.compile(r"[0-9a-f]{4,39}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PermitFacts:
    """What is known when somebody asks; all but `asked` is what GitHub's API says at this moment.

    Attributes:
        asked: the commit as it was written.
        pr: number of the pull request that the comment is on.
        head_sha: its head.
        is_open: whether it is open.
        actor: who wrote the comment.
        actor_permission: theirs in this repository; unknown words count as none.
        is_as_sent: whether the comment is still there, theirs, and says what it said when it was sent.
        was_head: whether the commit was this pull request's head before.
        head_of: another pull request that has this commit as its head; None when nobody knows of one.
    """

    asked: str
    pr: int
    head_sha: str
    is_open: bool
    actor: str
    actor_permission: str
    is_as_sent: bool = True
    was_head: bool = False
    head_of: int | None = None


@dataclass(frozen=True, slots=True)
class MayRun:
    """This commit may run, because of this person."""

    sha: str


@dataclass(frozen=True, slots=True)
class MayNot:
    """Nothing changes. `reason` is a stable word for the audit, `because` Markdown without a full stop."""

    reason: str
    because: str


def decide_permit(facts: PermitFacts) -> MayRun | MayNot:
    """Whether the commit may run; for a refusal about the commit, the sentence names it and the head.

    The author of the pull request may permit it like anybody else, if they may write: then they could push it, too.
    """
    if facts.actor_permission not in WRITERS:
        return MayNot("no_write_permission", "letting a commit run needs write permission in this repository")
    if not facts.is_as_sent:
        return MayNot("comment_changed", "the comment was changed or deleted before it was read; write a new one")
    if not facts.is_open:
        return MayNot("not_open", "the pull request is closed")
    asked = facts.asked.strip().lower()
    if not _SHA.fullmatch(asked):
        return _not_in_full(asked, facts.head_sha)
    if asked != facts.head_sha:
        return MayNot(*_another(asked, facts))
    return MayRun(asked)


def _not_in_full(asked: str, head: str) -> MayNot:
    if not _PREFIX.fullmatch(asked):
        what = f"{code(asked, 60)} is not a commit" if asked else "it names no commit"
        return MayNot("not_a_sha", f"{what}; the head is {code(head)}")
    said = f"{code(asked)} is not a whole commit SHA, and the short form of one can come to mean another"
    return MayNot("sha_not_in_full", f"{said}; the head is {code(head)}")


def _another(asked: str, facts: PermitFacts) -> tuple[str, str]:
    head = f"the head is {code(facts.head_sha)} now"
    after = f"; having read that one, comment {code(permit_line(facts.head_sha), 80)}"
    if facts.was_head:
        return "sha_is_older", f"{code(asked)} is an older commit of this pull request, {head}{after}"
    if facts.head_of is not None:
        return "sha_of_another", f"{code(asked)} is the head of #{facts.head_of}, not of #{facts.pr}: here {head}"
    return "sha_is_not_the_head", f"{code(asked)} is not the head of this pull request, {head}{after}"
