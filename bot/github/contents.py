"""One file of a repository through the API: enough to see whether a repository has a configuration, without a clone."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import quote

from bot.github.addresses import repository_path
from bot.github.app import Installation
from bot.github.errors import NotFound, UnexpectedAnswer


async def read_file(gh: Installation, repo: str, path: str, *, ref: str) -> bytes | None:
    """A file's bytes at a commit; None when there is no such file, or it is a directory, symlink or submodule.

    GitHub gives up to 1 MiB this way; for more, use a mirror.

    Args:
        gh: who speaks.
        repo: `owner/name`.
        path: relative to the root.
        ref: a full SHA.

    Raises:
        UnexpectedAnswer: the file is larger than GitHub gives.
    """
    if not path or path.startswith("/") or ".." in path.split("/"):
        return None
    try:
        said = (
            await gh.get(f"{repository_path(repo)}/contents/{quote(path, safe='/')}", {"ref": ref}, again=True)
        ).json
    except NotFound:
        return None
    if not isinstance(said, dict) or said.get("type") != "file":
        return None
    if said.get("encoding") != "base64":
        message = f"{path} of {repo} is too large to be read through GitHub's API"
        raise UnexpectedAnswer(message)
    try:
        return base64.b64decode(said["content"])
    except (binascii.Error, KeyError, TypeError):
        message = f"GitHub sent {path} of {repo} in a form that cannot be read"
        raise UnexpectedAnswer(message) from None
