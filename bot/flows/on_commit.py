"""One run: from a head to its verdict on GitHub. Steps decide nothing twice; everything between them is pure.

prepare (who, what, which files) → announce (checks) → execute (the child) → conclude (checks, comment) → prove (that
boxes can turn red). Steps are only ever added at the end, so that flows of an older version resume.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.codec import StepFailed
from bot.domain.checks import Check
from bot.engine import Flow
from bot.flows import conclude, execute, prepare, proving
from bot.flows.context import Context
from bot.flows.deploying import pushed
from bot.flows.persevere import persevere
from bot.flows.requests import request_run
from bot.flows.standing import Barred, Stopping, Unsure, look_again
from bot.github.errors import GitHubProblem

log = structlog.get_logger()

NAME = "on_commit"


@dataclass(frozen=True, slots=True)
class OnCommit:
    """The flow, with what it works with."""

    ctx: Context

    async def __call__(self, flow: Flow, run_id: str) -> str:
        """Carry the run through; returns its conclusion, or a word that says why there is none."""
        with structlog.contextvars.bound_contextvars(run=run_id):
            try:
                conclusion = await self._run(flow, run_id)
            except (StepFailed, GitHubProblem) as error:
                log.error("run_failed", because=str(error))  # noqa: TRY400 - the step logged its stack.
                await persevere(flow, self.ctx.clock, "admit", conclude.admit_failure, self.ctx, run_id, flow.id)
                return "internal_error"
            # Nudged when the verdict was shown; here for a bot that was killed before it acted upon the nudge.
            if (due := pushed.started(await self.ctx.run(run_id))) is not None:
                await flow.start(due.flow, due.id, due.args)
            return conclusion

    async def _run(self, flow: Flow, run_id: str) -> str:
        ctx = self.ctx
        answer = await persevere(flow, ctx.clock, "prepare", prepare.prepare, ctx, run_id)
        match answer:
            case prepare.Pass(because):
                await persevere(flow, ctx.clock, "pass", conclude.pass_over, ctx, run_id, because)
                return "passed_over"
            case prepare.Stale(head_sha):
                await persevere(flow, ctx.clock, "give_way", conclude.give_way, ctx, run_id, head_sha)
                await self._start_newer(flow, run_id, head_sha)
                return "superseded"
            case prepare.Refuse(checks, because):
                return await self._refuse(flow, run_id, checks, because)
            case prepare.Preview(checks):
                await persevere(flow, ctx.clock, "preview", conclude.show_preview, ctx, run_id, checks)
                return "previewed"
            case prepare.Decline(because):
                return await persevere(flow, ctx.clock, "decline", conclude.decline, ctx, run_id, because)
            case prepare.Ready():
                return await self._carry_out(flow, run_id)

    async def _carry_out(self, flow: Flow, run_id: str) -> str:
        """Announce, execute, conclude, prove."""
        ctx = self.ctx
        await persevere(flow, ctx.clock, "announce", conclude.announce, ctx, run_id)
        outcome = await self._execute(flow, run_id)
        if isinstance(outcome, Barred):
            return await persevere(flow, ctx.clock, "bar", conclude.bar, ctx, run_id, outcome)
        newer = outcome.head_sha if isinstance(outcome, Stopping) else ""
        ended = execute.Stopped() if isinstance(outcome, Stopping) else outcome
        conclusion = await persevere(flow, ctx.clock, "conclude", conclude.conclude, ctx, run_id, ended)
        if newer:
            await self._start_newer(flow, run_id, newer)
        is_asked_for = bool((await ctx.run(run_id)).prove)  # written when the row was made, and never again.
        if conclusion not in {"success", conclude.BEING_PROVED} and not is_asked_for:
            return conclusion
        return await self._prove(flow, run_id, conclusion)

    async def _execute(self, flow: Flow, run_id: str) -> execute.Outcome | Stopping | Barred:
        """Execute the boxes, once GitHub has said that they still may be."""
        ctx = self.ctx
        while True:
            outcome = await flow.step("execute", execute.execute_run, ctx, run_id)
            if not isinstance(outcome, Unsure):
                return outcome
            log.warning("execution_postponed", because=outcome.because)
            await persevere(flow, ctx.clock, "look_again", look_again, ctx, run_id)

    async def _start_newer(self, flow: Flow, run_id: str, head_sha: str) -> None:
        newer = await flow.step("request_newer", request_run, self.ctx, run_id, head_sha)
        await flow.start(NAME, newer, newer)

    async def _prove(self, flow: Flow, run_id: str, conclusion: str) -> str:
        ctx = self.ctx
        try:
            outcome = await flow.step("prove", proving.prove, ctx, run_id)
            return await persevere(flow, ctx.clock, "conclude_proved", conclude.conclude_proved, ctx, run_id, outcome)
        except (StepFailed, GitHubProblem) as error:
            if conclusion == conclude.BEING_PROVED:
                raise
            log.error("proofs_not_shown", because=str(error))  # noqa: TRY400 - the step logged its stack.
            return conclusion

    async def _refuse(self, flow: Flow, run_id: str, checks: tuple[Check, ...], because: str) -> str:
        await persevere(flow, self.ctx.clock, "refuse", conclude.refuse, self.ctx, run_id, checks, because)
        return "refused"
