"""Whether code may run at this moment: what GitHub and the permits say now, put before `bot.domain.trust`.

It is asked twice: when a run is prepared, and again when its turn has come, because the head, the permit and the
author's rights may all have changed while it waited.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace

import structlog

from bot.domain.deploy.reading import environments
from bot.domain.desired import CLOSING
from bot.domain.stopping import Cancelled, Superseded
from bot.domain.subject import Subject
from bot.domain.trust import Trusted, TrustFacts, TrustLevel, Untrusted, decide_trust
from bot.flows import record
from bot.flows.configuring import default_of
from bot.flows.context import Context
from bot.github.errors import GitHubUnavailable, NotFound, RateLimited, Unprocessable
from bot.github.git import Mirror
from bot.github.permissions import permission
from bot.github.pulls import PullFacts, branch_head, get_pull, repository
from bot.github.repo_config import OrganisationDefault
from bot.store.runs import Run
from runner.config import FILE as CONFIG
from runner.config import Config, load_config
from runner.errors import UserError

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stands:
    """Everything is as it was when the run was prepared."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run's row says why it must stop: its pull request was closed, or has moved on (then to `head_sha`)."""

    head_sha: str = ""


@dataclass(frozen=True, slots=True)
class Barred:
    """Nobody stands for this code any more; the fields are those of `Untrusted`."""

    because: str
    who_can: str
    line: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """GitHub did not say; nothing may be executed until it does."""

    because: str


Standing = Stands | Stopping | Barred | Unsure


async def trust_of(ctx: Context, run: Run, pull: PullFacts) -> Trusted | Untrusted:
    """The trust of a pull request's head, by the author's permission and the permit as they are now."""
    permit = await ctx.permits.of(run.repo_id, pull.number, pull.head_sha)
    return decide_trust(
        TrustFacts(
            event="pull_request",
            author=pull.author_login,
            author_permission=str(await permission(ctx.installation(run), run.repo, pull.author_login)),
            author_is_bot=pull.author_type == "Bot",
            bot_is_listed=await _is_listed(ctx, run, pull),
            is_fork=pull.head_is_fork,
            head_sha=pull.head_sha,
            is_permitted=permit is not None,
            withdrawn=await ctx.permits.withdrawn(run.repo_id, pull.number, pull.head_sha),
        )
    )


async def still_stands(ctx: Context, run: Run) -> Standing:
    """Whether a prepared run may begin. One that has begun is not asked again: what it ran, it ran by right.

    A head that moved closes the way from one that somebody let run to one that nobody has read.
    """
    if run.pr is None or ctx.files(run).records():
        return Stands()
    try:
        return await _look(ctx, run, run.pr)
    except (GitHubUnavailable, RateLimited) as away:
        return Unsure(str(away))


async def look_again(ctx: Context, run_id: str) -> None:
    """Return once GitHub answers about a run's pull request; nothing is changed by it.

    Raises:
        GitHubProblem: it does not yet.
    """
    run = await ctx.run(run_id)
    assert run.pr is not None, run_id
    # What it answers is acted upon where the run is: there a head that moved gets its own.
    with contextlib.suppress(NotFound):
        await trust_of(ctx, run, await get_pull(ctx.installation(run), run.repo, run.pr))


async def _look(ctx: Context, run: Run, number: int) -> Standing:
    try:
        pull = await get_pull(ctx.installation(run), run.repo, number)
    except NotFound:
        await ctx.stop(run.id, Cancelled("losing sight of the pull request"))
        return Stopping()
    if pull.state != "open" or pull.base_repo_id != run.repo_id:
        await ctx.stop(run.id, Cancelled(CLOSING))
        return Stopping()
    if pull.head_sha != run.head_sha:
        await ctx.stop(run.id, Superseded(pull.head_sha))
        return Stopping(pull.head_sha)
    trust = await trust_of(ctx, run, pull)
    if isinstance(trust, Untrusted):
        log.warning("run_barred", number=run.number, author=pull.author_login, because=trust.because)
        return Barred(trust.because, trust.who_can, trust.line)
    if run.trust == TrustLevel.T1 and trust.level != TrustLevel.T1:
        # It was prepared on terms that it would not get now.
        return Barred("its author lost write permission while the run waited", "`/boxes run all` starts it anew", "")
    return Stands()


async def _is_listed(ctx: Context, run: Run, pull: PullFacts) -> bool:
    """Whether the default branch lists, at this moment, the app that opened a pull request.

    Not the base: an app that can push could make a branch that lists it, and choose that as the base.
    """
    if pull.author_type != "Bot" or pull.head_is_fork:
        return False
    return pull.author_id in (await default_config(ctx, record.subject(run), pull.default_branch)).bots


async def is_listed_branch(ctx: Context, pushed: Subject) -> bool:
    """Whether pushes to a branch run: it is the default one, or the default one's configuration lists it.

    Nobody can push a branch that lists itself.
    """
    place = (pushed.installation_id, pushed.repo_id)
    change = ctx.listed.change(place)
    try:
        facts = await repository(ctx.github.installation(pushed.installation_id), pushed.repo)
        if facts.id != pushed.repo_id or pushed.base_ref == facts.default_branch:
            return facts.id == pushed.repo_id
        listed = listed_by(await default_config(ctx, pushed, facts.default_branch))
    except (NotFound, Unprocessable):
        ctx.listed.note(place, (), change=change)
        return False  # gone, or not this installation's.
    ctx.listed.note(place, {*listed, facts.default_branch}, change=change)
    return pushed.base_ref in listed


def listed_by(config: Config) -> frozenset[str]:
    """The branches whose pushes run, beside the default one: those that are protected, and those that are deployed."""
    followed = (branch for environment in environments(config.settings).values() for branch in environment.branches)
    return config.protected.union(followed)


async def default_config(ctx: Context, subject: Subject, branch: str) -> Config:
    """The configuration of the default branch, where it stands, or the organisation's where that has none."""
    tip = await branch_head(ctx.github.installation(subject.installation_id), subject.repo, branch)
    mirror = await ctx.workspaces.fetch(replace(subject, base_sha=tip, head_sha=tip))
    return await config_at(mirror, tip, await default_of(ctx, subject, mirror, tip))


async def config_at(mirror: Mirror, sha: str, default: OrganisationDefault | None) -> Config:
    """A commit's configuration, or the one given where it has none; empty when it cannot be read, as is told later."""
    if default is not None:
        return await _read(default.text)
    text = await mirror.read(sha, CONFIG)
    return await _read(text.decode("utf-8", "replace")) if text is not None else Config()


async def _read(text: str) -> Config:
    try:
        return await asyncio.to_thread(load_config, text)
    except UserError:
        return Config()
