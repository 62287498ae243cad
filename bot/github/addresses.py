"""Where GitHub is: the API's address, and the address of its pages and git that follows from it. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import quote, urlsplit

_RESIDENT = ".ghe.com"
"""GitHub Enterprise Cloud with data residency: a subdomain for each enterprise."""
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+")


def web_url(api_url: str, override: str = "") -> str:
    """The origin of pages and of git, without a trailing slash.

    api.github.com → github.com, api.T.ghe.com → T.ghe.com, `https://H/api/v3` → `https://H`, anything else → its own
    origin; `override` wins.
    """
    if override:
        return override.rstrip("/")
    parts = urlsplit(api_url)
    host = parts.hostname or ""
    if host == "api.github.com" or (host.startswith("api.") and host.endswith(_RESIDENT)):
        return f"https://{host.removeprefix('api.')}"
    return f"{parts.scheme}://{parts.netloc}"


def api_url(web: str) -> str:
    """The API that belongs to the address of a GitHub's pages; the way back of `web_url`.

    A stand-in on loopback answers both at one address.
    """
    parts = urlsplit(web.rstrip("/"))
    host = parts.hostname or ""
    if host == "github.com" or host.endswith(_RESIDENT):
        return f"https://api.{host}"
    if on_loopback(web):
        return f"{parts.scheme}://{parts.netloc}"
    return f"{parts.scheme}://{parts.netloc}/api/v3"


def on_loopback(url: str) -> bool:
    """Whether an address leads to this machine alone."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


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
