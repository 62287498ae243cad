"""Where GitHub is: the API's address, and the address of its pages and git that follows from it. Pure."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")


def web_url(api_url: str, override: str = "") -> str:
    """The origin of pages and of git, without a trailing slash.

    api.github.com → github.com, `https://H/api/v3` → `https://H`, anything else → its own origin; `override` wins.
    """
    if override:
        return override.rstrip("/")
    parts = urlsplit(api_url)
    if parts.hostname == "api.github.com":
        return "https://github.com"
    return f"{parts.scheme}://{parts.netloc}"


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what must be equal for a token to be sent along."""
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default


def repository_path(repo: str) -> str:
    """`/repos/octo/app` for `octo/app`.

    Raises:
        ValueError: `repo` is not `owner/name`, so that no name can reach another endpoint.
    """
    name = repo.partition("/")[2]
    if not _REPOSITORY.fullmatch(repo) or name in (".", ".."):
        message = f"not a repository's full name: {repo!r}"
        raise ValueError(message)
    return f"/repos/{repo}"


def segment(value: str) -> str:
    """One path segment; slashes and everything else that means something in a URL are quoted."""
    return quote(value, safe="")
