"""One delivery: a hint that something may have changed. It is read once, and what it asks for is started by id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import structlog

from bot.domain.deliveries import (
    Action,
    CancelGroup,
    CancelRuns,
    CommentChanged,
    Ignore,
    InstallationChanged,
    Press,
    ReadCommands,
    RepositoryChanged,
    StartRun,
    react,
)
from bot.domain.subject import Subject
from bot.engine import Flow
from bot.flows import accounts, buttons, comment_changes, groups, on_command, on_commit
from bot.flows.context import Context
from bot.flows.persevere import persevere
from bot.flows.requests import open_run
from bot.flows.standing import is_listed_branch
from bot.github.payloads import Unreadable, parse
from bot.github.pulls import pulls_for_sha
from bot.store.deliveries import Delivery

log = structlog.get_logger()

NAME = "on_delivery"


@dataclass(frozen=True, slots=True)
class Started:
    """A flow that a delivery asks for; starting it twice changes nothing."""

    flow: str
    id: str
    args: object


@dataclass(frozen=True, slots=True)
class OnDelivery:
    """The flow, with what it works with."""

    ctx: Context

    async def __call__(self, flow: Flow, delivery_id: str) -> str:
        """Start what the delivery asks for; returns a few words about it."""
        with structlog.contextvars.bound_contextvars(delivery=delivery_id):
            started = await persevere(flow, self.ctx.clock, "read", read, self.ctx, delivery_id)
            for one in started:
                await flow.start(one.flow, one.id, one.args)
            outcome = ", ".join(one.id for one in started) or "nothing to start"
            await flow.step("close", self.ctx.inbox.close, [(delivery_id, outcome)])
            return outcome


def actions_of(delivery: Delivery, *, own_app_id: int) -> tuple[Action, ...]:
    """What a delivery asks for. Cheap and pure, so that the many that ask for nothing cost no flow."""
    payload = parse(delivery.event, delivery.body)
    if isinstance(payload, Unreadable):
        return (Ignore(f"unreadable: {payload.reason}"),)
    return react(delivery.event, payload.action, payload.facts, own_app_id=own_app_id)


async def read(ctx: Context, delivery_id: str) -> tuple[Started, ...]:
    """Make the rows of everything that the delivery asks for, and say what to start. Safe to repeat."""
    delivery = await ctx.inbox.get(delivery_id)
    if delivery is None:
        return ()
    started: list[Started] = []
    for action in actions_of(delivery, own_app_id=ctx.github.app_id):
        match action:
            case StartRun():
                started += await _start_run(ctx, action, delivery_id)
            case CancelRuns():
                await ctx.cancel(action.repo_id, action.pr, by=action.because)
            case ReadCommands():
                started.append(on_command_started(action))
            case Press():
                runs = await buttons.press(ctx, action, delivery_id)
                started += [Started(on_commit.NAME, run_id, run_id) for run_id in runs]
            case CancelGroup():
                await groups.cancel(ctx, action)
            case CommentChanged():
                await comment_changes.note(ctx, action)
            case InstallationChanged():
                await accounts.installation_changed(ctx, action)
            case RepositoryChanged():
                await accounts.repository_changed(ctx, action)
            case Ignore(reason):
                log.info("delivery_ignored", reason=reason)
            case _:
                assert_never(action)
    return tuple(started)


def on_command_started(action: ReadCommands) -> Started:
    """The flow that reads a comment: one for each comment, whichever hook told of it."""
    return Started(on_command.NAME, f"{action.source}:{action.repo_id}:{action.comment_id}", action)


def _subject(action: StartRun) -> Subject:
    return Subject(
        repo_id=action.repo_id,
        repo=action.repo,
        installation_id=action.installation_id,
        pr=action.pr,
        base_ref=action.base_ref,
        base_sha=action.base_sha,
        head_sha=action.head_sha,
    )


async def _start_run(ctx: Context, action: StartRun, delivery_id: str) -> list[Started]:
    if action.if_listed and not await is_listed_branch(ctx, _subject(action)):
        log.info("delivery_ignored", reason="a push to a branch that the default branch's configuration does not list")
        return []
    numbers: list[int | None] = [action.pr]
    if action.pr is None and action.again:
        github = ctx.github.installation(action.installation_id)
        pulls = await pulls_for_sha(github, action.repo, action.head_sha)
        # A check run's or suite's own list of pull requests may be empty, so they are found by the head's SHA.
        numbers = [pull.number for pull in pulls if pull.head_sha == action.head_sha] or [None]
    started = []
    for number in numbers:
        run = await open_run(
            ctx,
            installation_id=action.installation_id,
            repo_id=action.repo_id,
            repo=action.repo,
            pr=number,
            head_sha=action.head_sha,
            base_ref=action.base_ref,
            selection=action.selection,
            again=delivery_id if action.again else "",
            delivery=delivery_id,
            cause="merge_group" if action.cause == "merge_group" else "",
        )
        started.append(Started(on_commit.NAME, run.id, run.id))
    return started
