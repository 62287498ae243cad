"""Showing a run on GitHub: its check runs and the pull request's one comment. Repeating any of it changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypedDict

import structlog

from bot.domain.checks import NAME, Check
from bot.domain.comment import Said, marker
from bot.flows import record
from bot.flows.context import Context
from bot.github.allowance import Lane
from bot.github.checks import create_check, ensure_check, update_check
from bot.github.comments import upsert_sticky
from bot.github.errors import Forbidden, GitHubUnavailable, Overtaken
from bot.store.runs import Run, StoredCheck

log = structlog.get_logger()


class Identity(TypedDict):
    """What tells one check run of ours from all others, and where it leads."""

    name: str
    head_sha: str
    external_id: str
    details_url: str


async def publish_checks(ctx: Context, run: Run, checks: Iterable[Check], *, passing: bool = False) -> None:
    """Bring the run's check runs to what `checks` says, in that order; those that show it already cost no call.

    Args:
        ctx: the adapters.
        run: whose check runs they are.
        checks: what they shall say.
        passing: it will be something else soon: what has no turn at once is left out, and nothing waits.
    """
    # GitHub appends annotations and never takes one back, so they are sent when no more can come.
    wanted = [check if check.status == "completed" else replace(check, annotations=()) for check in checks]
    known = await ctx.runs.checks_of(run.id)
    new = [check.name for check in wanted if check.name not in known]
    if new:
        # Saved before GitHub is asked: only after a crash in between need anybody look whether they are there.
        await ctx.runs.intend_checks(run.id, new)
    for check in wanted:
        lane = Lane.PROGRESS if passing else Lane.GATES if check.name == NAME else Lane.CHECKS
        one = _Wanted(check, hashlib.sha256(repr(check).encode()).hexdigest(), lane)
        try:
            await _publish(ctx, run, one, known.get(check.name))
        except Overtaken as overtaken:
            # What is newer will be said, and remembered, by whoever says it.
            log.debug("check_overtaken", because=str(overtaken))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a check run shall say, the digest of that, and how urgent it is."""

    check: Check
    digest: str
    lane: Lane


async def _publish(ctx: Context, run: Run, wanted: _Wanted, stored: StoredCheck | None) -> None:
    if stored is None:
        stored = await _create(ctx, run, wanted)
    elif not stored.check_run_id:
        stored = await _find_or_create(ctx, run, wanted)
    if stored.digest != wanted.digest:
        await _update(ctx, run, wanted, stored)


async def _create(ctx: Context, run: Run, wanted: _Wanted) -> StoredCheck:
    check, identity = wanted.check, _identity(ctx, run, wanted.check)
    try:
        made = await create_check(ctx.installation(run), run.repo, check=check, lane=wanted.lane, **identity)
    except GitHubUnavailable as lost:
        if not lost.maybe_done:
            raise
        return await _find_or_create(ctx, run, wanted)
    # It shows all but annotations now; with some, an update follows.
    shown = "" if check.annotations else wanted.digest
    return await _save(ctx, run, StoredCheck(name=check.name, check_run_id=made, sent_annotations=0, digest=shown))


async def _find_or_create(ctx: Context, run: Run, wanted: _Wanted) -> StoredCheck:
    check, identity = wanted.check, _identity(ctx, run, wanted.check)
    found = await ensure_check(ctx.installation(run), run.repo, check=check, lane=wanted.lane, **identity)
    # Saved before it is filled: after a crash here the same check run is filled, and no second one is made.
    return await _save(ctx, run, StoredCheck(name=check.name, check_run_id=found, sent_annotations=0, digest=""))


async def _update(ctx: Context, run: Run, wanted: _Wanted, stored: StoredCheck) -> None:
    sent = await update_check(
        ctx.installation(run),
        run.repo,
        stored.check_run_id,
        wanted.check,
        sent_annotations=stored.sent_annotations,
        lane=wanted.lane,
    )
    await _save(ctx, run, replace(stored, sent_annotations=sent, digest=wanted.digest))


async def _save(ctx: Context, run: Run, stored: StoredCheck) -> StoredCheck:
    await ctx.runs.save_check(run.id, stored)
    return stored


def _identity(ctx: Context, run: Run, check: Check) -> Identity:
    return {
        "name": check.name,
        "head_sha": run.head_sha,
        "external_id": run.id,
        "details_url": ctx.links.url(run.number),
    }


async def publish_comment(ctx: Context, run: Run, said: Said) -> None:
    """Put this into the pull request's one comment, unless the base does not want one.

    A comment that somebody has deleted is written again only for news; what was said last is remembered for that.
    """
    if run.pr is None or not record.comment_wanted(ctx.files(run)):
        return
    known, last = await ctx.runs.comment_of(run.repo_id, run.pr), await _last_said(ctx, run)
    if known and last.get("body") == _digest(said.body):
        return
    mark = marker(run.repo_id, run.pr, ctx.links.sign)
    is_news = bool(said.news) and last.get("news") != _digest(said.news)
    try:
        comment_id = await upsert_sticky(
            ctx.installation(run),
            run.repo,
            run.pr,
            said.under(mark),
            marker=mark,
            app_slug=await ctx.github.slug(),
            known_id=known,
            revive=is_news,
        )
    except Forbidden as refused:
        # The App may not write on pull requests (the set `observe`), or the conversation is locked: the checks say it.
        log.warning("comment_refused", pr=run.pr, because=str(refused))
        return
    if comment_id is None:
        log.info("comment_left_deleted", pr=run.pr)
        return
    if comment_id != known:
        await ctx.runs.save_comment(run.repo_id, run.pr, comment_id)
    news = _digest(said.news) if said.news else last.get("news", "")
    await ctx.marks.set(_said_key(run), json.dumps({"body": _digest(said.body), "news": news}))


async def _last_said(ctx: Context, run: Run) -> dict[str, str]:
    kept: dict[str, str] = json.loads(await ctx.marks.get(_said_key(run)) or "{}")
    return kept


def _said_key(run: Run) -> str:
    return f"comment:{run.repo_id}:{run.pr}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
