"""What `interlock setup` was asked for, judged before anything is done. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bot.domain.grants import Tier
from bot.github.addresses import api_url, on_loopback
from bot.github.manifest import LONGEST_NAME
from bot.ops.settings import has_a_place

GITHUB = "https://github.com"
_ORG = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,98})")


class BadPlan(Exception):
    """It cannot be done as asked. Nothing was done; the message says what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One setup.

    Attributes:
        public_url: where GitHub reaches the bot.
        web_url: that GitHub's pages.
        api_url: its API.
        org: the organization that shall own the App; "" for the person who presses the button.
        name: the App's name; the person may change it on GitHub's page.
        tier: how much the App may do.
        host: the address that setup listens on, and the bot afterwards.
        port: likewise.
        data_dir: the bot's data directory.
        replace: whether credentials that are there may be replaced.
        through_public: whether the person's browser comes by way of the public address.
    """

    public_url: str
    web_url: str
    api_url: str
    org: str
    name: str
    tier: Tier
    host: str
    port: int
    data_dir: Path
    replace: bool = False
    through_public: bool = False

    @property
    def page_url(self) -> str:
        """Where the person's browser finds setup's page, without a slash at the end."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::", "::1", "localhost"} else self.host  # noqa: S104 - compared.
        return self.public_url if self.through_public else f"http://{host}:{self.port}"

    @property
    def settings(self) -> dict[str, str | int]:
        """What the bot has to be told, apart from the credentials."""
        told: dict[str, str | int] = {"public_url": self.public_url}
        if self.web_url != GITHUB:
            told |= {"github_api_url": self.api_url, "github_url": self.web_url}
        return told


def make_plan(
    *,
    url: str,
    github: str,
    org: str,
    name: str,
    tier: str,
    host: str,
    port: int,
    data_dir: Path,
    replace: bool,
    public: bool,
) -> Plan:
    """Judge what was asked for.

    Raises:
        BadPlan: an address cannot work, or a name cannot be one.
    """
    web = _github(github.rstrip("/"))
    public_url = _public(url.rstrip("/"), web)
    if org and not _ORG.fullmatch(org):
        message = f"--org: {org!r} is not an organization's name"
        raise BadPlan(message)
    if len(name) > LONGEST_NAME:
        message = f"--name: GitHub allows {LONGEST_NAME} characters, these are {len(name)}"
        raise BadPlan(message)
    return Plan(
        public_url=public_url,
        web_url=web,
        api_url=api_url(web),
        org=org,
        name=name or default_name(public_url),
        tier=Tier(tier),
        host=host,
        port=port,
        data_dir=data_dir,
        replace=replace,
        through_public=public,
    )


def default_name(public_url: str) -> str:
    """A name that nobody else has: App names are unique on all of GitHub, and so is a host's."""
    host = re.sub(r"[^a-z0-9]+", "-", (urlsplit(public_url).hostname or "").lower()).strip("-")
    return f"interlock-{host}"[:LONGEST_NAME].rstrip("-")


def _github(web: str) -> str:
    parts = urlsplit(web)
    if parts.scheme not in {"http", "https"} or not has_a_place(web):
        message = f"--github: {web!r} is not the address of a GitHub; write https://HOST"
        raise BadPlan(message)
    if parts.scheme == "http" and not on_loopback(web):
        raise BadPlan("--github: a key would travel unencrypted; use https")
    if parts.path or parts.query:
        message = f"--github: give its pages' address alone, {parts.scheme}://{parts.netloc}; the API's follows from it"
        raise BadPlan(message)
    return web


def _public(url: str, web: str) -> str:
    if not url:
        raise BadPlan("say with --url under which address GitHub reaches this machine, https://interlock.example.com")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not has_a_place(url) or parts.query or parts.fragment or parts.username:
        message = f"--url: {url!r} is not an address; write https://HOST"
        raise BadPlan(message)
    if on_loopback(web):
        return url
    if parts.scheme == "http":
        raise BadPlan("--url: webhooks hold private code; use https, see docs/how-to/install-on-a-server.md")
    # An Enterprise Server may well sit in the same private network.
    if api_url(web).startswith("https://api.") and _is_private(parts.hostname or ""):
        message = f"--url: GitHub cannot reach {parts.hostname}; give a name that the internet knows"
        raise BadPlan(message)
    return url


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return False
