"""Releases on GitHub: a tag with a text."""

from __future__ import annotations

from bot.github.addresses import repository_path, segment
from bot.github.allowance import Lane
from bot.github.app import Installation
from bot.github.errors import GitHubUnavailable, NotFound, UnexpectedAnswer
from bot.github.pacer import Write

_LOOKS = 3


async def find_release(gh: Installation, repo: str, tag: str) -> str:
    """The page of the release of a tag, "" when there is none."""
    try:
        said = (await gh.get(f"{repository_path(repo)}/releases/tags/{segment(tag)}")).json
    except NotFound:
        return ""
    return _page(said)


async def create_release(gh: Installation, repo: str, *, tag: str, sha: str, name: str, body: str) -> str:
    """The page of the release of a tag; made, with the tag on this commit, when there is none. Safe to repeat.

    A release that is there already is left as it is, whoever made it.

    Raises:
        Forbidden: the App lacks `contents: write`.
        Unprocessable: the tag is no name for one.
    """
    looks = 0
    while True:
        looks += 1
        if page := await find_release(gh, repo, tag):
            return page
        wanted = {"tag_name": tag, "target_commitish": sha, "name": name, "body": body}
        try:
            made = await gh.post(f"{repository_path(repo)}/releases", wanted, write=Write(lane=Lane.COMMENTS))
        except GitHubUnavailable as lost:
            if not lost.maybe_done or looks == _LOOKS:
                raise
        else:
            return _page(made.json)


def _page(said: object) -> str:
    page = said.get("html_url") if isinstance(said, dict) else None
    if not isinstance(page, str):
        message = "GitHub answered with a release without a page"
        raise UnexpectedAnswer(message)
    return page
