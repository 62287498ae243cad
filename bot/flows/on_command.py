"""One comment: everything in it is read and authorised before anything of it is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from bot.codec import StepFailed
from bot.domain.commands import Cancel, Help, Mistake, OkToTest, Parsed, Refused, help_text, may_command, parse
from bot.domain.commands import Run as RunCommand
from bot.domain.deliveries import ReadCommands
from bot.domain.text import code, plain
from bot.engine import Flow
from bot.flows import on_commit, permitting
from bot.flows.context import Context
from bot.flows.persevere import persevere
from bot.flows.requests import open_run
from bot.github.comments import Reaction, react, reply
from bot.github.errors import Forbidden, GitHubProblem, NotFound, Unprocessable
from bot.github.permissions import permission
from bot.github.pulls import get_pull

log = structlog.get_logger()

NAME = "on_command"


@dataclass(frozen=True, slots=True)
class Answered:
    """What was decided: runs to start, and what to say ("" when there is nothing to say)."""

    runs: tuple[str, ...]
    reply: str
    reaction: Reaction


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
        commands = parse(comment.body)
        if not commands:
            return "no command"
        await persevere(flow, ctx.clock, "acknowledge", _react, ctx, comment, "eyes")
        answer = await persevere(flow, ctx.clock, "decide", decide, ctx, comment)
        for run_id in answer.runs:
            await flow.start(on_commit.NAME, run_id, run_id)
        if answer.reply:
            await persevere(flow, ctx.clock, "reply", _reply, ctx, comment, answer.reply)
        await persevere(flow, ctx.clock, "react", _react, ctx, comment, answer.reaction)
        return ", ".join(answer.runs) or answer.reaction


async def decide(ctx: Context, comment: ReadCommands) -> Answered:
    """Authorise, then carry out. Safe to repeat: runs are made by the comment's id."""
    commands = parse(comment.body)
    steering = [command for command in commands if not isinstance(command, Help)]
    if steering:
        github = ctx.github.installation(comment.installation_id)
        may = may_command(str(await permission(github, comment.repo, comment.author)))
        if isinstance(may, Refused):
            log.warning("command_refused", actor=comment.author, reason=may.because)
            return Answered((), f"@{comment.author}: {may.because}.", "confused")
    mistakes = [command for command in commands if isinstance(command, Mistake)]
    if mistakes:
        log.warning("command_misread", actor=comment.author, reason=mistakes[0].because)
        return Answered((), _mended(comment.author, mistakes), "confused")
    return await _carry_out(ctx, comment, commands)


async def _carry_out(ctx: Context, comment: ReadCommands, commands: Sequence[Parsed]) -> Answered:
    runs: list[str] = []
    said: list[str] = []
    for nth, command in enumerate(commands):
        match command:
            case RunCommand(selection):
                runs.append(await _run(ctx, comment, selection, nth))
            case Cancel():
                await ctx.cancel(comment.repo_id, comment.pr, by=f"@{comment.author}")
            case OkToTest(sha):
                answer = await permitting.permit(ctx, comment, sha)
                if isinstance(answer, permitting.Refused):
                    return Answered(tuple(runs), f"@{comment.author}: {answer.because}.", "confused")
                runs.append(answer.run_id)
            case Help(topic):
                said.append(help_text(topic))
            case Mistake():
                pass  # `decide` answered already.
            case _:
                assert_never(command)
    log.info("command_done", actor=comment.author, runs=len(runs), commands=len(commands))
    return Answered(tuple(runs), "\n\n".join(said), "rocket")


async def _run(ctx: Context, comment: ReadCommands, selection: str, nth: int) -> str:
    """The run for the head that the pull request has now. A comment names no commit, so it cannot mean an older one."""
    github = ctx.github.installation(comment.installation_id)
    pull = await get_pull(github, comment.repo, comment.pr)
    run = await open_run(
        ctx,
        installation_id=comment.installation_id,
        repo_id=comment.repo_id,
        repo=comment.repo,
        pr=comment.pr,
        head_sha=pull.head_sha,
        base_ref=pull.base_ref,
        selection=selection,
        again=f"comment{comment.comment_id}.{nth}",
        delivery=f"comment:{comment.comment_id}",
    )
    return run.id


def _mended(author: str, mistakes: Sequence[Mistake]) -> str:
    lines = [f"@{author}: nothing was started."]
    for mistake in mistakes:
        quoted = f"{plain(mistake.text, 200)}: " if mistake.text else ""
        lines.append(f"- {quoted}{plain(mistake.because, 500)} ({mistake.hint})")
    return "\n".join(lines)


async def _react(ctx: Context, comment: ReadCommands, content: Reaction) -> None:
    try:
        await react(ctx.github.installation(comment.installation_id), comment.repo, comment.comment_id, content)
    except (Forbidden, NotFound, Unprocessable) as refused:
        # The comment was deleted, or nobody may react to it. What it asks for does not depend on that.
        log.warning("reaction_not_shown", comment=comment.comment_id, because=str(refused))


async def _admit_failure(ctx: Context, comment: ReadCommands, incident: str) -> None:
    """Say that Interlock itself failed: whoever asked for something and hears nothing waits for ever."""
    try:
        await _reply(ctx, comment, f"@{comment.author}: Interlock could not do this. Incident {code(incident)}.")
    except (Forbidden, NotFound, Unprocessable) as refused:
        log.warning("failure_not_shown", comment=comment.comment_id, because=str(refused))


async def _reply(ctx: Context, comment: ReadCommands, body: str) -> None:
    await reply(
        ctx.github.installation(comment.installation_id),
        comment.repo,
        comment.pr,
        body,
        marker=f"<!-- interlock:reply={comment.comment_id} -->",
    )
