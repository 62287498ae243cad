"""What a job of a workflow that waits for our rule is told: the gates' answer as GitHub's rule knows answers. Pure.

GitHub knows yes, no, and words. No frees whatever waits behind the job in its concurrency group, so it is said before
GitHub gives up by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from bot.domain.deploy.answers import Answer, Deny, Gate, Pass, Wait, verdict
from bot.domain.freeze import moment
from bot.domain.text import cut, plain

GITHUB_WAITS = timedelta(days=30)
"""After that GitHub fails a job that still waits. Source: GitHub docs, "Reviewing deployments"."""

EARLY = timedelta(hours=1)
"""So long before it we answer at the latest, whatever the gates say."""

MOST_TOLD = 9
"""How often a job is told how it stands; GitHub takes ten comments on one."""

LONGEST = 1_000
"""Bytes of a comment; GitHub takes 1024 characters of Markdown."""

_TOLD_IN_FULL = frozenset({"approvals", "frozen", "lock", "reviewers"})
"""Gates that people open: a job is told again when their sentence changes, of others only when the gate does."""


@dataclass(frozen=True, slots=True)
class Decided:
    """The answer, which is given once."""

    state: Literal["approved", "rejected"]
    comment: str
    reason: Literal["gates_pass", "gate_denied", "expired"]


@dataclass(frozen=True, slots=True)
class Tell:
    """No answer yet: only how it stands. `key` is the same for what needs not be told again."""

    comment: str
    key: str


@dataclass(frozen=True, slots=True)
class Nothing:
    """Neither has changed."""


def last_moment(asked_at: datetime, expires: float | None) -> datetime:
    """When a job is answered at the latest: after the environment's own time, and always before GitHub gives up.

    Args:
        asked_at: when GitHub asked.
        expires: seconds that a deployment waits in this environment; None while nobody knows.
    """
    latest = asked_at + GITHUB_WAITS - EARLY
    return latest if expires is None else min(latest, asked_at + timedelta(seconds=expires))


def answer(
    gates: Sequence[Gate], *, sha: str, now: datetime, due_at: datetime, told: str, comments: int
) -> Decided | Tell | Nothing:
    """What is said now.

    Args:
        gates: with their answers at this moment.
        sha: the deployment's commit.
        now: aware.
        due_at: from `last_moment`.
        told: the key of what was told last.
        comments: how often it was told how it stands.
    """
    match verdict(tuple(gates)):
        case Pass():
            passed = "; ".join(_sentence(gate.answer) for gate in gates)
            return Decided("approved", _fitting(f"Every gate passes for {sha[:7]}: {passed}"), "gates_pass")
        case Deny() as denial:
            return Decided("rejected", _fitting(f"Not {sha[:7]}: {_sentence(denial)}"), "gate_denied")
        case Wait():
            waiting = [gate for gate in gates if isinstance(gate.answer, Wait)]
            so_far = "; ".join(_sentence(gate.answer) for gate in waiting)
    if now >= due_at:
        return Decided("rejected", _fitting(f"The gates did not pass for {sha[:7]} in time: {so_far}"), "expired")
    key = " | ".join(gate.answer.because if gate.name in _TOLD_IN_FULL else gate.name for gate in waiting)
    if key == told or comments >= MOST_TOLD:
        return Nothing()
    return Tell(_fitting(f"{sha[:7]} waits until {moment(due_at)} at the latest: {so_far}"), key)


def _sentence(said: Answer) -> str:
    way_out = "" if isinstance(said, Pass) else said.way_out
    return f"{said.because} ({way_out})" if way_out else said.because


def _fitting(text: str) -> str:
    return cut(plain(text, 2 * LONGEST), LONGEST)
