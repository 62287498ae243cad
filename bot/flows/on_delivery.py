"""One delivery: a hint that something may have changed. It is read once, and what it asks for is started by id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import structlog

from bot.domain.deliveries import (
    Action,
    AskGates,
    CancelGroup,
    CancelLost,
    CancelRuns,
    CommentChanged,
    Ignore,
    InstallationChanged,
    Press,
    ReadCommands,
    RepositoryChanged,
    StartRun,
    react,
    unknown,
)
from bot.domain.subject import Subject
from bot.engine import Flow
from bot.flows import accounts, buttons, comment_changes, groups, on_command, on_commit, reconcile
from bot.flows.commands.order import Started
from bot.flows.context import Context
from bot.flows.deploying import protecting, pushed
from bot.flows.nudges import ConsiderAll
from bot.flows.persevere import persevere
from bot.flows.requests import MERGE_GROUP, open_run
from bot.flows.standing import is_listed_branch
from bot.github.errors import Forbidden, NotFound, Unprocessable
from bot.github.payloads import Unreadable, parse
from bot.github.pulls import pulls_for_sha
from bot.store.deliveries import Delivery
from bot.store.runs import Run

log = structlog.get_logger()

NAME = "on_delivery"


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


@dataclass(frozen=True, slots=True)
class Reading:
    """A delivery as we understand it: what it asks for, and the names of what is new to us in it."""

    actions: tuple[Action, ...]
    oddities: tuple[str, ...] = ()


def understand(delivery: Delivery, *, own_app_id: int) -> Reading:
    """Read a delivery. Cheap and pure, so that the many that ask for nothing cost no flow."""
    payload = parse(delivery.event, delivery.body)
    if isinstance(payload, Unreadable):
        return Reading((Ignore(f"unreadable: {payload.reason}"),), (f"unreadable {delivery.event}",))
    actions = react(delivery.event, payload.action, payload.facts, own_app_id=own_app_id)
    odd = unknown(delivery.event, payload.action)
    return Reading(actions, ((odd,) if odd else ()) + payload.oddities)


def actions_of(delivery: Delivery, *, own_app_id: int) -> tuple[Action, ...]:
    """What a delivery asks for."""
    return understand(delivery, own_app_id=own_app_id).actions


async def read(ctx: Context, delivery_id: str) -> tuple[Started, ...]:
    """Make the rows of everything that the delivery asks for, and say what to start. Safe to repeat."""
    delivery = await ctx.inbox.get(delivery_id)
    if delivery is None:
        return ()
    started: list[Started] = []
    for action in actions_of(delivery, own_app_id=ctx.github.app_id):
        if because := await _refusal(ctx, action):
            log.info("delivery_ignored", reason=because)
            if isinstance(action, StartRun) and action.if_listed:
                place = (action.installation_id, action.repo_id)
                ctx.listed.note(place, (), change=ctx.listed.change(place))
            continue
        try:
            started += await _act(ctx, action, delivery_id)
        except (Forbidden, NotFound, Unprocessable) as answer:
            # GitHub has answered, and would answer the same again: what the delivery is about is not there for us.
            log.warning("delivery_declined", because=str(answer))
    return tuple(started)


async def _act(ctx: Context, action: Action, delivery_id: str) -> Sequence[Started]:
    match action:
        case StartRun():
            return await _start_run(ctx, action, delivery_id)
        case ReadCommands():
            return [on_command_started(action)]
        case Press() | CancelRuns():
            if isinstance(action, Press):
                ids = await buttons.press(ctx, action, delivery_id)
            else:
                ids = await reconcile.closed(ctx, action)
                ctx.nudges.give(ConsiderAll(action.repo_id))
            return [Started(on_commit.NAME, run_id, run_id) for run_id in ids]
        case InstallationChanged():
            return _reconciled(action, delivery_id) if await accounts.installation_changed(ctx, action) else []
        case RepositoryChanged():
            return _reconciled(action, delivery_id) if await accounts.repository_changed(ctx, action) else []
        case CancelGroup() | CancelLost() | CommentChanged():
            await _end(ctx, action)
        case AskGates():
            await protecting.ask(ctx, action, delivery_id)
        case Ignore(reason):
            log.info("delivery_ignored", reason=reason)
        case _:
            assert_never(action)
    return []


async def _end(ctx: Context, action: CancelGroup | CancelLost | CommentChanged) -> None:
    """End what holds no more: runs, or what a comment permitted."""
    match action:
        case CancelGroup():
            await groups.cancel(ctx, action)
        case CancelLost():
            await accounts.cancel_lost(ctx, action)
        case CommentChanged():
            await comment_changes.note(ctx, action)
        case _:
            assert_never(action)


async def _refusal(ctx: Context, action: Action) -> str:
    """Why something that was asked for a repository is not done; what tells of access itself is always read."""
    if isinstance(action, Ignore | InstallationChanged | RepositoryChanged):
        return ""
    return await accounts.refusal(ctx, action.installation_id, action.repo_id, action.repo)


def _run_started(run: Run) -> Started:
    return Started(on_commit.NAME, run.id, run.id)


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
            again=(action.occasion or delivery_id) if action.again else "",
            delivery=delivery_id,
            cause=MERGE_GROUP if action.cause == MERGE_GROUP else "",
        )
        started.append(_run_started(run))
        if action.cause == "push" and (due := pushed.started(run)) is not None:
            # The branch has moved to a commit whose run has ended long ago, as when another branch had it first.
            started.append(Started(due.flow, f"{pushed.NAME}:{delivery_id}", due.args))
    ctx.nudges.give(ConsiderAll(action.repo_id))
    return started


def _reconciled(action: InstallationChanged | RepositoryChanged, delivery_id: str) -> list[Started]:
    """What was open before the App came, or came back, may have no check yet."""
    return [Started(reconcile.NAME, f"{reconcile.NAME}:{delivery_id}", str(action.installation_id))]
