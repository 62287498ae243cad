"""The first step of a run: read the facts, decide whether it may run, and lay out its files."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, replace
from typing import Any

import structlog

from bot.domain.checks import Check, config_error, conflict, refused, unable
from bot.domain.stopping import Superseded, from_text, in_words
from bot.domain.subject import Subject
from bot.domain.trust import TrustFacts, Untrusted, decide_trust
from bot.flows import record
from bot.flows.context import Context
from bot.flows.listing import Listing
from bot.github.errors import NotFound
from bot.github.git import Conflict, Mirror
from bot.github.permissions import permission
from bot.github.pulls import PullFacts, get_pull
from bot.store.runs import Run
from runner.config import FILE as CONFIG
from runner.config import load_config
from runner.errors import BadSelection, NothingSelected, UserError
from runner.model import Box, BoxId
from runner.select import parse, select

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ready:
    """The files lie there; the boxes can run."""


@dataclass(frozen=True, slots=True)
class Pass:
    """There is nothing to say to anybody."""

    because: str


@dataclass(frozen=True, slots=True)
class Stale:
    """The pull request has moved on to another head."""

    head_sha: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nothing runs, and these checks say why. `because` is one sentence for the comment and the log."""

    checks: tuple[Check, ...]
    because: str


@dataclass(frozen=True, slots=True)
class Decline:
    """The selection that somebody asked for means nothing on this head; earlier verdicts stay as they are."""

    because: str


Answer = Ready | Pass | Stale | Refuse | Decline


async def prepare(ctx: Context, run_id: str) -> Answer:
    """Read what GitHub says now, decide, and write the run's files. Safe to repeat until the run executes."""
    run = await ctx.run(run_id)
    if (stop := from_text(run.stop_because)) is not None:
        return Pass(in_words(stop))
    try:
        if run.pr is None:
            return await _prepare_push(ctx, run)
        pull = await get_pull(ctx.installation(run), run.repo, run.pr)
        return await _prepare_pull(ctx, run, pull)
    except NotFound as gone:
        return Pass(f"GitHub does not show it to us any more: {gone}")


async def _prepare_push(ctx: Context, run: Run) -> Answer:
    of_head = replace(record.subject(run), base_sha=run.head_sha)
    if not await _has_boxes(await ctx.workspaces.fetch(of_head), run.head_sha):
        return Pass("there are no boxes")
    await ctx.runs.update(run.id, base_sha=run.head_sha, trust="T0", title=f"push to {run.base_ref}")
    return await _lay_out(ctx, run, of_head)


async def _prepare_pull(ctx: Context, run: Run, pull: PullFacts) -> Answer:
    if pull.state != "open":
        return Pass(f"the pull request is {pull.state}")
    if pull.head_sha != run.head_sha:
        return Stale(pull.head_sha)
    await ctx.runs.update(
        run.id, title=pull.title[:300], author=pull.author_login, base_ref=pull.base_ref, base_sha=pull.base_sha
    )
    await _supersede(ctx, run)
    subject = replace(record.subject(run), base_ref=pull.base_ref, base_sha=pull.base_sha)
    # The base alone, first: whether there are boxes decides whether a stranger's pull request hears anything at all.
    mirror = await ctx.workspaces.fetch(replace(subject, head_sha=pull.base_sha))
    if not await _has_boxes(mirror, pull.base_sha):
        return Pass("the base has no boxes")
    is_bot = pull.author_type == "Bot"
    trust = decide_trust(
        TrustFacts(
            event="pull_request",
            author=pull.author_login,
            author_permission=str(await permission(ctx.installation(run), run.repo, pull.author_login)),
            author_is_bot=is_bot,
            bot_is_listed=is_bot and pull.author_id in await _listed_bots(mirror, pull.base_sha),
            is_fork=pull.head_is_fork,
        )
    )
    if isinstance(trust, Untrusted):
        log.warning("run_refused", reason="untrusted", author=pull.author_login, fork=pull.head_is_fork)
        return Refuse(refused(trust), trust.because)
    await ctx.runs.update(run.id, trust=str(trust.level))
    return await _lay_out(ctx, run, subject)


async def _supersede(ctx: Context, run: Run) -> None:
    """A newer head ends what runs for an older one; runs of the same head take turns instead."""
    assert run.pr is not None
    for other in await ctx.runs.open_of(run.repo_id, run.pr):
        if other.number < run.number and other.head_sha != run.head_sha:
            await ctx.stop(other.id, Superseded(run.head_sha))


async def _has_boxes(mirror: Mirror, sha: str) -> bool:
    return bool(await mirror.list(sha, "boxes")) or await mirror.read(sha, CONFIG) is not None


async def _listed_bots(mirror: Mirror, base_sha: str) -> frozenset[int]:
    """Ids of the accounts that the base lists; none when its configuration cannot be read, which is told later."""
    text = await mirror.read(base_sha, CONFIG)
    if text is None:
        return frozenset()
    try:
        config = await asyncio.to_thread(load_config, text.decode("utf-8", "replace"))
    except UserError:
        return frozenset()
    return config.bots


async def _lay_out(ctx: Context, run: Run, subject: Subject) -> Answer:
    """Write the tree under test and the base's, and read the plan of all boxes in a process of its own."""
    files = ctx.files(run)
    if files.directory.exists():
        await asyncio.to_thread(shutil.rmtree, files.directory)
    files.directory.mkdir(parents=True)
    async with Listing(ctx, run) as listing:
        workspace = await ctx.workspaces.prepare(subject, files.directory)
        if isinstance(workspace, Conflict):
            shown = conflict(workspace.paths, base_ref=subject.base_ref)
            return Refuse(shown, f"it does not merge into {subject.base_ref}")
        listed = await listing.read()
    if errors := listed.get("errors"):
        return Refuse(config_error([UserError(**error) for error in errors]), "its boxes cannot be read")
    if not listed.get("boxes"):
        return Refuse(unable("there is no box left on this head"), "there is no box left on this head")
    record.save_plan(files, listed["boxes"])
    if (mistake := _mistake_in(run.selection, listed["boxes"])) is not None:
        return Decline(mistake)
    await ctx.runs.update(run.id, config_hash=str(listed.get("config_hash", "")))
    return Ready()


def _mistake_in(selection: str, listed: list[dict[str, Any]]) -> str | None:
    """What is wrong with a selection on this head, or None. `failed` is known only when the run's turn has come."""
    boxes = [
        Box(
            id=BoxId(raw["suite"], raw["box"]),
            tier=raw["tier"],
            title=raw["title"],
            kind="file",
            source=raw["source"],
            tags=raw.get("tags", ()),
        )
        for raw in listed
    ]
    try:
        wanted = parse(selection)
        if wanted.changed_refs():
            return "changed: needs a working copy with its history; name the boxes, a tier or a tag"
        select(selection, boxes, failed=[box.id for box in boxes])
    except (BadSelection, NothingSelected) as mistake:
        return str(mistake)
    return None
