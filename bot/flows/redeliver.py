"""What GitHub could not tell us: found in its list of failed deliveries, and asked for again.

A round runs at start and every few minutes. It is a flow, whose id is made of the schedule's name and the time when the
round was due, so that it happens once however many processes fire. A round that GitHub does not answer is left to the
next one: nothing is lost by waiting, for the mark up to which was read moves only at a round's end.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot.codec import StepFailed
from bot.domain.missed import Missed, plan
from bot.engine import Flow
from bot.flows import reconcile
from bot.flows.context import Context
from bot.github.deliveries_api import KEPT, ask_again, failed_attempts
from bot.github.errors import GitHubProblem, NotFound, Unprocessable

log = structlog.get_logger()

NAME = "redeliver"
EVERY = timedelta(minutes=5)
MOST = 200
"""Asks in one round."""

OVERLAP = timedelta(minutes=2)
"""Read again each time: GitHub dates a try by its beginning, and lists it at its end."""

_SINCE = "redelivery:since"
_MISSED = "redelivery:missed"
_GAP = "redelivery:gap"


@dataclass(frozen=True, slots=True)
class Redeliver:
    """The flow, with what it works with."""

    ctx: Context

    async def __call__(self, flow: Flow, _nothing: str) -> str:
        """One round; returns a few words about it."""
        try:
            missed = await flow.step("ask", ask_for_missed, self.ctx)
        except (StepFailed, GitHubProblem) as trouble:
            log.warning("redelivery_postponed", because=str(trouble))
            return "postponed"
        if missed:
            # GitHub may have forgotten what was missed; how things stand can be asked for all the same.
            await flow.start(reconcile.NAME, f"{reconcile.NAME}:{flow.id}", reconcile.EVERYWHERE)
        return f"{missed} missed"


async def ask_for_missed(ctx: Context) -> int:
    """Ask for what failed and is not in the inbox; returns how many deliveries are missing. Safe to repeat."""
    app, now = ctx.github.itself(), ctx.clock.now()
    since = _moment(await ctx.marks.get(_SINCE)) or now - KEPT
    failed: dict[str, Missed] = {}
    for attempt in await failed_attempts(app, since=since):
        failed.setdefault(attempt.guid, Missed(attempt_id=attempt.id, failed_at=attempt.delivered_at))
    known = _read(await ctx.marks.get(_MISSED))
    there = await ctx.inbox.known({*failed, *known})
    coming = plan(known, failed, there=there, now=ctx.github.clock.now(), kept=KEPT, most=MOST)
    # Written before GitHub is asked: a crash in between costs one of the asks, and never one too many.
    await ctx.marks.set(_MISSED, _write(coming.left))
    for guid in coming.given_up:
        log.error("delivery_not_recovered", delivery=guid, asks=coming.left[guid].asks - 1)
    for guid in coming.ask:
        try:
            await ask_again(app, coming.left[guid].attempt_id)
        except (NotFound, Unprocessable) as refused:
            log.warning("redelivery_refused", delivery=guid, because=str(refused))
        else:
            log.info("redelivery_asked", delivery=guid, nth=coming.left[guid].asks)
    if gap := [one.failed_at for guid, one in failed.items() if guid not in there]:
        await ctx.marks.set(_GAP, json.dumps([min(gap).isoformat(), max(gap).isoformat(), len(gap)]))
    await ctx.marks.set(_SINCE, (ctx.github.clock.now() - OVERLAP).isoformat())
    return len(coming.left)


async def facts(ctx: Context) -> Mapping[str, object]:
    """What a person may want to know: when GitHub was heard last, what was missed and is not recovered."""
    missed = _read(await ctx.marks.get(_MISSED))
    heard = await ctx.inbox.last_received()
    gap = await ctx.marks.get(_GAP)
    begin, end, count = json.loads(gap) if gap else ("", "", 0)
    return {
        "last_delivery": heard.isoformat() if heard else None,
        "waited_for": sum(not one.is_given_up for one in missed.values()),
        "given_up": sum(one.is_given_up for one in missed.values()),
        "last_gap": {"from": begin, "to": end, "deliveries": count} if gap else None,
    }


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _write(missed: Mapping[str, Missed]) -> str:
    return json.dumps({guid: [one.attempt_id, one.failed_at.isoformat(), one.asks] for guid, one in missed.items()})


def _read(text: str) -> dict[str, Missed]:
    kept = json.loads(text) if text else {}
    return {
        guid: Missed(attempt_id=attempt, failed_at=datetime.fromisoformat(at), asks=asks)
        for guid, (attempt, at, asks) in kept.items()
    }
