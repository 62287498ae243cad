"""One comment or review: everything in it is read and authorised before anything of it is done."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.codec import StepFailed
from bot.domain.commands.entry import Surface
from bot.domain.commands.reactions import Reaction
from bot.domain.deliveries import ReadCommands
from bot.domain.text import code
from bot.engine import Flow
from bot.flows import on_commit
from bot.flows.commands.obey import obey
from bot.flows.commands.order import Order, Started
from bot.flows.context import Context
from bot.flows.persevere import persevere
from bot.github.comments import reply
from bot.github.errors import Forbidden, GitHubProblem, NotFound, Unprocessable
from bot.github.reactions import react

log = structlog.get_logger()

NAME = "on_command"


@dataclass(frozen=True, slots=True)
class Answered:
    """What was decided: flows to start, what to say ("" for nothing), and the word of the reaction that ends it."""

    runs: tuple[str, ...]
    reply: str
    reaction: str
    started: tuple[Started, ...] = ()


@dataclass(frozen=True, slots=True)
class OnCommand:
    """The flow, with what it works with."""

    ctx: Context

    async def __call__(self, flow: Flow, comment: ReadCommands) -> str:
        """Do what a comment asks for; returns a few words about it."""
        try:
            return await self._answer(flow, comment)
        except (StepFailed, GitHubProblem) as error:
            log.error("command_failed", comment=comment.comment_id, because=str(error))  # noqa: TRY400 - see the step.
            await persevere(flow, self.ctx.clock, "admit", _admit_failure, self.ctx, comment, flow.id)
            return "internal_error"

    async def _answer(self, flow: Flow, comment: ReadCommands) -> str:
        ctx = self.ctx
        if not await ctx.commands_of(comment.body):
            return "no command"
        await persevere(flow, ctx.clock, "acknowledge", _react, ctx, comment, str(Reaction.EYES))
        answer = await persevere(flow, ctx.clock, "decide", decide, ctx, comment)
        for run_id in answer.runs:
            await flow.start(on_commit.NAME, run_id, run_id)
        for started in answer.started:
            await flow.start(started.flow, started.id, started.args)
        if answer.reply:
            await persevere(flow, ctx.clock, "reply", _reply, ctx, comment, answer.reply)
        await persevere(flow, ctx.clock, "react", _react, ctx, comment, answer.reaction)
        return ", ".join(answer.runs) or answer.reaction


async def decide(ctx: Context, comment: ReadCommands) -> Answered:
    """Carry out all of a comment, or say why nothing of it. Safe to repeat."""
    obeyed = await obey(ctx, order_of(comment), await ctx.commands_of(comment.body))
    reaction = Reaction.ROCKET if obeyed.done else Reaction.CONFUSED
    return Answered(obeyed.runs, obeyed.said, str(reaction), obeyed.started)


def order_of(comment: ReadCommands) -> Order:
    """Who asks in a comment or a review, and where."""
    return Order(
        id=f"{comment.source}:{comment.repo_id}:{comment.comment_id}",
        run_prefix=f"{comment.source}{comment.comment_id}",
        surface=Surface.COMMENT,
        repo_id=comment.repo_id,
        repo=comment.repo,
        installation_id=comment.installation_id,
        pr=comment.pr,
        actor=comment.author,
        comment=comment,
    )


async def _react(ctx: Context, comment: ReadCommands, content: str) -> None:
    if comment.source == "review":
        return  # GitHub has no reactions to a review.
    github = ctx.github.installation(comment.installation_id)
    try:
        await react(github, comment.repo, comment.comment_id, Reaction(content))
    except (Forbidden, NotFound, Unprocessable) as refused:
        # The comment was deleted, or nobody may react to it. What it asks for does not depend on that.
        log.warning("reaction_not_shown", comment=comment.comment_id, because=str(refused))


async def _admit_failure(ctx: Context, comment: ReadCommands, incident: str) -> None:
    """Say that Interlock itself failed: whoever asked for something and hears nothing waits for ever."""
    try:
        await _reply(ctx, comment, f"@{comment.author}: Interlock could not do this. Incident {code(incident)}.")
    except (Forbidden, NotFound, Unprocessable) as refused:
        log.warning("failure_not_shown", comment=comment.comment_id, because=str(refused))
    await _react(ctx, comment, str(Reaction.CONFUSED))


async def _reply(ctx: Context, comment: ReadCommands, body: str) -> None:
    about = "reply" if comment.source == "comment" else "reply-to-review"
    await reply(
        ctx.github.installation(comment.installation_id),
        comment.repo,
        comment.pr,
        body,
        marker=f"<!-- interlock:{about}={comment.comment_id} -->",
    )
