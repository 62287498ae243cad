"""One deployment, from passed gates to its end. A child carries it out; this flow prepares, follows and concludes.

claim (the lease of the environment) → plan (what is there, what would be done, the release's files) → carry out (the
child) → conclude (what is known of the release now). A deployment that is held ends its flow; whoever decides about it
starts the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.codec import StepFailed
from bot.engine import Flow
from bot.flows.context import Context
from bot.flows.deploying import carrying, concluding, leasing, planning
from bot.flows.persevere import persevere
from bot.github.errors import GitHubProblem

log = structlog.get_logger()

CLAIM_AGAIN = 2.0
"""Seconds between two attempts to get the lease."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """The flow, with what it works with."""

    ctx: Context

    async def __call__(self, flow: Flow, deployment_id: str) -> str:
        """Carry the deployment through; returns where it ended."""
        with structlog.contextvars.bound_contextvars(deployment=deployment_id):
            while not await flow.step("claim", leasing.claim, self.ctx, deployment_id):
                await flow.sleep(CLAIM_AGAIN)
            planned: planning.Planned | planning.Unplanned
            try:
                planned = await self._plan(flow, deployment_id)
            except (StepFailed, GitHubProblem) as error:
                log.error("deployment_not_planned", because=str(error))  # noqa: TRY400 - the step logged its stack.
                planned = planning.Unplanned(f"Interlock itself failed; its log has the incident {flow.id}")
            if isinstance(planned, planning.Unplanned):
                return await flow.step("abort", concluding.abort, self.ctx, deployment_id, planned.because)
            await flow.step("carry_out", carrying.carry, self.ctx, deployment_id)
            return await flow.step("conclude", concluding.conclude, self.ctx, deployment_id)

    async def _plan(self, flow: Flow, deployment_id: str) -> planning.Planned | planning.Unplanned:
        """Until the target can be asked: it may be restarting."""
        because = ""
        for pause in planning.PAUSES:
            planned = await persevere(flow, self.ctx.clock, "plan", planning.plan, self.ctx, deployment_id)
            if not isinstance(planned, planning.Unreachable):
                return planned
            because = planned.because
            await flow.sleep(pause)
        return planning.Unplanned(because)
