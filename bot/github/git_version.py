"""Whether the installed git can do what the mirror asks of it; asked once, before the bot takes anything in."""

from __future__ import annotations

import asyncio
import re

OLDEST = (2, 38)
"""`git merge-tree --write-tree`, by which a head is merged into its base. Source: git's release notes, 2.38.0."""


class GitUnusable(Exception):
    """There is no git, or one that is too old. Nothing was done."""


async def require_git() -> str:
    """Look at the git on PATH.

    Returns:
        Its version.

    Raises:
        GitUnusable: it is missing or too old; the sentence says what is needed.
    """
    try:
        child = await asyncio.create_subprocess_exec("git", "--version", stdout=asyncio.subprocess.PIPE)
    except OSError as error:
        message = f"git cannot be started ({error.strerror}); install git {_needed()} or newer"
        raise GitUnusable(message) from error
    said, _ = await child.communicate()
    return judge_git(said.decode("utf-8", "replace"))


def judge_git(said: str) -> str:
    """Judge what `git --version` printed, and return the version in it.

    Raises:
        GitUnusable: it is too old, or not a version.
    """
    found = re.match(r"git version (\d+)\.(\d+)", said)
    if found is None:
        message = f"`git --version` says {said.strip()[:60]!r}; git {_needed()} or newer is needed"
        raise GitUnusable(message)
    if (int(found[1]), int(found[2])) < OLDEST:
        message = f"git {found[1]}.{found[2]} cannot merge without a work tree; install git {_needed()} or newer"
        raise GitUnusable(message)
    return f"{found[1]}.{found[2]}"


def _needed() -> str:
    return ".".join(str(part) for part in OLDEST)
