"""What `/health/detailed` looks at: one question for each part of the bot, answered from what is known here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.flows import redeliver
from bot.flows.context import Context
from bot.github.breaker import BreakerState
from bot.web.health import Probe


@dataclass(frozen=True, slots=True)
class Probes:
    """The questions, with what they are asked of."""

    ctx: Context

    def by_name(self) -> dict[str, Probe]:
        """All of them."""
        return {
            "database": self._database,
            "flows": self._flows,
            "github": self._github,
            "sandbox": self._sandbox,
            "webhooks": self._webhooks,
            "writes": self._writes,
        }

    async def _database(self) -> Mapping[str, object]:
        return {"open_deliveries": await self.ctx.inbox.count_open(), "open_runs": await self.ctx.runs.count_open()}

    async def _flows(self) -> Mapping[str, object]:
        return {"unfinished": len(await self.ctx.engine.unfinished())}

    async def _github(self) -> Mapping[str, object]:
        """How GitHub is doing, as far as we can tell. Nothing is asked of it: a slow one must not make this slow."""
        github = self.ctx.github
        facts: dict[str, object] = {
            "breaker": str(github.breaker_state),
            "last_answer": github.clock.heard_at.isoformat() if github.clock.heard_at else None,
            "clock_ahead_seconds": round(github.clock.skew.total_seconds()),
            "quiet": {name: until.isoformat() for name, until in github.quiet.speakers().items()},
            **await redeliver.facts(self.ctx),
        }
        warnings = [
            *(["GitHub does not answer; work waits for it"] if github.breaker_state is not BreakerState.CLOSED else []),
            *(["this machine's clock is off: set it by NTP"] if github.clock.differs else []),
            *(["deliveries were lost for good; see the log for delivery_not_recovered"] if facts["given_up"] else []),
        ]
        return {"status": "degraded", "warnings": warnings, **facts} if warnings else facts

    async def _sandbox(self) -> Mapping[str, object]:
        return self.ctx.sandbox.facts

    async def _webhooks(self) -> Mapping[str, object]:
        return {"new_to_us": self.ctx.oddities.counts}

    async def _writes(self) -> Mapping[str, object]:
        """Of all installations together; those that wait name theirs."""
        facts = {str(number): pacer.facts() for number, pacer in self.ctx.github.pacers().items()}
        return {
            "waiting": sum(each["waiting"] for each in facts.values()),
            "oldest_seconds": max((each["oldest_seconds"] for each in facts.values()), default=0.0),
            "installations": {number: each for number, each in facts.items() if each["waiting"]},
        }
