"""What people who do not look at GitHub are told of a deployment: seldom, and in plain words.

The texts go into chats and e-mails, and hold what strangers wrote: branch names, reasons, what a release printed. So
they are plain text, and nothing in them calls anybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import State
from bot.domain.text import one_line

BYTES = 3_000
"""Of one notice; chats fold away what is longer."""

_CALL = re.compile(r"(?<=@)(?=\w)")
_APART = "\u200d"


class Event(StrEnum):
    """What is worth telling."""

    WAITING = "waiting"  # for approval, which only people can give.
    SUCCEEDED = "succeeded"
    ABORTED = "aborted"
    HELD = "held"
    ROLLED_BACK = "rolled_back"
    ROLLBACK_FAILED = "rollback_failed"


_WORDS: Mapping[Event, tuple[str, str]] = {
    Event.WAITING: ("⏳", "waits for approval"),
    Event.SUCCEEDED: ("✅", "succeeded"),
    Event.ABORTED: ("❌", "was given up before anybody saw it"),
    Event.HELD: ("⏸️", "is held: somebody has to decide"),
    Event.ROLLED_BACK: ("↩️", "was rolled back"),
    Event.ROLLBACK_FAILED: ("🚨", "could not be rolled back: somebody has to look now"),
}

_OF_STATES: Mapping[State, Event] = {
    State.SUCCEEDED: Event.SUCCEEDED,
    State.ABORTED: Event.ABORTED,
    State.HELD: Event.HELD,
    State.ROLLED_BACK: Event.ROLLED_BACK,
    State.ROLLBACK_FAILED: Event.ROLLBACK_FAILED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A line and some more of plain text."""

    title: str
    body: str


def event_of(deployment: Deployment, gates: Sequence[Mapping[str, str]]) -> Event | None:
    """What there is to tell of where a deployment is; None for nothing.

    One that waits is told of once only approvals are missing: before that nobody can do anything about it.
    """
    if deployment.state is State.GATED:
        waiting = {each["gate"] for each in gates if each["answer"] != "pass"}
        return Event.WAITING if waiting and waiting <= {"approvals", "reviewers"} else None
    return _OF_STATES.get(deployment.state)


def notice_of(
    event: Event, deployment: Deployment, gates: Sequence[Mapping[str, str]], *, url: str, extra: Sequence[str] = ()
) -> Notice:
    """The text.

    Args:
        event: what happened.
        deployment: of which one.
        gates: their last answers.
        url: of its page; "" leaves it out.
        extra: further lines, such as the watch's evidence; foreign text is fine.
    """
    sign, words = _WORDS[event]
    what = "rollback" if deployment.kind == "rollback" else "deployment"
    place = f"{deployment.repo} → {deployment.environment}"
    by = f", asked for by {deployment.requested_by}" if deployment.requested_by else ""
    lines = [f"{deployment.short}{by}" + (f": {deployment.because}" if deployment.because else "")]
    if event is Event.WAITING:
        lines += [f"{each['gate']}: {each['because']}" + _way_out(each) for each in gates if each["answer"] != "pass"]
    shown = [line for each in (*lines, *extra) if (line := _harmless(each, 500))]
    return Notice(
        title=_harmless(f"{sign} {place}: {what} {deployment.number} {words}", 300),
        body="\n".join([*_fitting(shown), *([url] if url else [])]),
    )


def _way_out(gate: Mapping[str, str]) -> str:
    return f" ({gate['way_out']})" if gate["way_out"] else ""


def _harmless(text: str, limit: int) -> str:
    return _CALL.sub(_APART, one_line(text, limit))


def _fitting(lines: Sequence[str]) -> list[str]:
    """The first of them that fit."""
    room = BYTES
    fitting: list[str] = []
    for line in lines:
        room -= len(line.encode()) + 1
        if room < 0:
            return [*fitting, "…"]
        fitting.append(line)
    return fitting
