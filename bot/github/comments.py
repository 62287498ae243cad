"""Comments on pull requests: the one that is kept up to date, and answers to commands."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.github.addresses import repository_path
from bot.github.allowance import Lane
from bot.github.app import Installation
from bot.github.errors import GitHubUnavailable, NotFound, Overtaken, UnexpectedAnswer
from bot.github.pacer import Write

_LOOKS = 3


async def upsert_sticky(
    gh: Installation,
    repo: str,
    pr: int,
    body: str,
    *,
    marker: str,
    app_slug: str,
    known_id: int | None = None,
    revive: bool = True,
) -> int | None:
    """Make our one comment that begins with `marker` say `body`; returns its id, which the caller keeps for next time.

    A repeat after a lost answer finds the comment that was made.

    Args:
        gh: who speaks.
        repo: `owner/name`.
        pr: the pull request.
        body: Markdown of at most 65 536 characters that begins with `marker`.
        marker: hidden text by which we know the comment again; only our own App's comments count.
        app_slug: the App's short name.
        known_id: what an earlier call returned.
        revive: whether a known comment that somebody has deleted is written again; if not, the answer is None.
    """
    if known_id is not None:
        if await _edited(gh, repo, known_id, body):
            return known_id
        if not revive:
            return None
    return await _write_once(gh, repo, pr, body, marker=marker, app_slug=app_slug, edit=True)


async def reply(gh: Installation, repo: str, pr: int, body: str, *, marker: str) -> int:
    """Comment once: when a comment of ours with `marker` is there already, nothing is written. Returns its id.

    Args:
        gh: who speaks.
        repo: `owner/name`.
        pr: the pull request or issue.
        body: Markdown; `marker` is appended if it lacks it.
        marker: hidden text, unique for what is answered: `<!-- interlock:reply:123 -->`.
    """
    signed = body if marker in body else f"{body}\n\n{marker}"
    # Two who answer the same thing at once would both find that nobody has answered yet.
    turn = gh.app.replying.setdefault((repo, pr), asyncio.Lock())
    async with turn:
        return await _write_once(gh, repo, pr, signed, marker=marker, app_slug=await gh.app.slug(), edit=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A comment or a review as it stands; `written_at` by GitHub's clock, aware."""

    author: str
    body: str
    written_at: datetime


async def read_comment(gh: Installation, repo: str, comment_id: int) -> Said:
    """A comment on an issue or pull request.

    Raises:
        NotFound: it is gone.
    """
    path = f"{repository_path(repo)}/issues/comments/{comment_id}"
    return _said((await gh.get(path)).json, "created_at", path)


async def read_review(gh: Installation, repo: str, pr: int, review_id: int) -> Said:
    """A submitted review.

    Raises:
        NotFound: it is gone.
    """
    path = f"{repository_path(repo)}/pulls/{pr}/reviews"
    async for review in gh.paginate(path):
        if review.get("id") == review_id:
            return _said(review, "submitted_at", path)
    message = f"review {review_id} is gone"
    raise NotFound(message)


def _said(raw: Any, written: str, path: str) -> Said:
    try:
        author = (raw["user"] or {}).get("login", "ghost")
        return Said(author=author, body=raw["body"] or "", written_at=datetime.fromisoformat(raw[written]))
    except (KeyError, TypeError, ValueError, AttributeError):
        message = f"GitHub answered GET {path} without a usable author, body or {written}"
        raise UnexpectedAnswer(message) from None


async def _write_once(
    gh: Installation, repo: str, pr: int, body: str, *, marker: str, app_slug: str, edit: bool
) -> int:
    looks = 0
    while True:
        looks += 1
        found = await _find(gh, repo, pr, marker=marker, app_slug=app_slug, at_front=edit)
        if found is not None and (not edit or await _edited(gh, repo, found, body)):
            return found
        try:
            created = await gh.post(f"{repository_path(repo)}/issues/{pr}/comments", {"body": body})
        except GitHubUnavailable as lost:
            if not lost.maybe_done or looks == _LOOKS:
                raise
        else:
            return int(created.json["id"])


async def _edited(gh: Installation, repo: str, comment_id: int, body: str) -> bool:
    """False when the comment is gone. Something newer that is written to it is as good."""
    path = f"{repository_path(repo)}/issues/comments/{comment_id}"
    try:
        await gh.patch(path, {"body": body}, write=Write(lane=Lane.COMMENTS, target=path))
    except NotFound:
        return False
    except Overtaken:
        return True
    return True


async def _find(gh: Installation, repo: str, pr: int, *, marker: str, app_slug: str, at_front: bool) -> int | None:
    """The oldest comment with the marker that our App wrote; a marker that somebody else quotes does not count."""
    author = f"{app_slug}[bot]"
    async for comment in gh.paginate(f"{repository_path(repo)}/issues/{pr}/comments"):
        user, body = comment.get("user") or {}, comment.get("body") or ""
        is_marked = body.startswith(marker) if at_front else marker in body
        if is_marked and user.get("login") == author and user.get("type") == "Bot":
            return int(comment["id"])
    return None
