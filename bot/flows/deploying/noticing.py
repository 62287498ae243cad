"""The flow that tells people who do not look at GitHub: each event once, to each address until it is taken.

Nothing waits for it. What it tells is put into words once, so that whoever hears late hears the same; addresses are
secrets and are read anew for each try, so that no flow remembers one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.notice import Event, Notice, event_of, notice_of
from bot.domain.deploy.record import gates_in, reasons
from bot.engine import Flow
from bot.flows.context import Context
from bot.flows.deploying import terms
from bot.flows.deploying.recording import record_now
from bot.ops.notify import NobodyThere, NotifierMissing, NotTaken, addresses_of, send

log = structlog.get_logger()

NAME = "notice"

PAUSES = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0)
"""Seconds before each further try; after the last, nobody wants to hear it any more."""

TOLD = "told"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What is to be told: of which deployment, which event."""

    deployment: str
    event: Event


async def tell_of(ctx: Context, deployment: Deployment) -> None:
    """Start telling where a deployment is, if that is news to anybody. Safe to repeat."""
    event = event_of(deployment, gates_in(deployment.gates))
    known = terms.read(ctx, deployment)
    if event is not None and known is not None and known.environment(deployment.environment).notify:
        await ctx.engine.start(NAME, f"notice:{deployment.id}:{event}", Word(deployment=deployment.id, event=event))


class Noticing:
    """The flow, with what it works with."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def __call__(self, flow: Flow, word: Word) -> str:
        """Tell everybody; returns a few words about it."""
        notice = await flow.step("word", self._notice, word)
        left = await flow.step("whom", self._whom, word)
        everybody = len(left)
        for pause in (*PAUSES, None):
            outcomes = [(name, n, await flow.step("tell", self._tell, notice, name, n)) for name, n in left]
            left = tuple((name, n) for name, n, outcome in outcomes if outcome != TOLD)
            if not left or pause is None:
                break
            await flow.sleep(pause)
        for name, n in left:
            log.error("notice_given_up", deployment=word.deployment, notify=name, address=n)
        return f"{everybody - len(left)} of {everybody} told"

    async def _notice(self, word: Word) -> Notice:
        deployment = await self._ctx.deployment(word.deployment)
        record = await record_now(self._ctx, deployment)
        return notice_of(
            word.event,
            deployment,
            record["gates"],
            url=self._ctx.links.deployment_url(deployment.number),
            extra=_evidence(record) if word.event is not Event.WAITING else (),
        )

    async def _whom(self, word: Word) -> tuple[tuple[str, int], ...]:
        """Everybody by name and place in its file. A name that cannot be used is told in the log, and nobody waits."""
        deployment = await self._ctx.deployment(word.deployment)
        known = terms.read(self._ctx, deployment)
        names = known.environment(deployment.environment).notify if known else ()
        found: list[tuple[str, int]] = []
        for name in dict.fromkeys(names):
            try:
                found += [(name, n) for n in range(len(addresses_of(self._ctx.secrets_dir, name)))]
            except NobodyThere as nobody:
                log.error("notice_for_nobody", number=deployment.number, because=str(nobody))  # noqa: TRY400
        return tuple(found)

    async def _tell(self, notice: Notice, name: str, n: int) -> str:
        """One try; what came of it in a word, since a failure is not a bug of ours."""
        try:
            await send(addresses_of(self._ctx.secrets_dir, name)[n], title=notice.title, body=notice.body)
        except (NobodyThere, NotifierMissing, NotTaken, IndexError) as trouble:
            log.warning("notice_not_taken", notify=name, address=n, because=str(trouble))
            return "again"
        log.info("notice_told", notify=name, address=n, title=notice.title)
        return TOLD


def _evidence(record: Mapping[str, Any]) -> tuple[str, ...]:
    """What led to it, and what the watch saw fail."""
    failed = [
        f"{each['source']} of the {each['side']} release: {each['failures']} of "
        f"{each['failures'] + each['successes']} answers failed"
        for each in record["watch"]["sources"]
        if each["failures"]
    ]
    return (*(sentence for sentence in reasons(record) if sentence != record["because"]), *failed)
