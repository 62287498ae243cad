"""`/ok-to-test SHA`: somebody with write permission lets one commit of a stranger run."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.domain.checks import NAME
from bot.domain.deliveries import ReadCommands
from bot.domain.permits import MayNot, PermitFacts, decide_permit
from bot.flows import record
from bot.flows.context import Context
from bot.flows.requests import open_run
from bot.github.checks import completed_at
from bot.github.comments import read_comment, read_review
from bot.github.errors import NotFound
from bot.github.permissions import permission
from bot.github.pulls import get_pull
from bot.store.audit import Entry
from bot.store.permits import Permit

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Permitted:
    """The commit may run; `run_id` is the run that does, whose flow is still to be started."""

    sha: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing changed. `reason` is a stable word, `because` Markdown without a full stop."""

    reason: str
    because: str


async def permit(ctx: Context, comment: ReadCommands, sha: str) -> Permitted | Refused:
    """Let a commit run because of a comment, if its author may and it is the head now. Safe to repeat.

    Everything is read from GitHub at this moment: the delivery is only a hint, and may be old. Whoever wrote the
    comment had the checks before them that were complete by then; what those name as weakened, the permit accepts.

    Raises:
        GitHubProblem: GitHub did not answer; nothing changed.
    """
    github = ctx.github.installation(comment.installation_id)
    may = str(await permission(github, comment.repo, comment.author))
    pull = await get_pull(github, comment.repo, comment.pr)
    written_at = await as_sent(ctx, comment)
    facts = PermitFacts(
        asked=sha,
        pr=comment.pr,
        head_sha=pull.head_sha,
        is_open=pull.state == "open" and pull.base_repo_id == comment.repo_id,
        actor=comment.author,
        actor_permission=may,
        is_as_sent=written_at is not None,
        was_head=bool(await ctx.runs.of_head(comment.repo_id, comment.pr, sha)),
        head_of=await _head_of(ctx, comment, sha),
    )
    answer = decide_permit(facts)
    await _write_down(ctx, comment, facts, answer.reason if isinstance(answer, MayNot) else "")
    if isinstance(answer, MayNot):
        log.warning("permit_refused", actor=comment.author, pr=comment.pr, reason=answer.reason)
        return Refused(answer.reason, answer.because)
    assert written_at, "decided"
    covers = await _read_by(ctx, comment, answer.sha, written_at)
    await ctx.permits.give(
        Permit(
            repo_id=comment.repo_id,
            pr=comment.pr,
            head_sha=answer.sha,
            by=comment.author,
            comment_id=comment.comment_id,
            given_at=ctx.clock.now(),
            covers="\n".join(sorted(covers)),
        )
    )
    log.info("permit_given", actor=comment.author, pr=comment.pr, sha=answer.sha)
    run = await open_run(
        ctx,
        installation_id=comment.installation_id,
        repo_id=comment.repo_id,
        repo=comment.repo,
        pr=comment.pr,
        head_sha=answer.sha,
        base_ref=pull.base_ref,
        again=f"permit{comment.comment_id}",
        delivery=f"comment:{comment.comment_id}",
    )
    return Permitted(answer.sha, run.id)


async def as_sent(ctx: Context, comment: ReadCommands) -> datetime | None:
    """When the comment was written, by GitHub's clock; None when it is gone, or not what its author sent."""
    github = ctx.github.installation(comment.installation_id)
    try:
        if comment.source == "review":
            said = await read_review(github, comment.repo, comment.pr, comment.comment_id)
        else:
            said = await read_comment(github, comment.repo, comment.comment_id)
    except NotFound:
        return None
    return said.written_at if (said.author, said.body) == (comment.author, comment.body) else None


async def _head_of(ctx: Context, comment: ReadCommands, sha: str) -> int | None:
    """Another pull request of the repository that is known to have had this head."""
    others = await ctx.runs.of_other_pulls(comment.repo_id, sha, comment.pr)
    return next((other.pr for other in others), None)


async def _read_by(ctx: Context, comment: ReadCommands, sha: str, written_at: datetime) -> frozenset[str]:
    """Keys of the weakenings that checks of this head named before the comment was written, by GitHub's clock."""
    github = ctx.github.installation(comment.installation_id)
    read: set[str] = set()
    for run in await ctx.runs.of_head(comment.repo_id, comment.pr, sha):
        keys = record.shown(ctx.files(run))
        check = (await ctx.runs.checks_of(run.id)).get(NAME)
        if not keys or check is None or not check.check_run_id:
            continue
        with contextlib.suppress(NotFound):
            completed = await completed_at(github, comment.repo, check.check_run_id)
            if completed is not None and completed < written_at:  # nobody reads and answers within a second.
                read |= keys
    return frozenset(read)


async def _write_down(ctx: Context, comment: ReadCommands, facts: PermitFacts, reason: str) -> None:
    entry = Entry(
        id=f"permit:{comment.source}:{comment.repo_id}:{comment.comment_id}:{facts.asked}",
        at=ctx.clock.now(),
        actor=comment.author,
        permission=facts.actor_permission,
        action="ok-to-test",
        decision="refused" if reason else "allowed",
        reason=reason,
        repo_id=comment.repo_id,
        repo=comment.repo,
        pr=comment.pr,
        head_sha=facts.head_sha,
    )
    await ctx.audit.write(entry)
