"""Which repository a submodule's address means: one on the same host, or none. Pure."""

from __future__ import annotations

import posixpath
import re
from urllib.parse import urlsplit

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}")
_SCP = re.compile(r"git@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^:]+)")


def repository_of(url: str, *, repo: str, web_url: str) -> str | None:
    """`owner/name` of a submodule's repository; None when it is not on the host that `repo` is on.

    Nothing of the address is used but the name that it comes to: `file://`, `ext::`, passwords, ports and other hosts
    never reach git.

    Args:
        url: as `.gitmodules` has it: `https://HOST/owner/name.git`, `git@HOST:owner/name`, or relative.
        repo: the repository that has the submodule.
        web_url: where that one is.
    """
    path = _path(url.strip(), repo, urlsplit(web_url).hostname or "")
    name = path.strip("/").removesuffix(".git") if path is not None else ""
    return name if _NAME.fullmatch(name) and ".." not in name.split("/") else None


def _path(url: str, repo: str, host: str) -> str | None:
    if url.startswith(("./", "../")):
        return posixpath.normpath(posixpath.join("/", repo, url))
    if found := _SCP.fullmatch(url):
        return found["path"] if found["host"].lower() == host else None
    try:
        parts = urlsplit(url)
        is_there = parts.scheme in {"https", "http", "ssh", "git"} and (parts.hostname or "") == host
    except ValueError:
        return None
    return parts.path if is_there and not parts.password and not parts.query and not parts.fragment else None
