"""Issues that we open ourselves, each known again by a hidden mark in its text."""

from __future__ import annotations

from dataclasses import dataclass

from bot.github.addresses import repository_path
from bot.github.allowance import Lane
from bot.github.app import Installation
from bot.github.errors import GitHubUnavailable, NotFound
from bot.github.pacer import Write

LONGEST_TITLE = 256
MOST_LOOKED_AT = 500
"""Open issues, the newest first, among which one of ours is looked for."""

_LOOKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An issue of ours."""

    number: int
    is_open: bool


async def find_by_marker(gh: Installation, repo: str, marker: str) -> Found | None:
    """Our newest open issue whose text has the mark; one that somebody else quotes does not count."""
    author, looked_at = f"{await gh.app.slug()}[bot]", 0
    async for row in gh.paginate(f"{repository_path(repo)}/issues", {"state": "open"}):
        looked_at += 1
        user, body = row.get("user") or {}, row.get("body") or ""
        if "pull_request" not in row and marker in body and user.get("login") == author and user.get("type") == "Bot":
            return Found(number=int(row["number"]), is_open=True)
        if looked_at == MOST_LOOKED_AT:
            break
    return None


async def open_issue(gh: Installation, repo: str, *, title: str, body: str, marker: str) -> int:
    """The number of our open issue with the mark; it is opened when there is none. A repeat opens no second one.

    Args:
        gh: who speaks.
        repo: `owner/name`.
        title: cut where GitHub would refuse it.
        body: Markdown; the mark is added if it lacks it.
        marker: hidden text, unique for what the issue is about.

    Raises:
        Forbidden: the App lacks `issues: write`.
        NotFound: the repository has no issues.
    """
    text = body if marker in body else f"{body}\n\n{marker}"
    looks = 0
    while True:
        looks += 1
        if (known := await find_by_marker(gh, repo, marker)) is not None:
            return known.number
        try:
            made = await gh.post(
                f"{repository_path(repo)}/issues",
                {"title": title[:LONGEST_TITLE], "body": text},
                write=Write(lane=Lane.COMMENTS),
            )
        except GitHubUnavailable as lost:
            if not lost.maybe_done or looks == _LOOKS:
                raise
        else:
            return int(made.json["number"])


async def edit_issue(gh: Installation, repo: str, number: int, *, body: str) -> bool:
    """Make an issue say something else; False when it is gone."""
    return await _change(gh, repo, number, {"body": body})


async def close_issue(gh: Installation, repo: str, number: int) -> bool:
    """Close an issue as done; False when it is gone. Closing it again changes nothing."""
    return await _change(gh, repo, number, {"state": "closed", "state_reason": "completed"})


async def _change(gh: Installation, repo: str, number: int, changes: dict[str, str]) -> bool:
    path = f"{repository_path(repo)}/issues/{number}"
    try:
        await gh.patch(path, changes, write=Write(lane=Lane.COMMENTS, target=path))
    except NotFound:
        return False
    return True
