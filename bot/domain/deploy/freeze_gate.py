"""Whether a freeze holds a deployment, and what it takes to go through one. Pure."""

from __future__ import annotations

from datetime import datetime

from bot.domain.deploy.answers import Answer, Deny, Pass, Wait
from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.freezing import Held
from bot.domain.deploy.freezing import holding as window_holding
from bot.domain.deploy.gate_facts import BreakGlass, GateFacts, Unknown
from bot.domain.freeze import holding as freeze_holding
from bot.domain.freeze import moment
from bot.domain.freeze import sentence as freeze_sentence
from bot.domain.text import one_line


def not_frozen(facts: GateFacts, *, now: datetime, branches: bool) -> Answer:
    """Whether nothing freezes the environment.

    Args:
        facts: the windows of the environment, and freezes of branches.
        now: aware.
        branches: whether a `/freeze` of the commit's branch holds deployments too.
    """
    frozen = _window(facts, now=now)
    if branches and isinstance(facts.freezes, Unknown):
        return Wait(facts.freezes.because, way_out=facts.freezes.way_out)
    freeze = None
    if branches and not isinstance(facts.freezes, Unknown):
        freeze = freeze_holding(facts.freezes, branch=facts.branch, now=now)
    if frozen is None and freeze is None:
        return Pass("nothing freezes it")
    said = [sentence(frozen)] if frozen else []
    said += [freeze_sentence(freeze)] if freeze else []
    because = "; ".join(said)
    if facts.glass is not None:
        return through(facts.glass, facts.deployment, because)
    ways = [f"it passes by itself {moment(frozen.until)}"] if frozen else []
    ways += ["`/unfreeze` lifts the freeze"] if freeze else []
    return Wait(because, way_out="; ".join((*ways, "break-glass needs a reason and a second person")))


def through(glass: BreakGlass, deployment: Deployment, because: str) -> Answer:
    """Whether the glass is broken as it must be: with a reason, and by two people. `because` says what holds."""
    reason = one_line(glass.because)
    if not reason:
        return Deny(f"{because}; break-glass without a reason", way_out="say why: `break-glass because …`")
    if not glass.by:
        return Deny(f"{because}; nobody breaks the glass", way_out="a person has to ask for it")
    if not glass.second or glass.second.casefold() == glass.by.casefold():
        line = f"/approve {deployment.environment}"
        return Wait(
            f"{because}; @{glass.by} breaks the glass: {reason}",
            way_out=f"a second person who may approve comments `{line} break-glass`",
        )
    return Pass(f"{because}; @{glass.by} and @{glass.second} broke the glass: {reason}")


def sentence(held: Held) -> str:
    """`frozen until 2026-12-24 17:00 UTC: why`."""
    return f"frozen until {moment(held.until)}" + (f": {one_line(held.because)}" if held.because else "")


def _window(facts: GateFacts, *, now: datetime) -> Held | None:
    return window_holding(facts.environment.freeze, now)
