"""Registering the App: the manifest that a person sends to GitHub with one click, and the code that comes back for it.

Source: https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

import httpx

from bot.domain.grants import Tier, events, permissions
from bot.github.addresses import segment
from bot.github.answers import problem, transport_problem
from bot.github.errors import NotFound, UnexpectedAnswer
from bot.github.line import API_VERSION, JSON
from runner import __version__

LONGEST_NAME = 34
"""Characters that GitHub allows in an App's name."""

_CODE = re.compile(r"[A-Za-z0-9_-]{1,100}")
_TIMEOUT = httpx.Timeout(15.0, connect=5.0)


class CodeRefused(Exception):
    """GitHub gives no credentials for this code: it is older than an hour, was used before, or never was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What GitHub hands out once, for a new App. Its representation shows no secret.

    Attributes:
        app_id: the App's number.
        slug: its short name.
        name: its name.
        owner: the account that owns it.
        page: its page on GitHub, from which it is installed.
        private_key: PEM.
        webhook_secret: what its webhooks are signed with.
    """

    app_id: int
    slug: str
    name: str
    owner: str
    page: str
    private_key: str = field(repr=False)
    webhook_secret: str = field(repr=False)

    @property
    def install_page(self) -> str:
        """Where a person installs it."""
        return f"{self.page}/installations/new"


def manifest(*, name: str, public_url: str, redirect_url: str, tier: Tier) -> dict[str, object]:
    """The App as GitHub shall register it: private, its webhooks signed and sent to us.

    Args:
        name: at most `LONGEST_NAME` characters; unique on the whole of that GitHub.
        public_url: where GitHub reaches us, without a slash at the end.
        redirect_url: where the person's browser goes afterwards, with the code.
        tier: how much the App may do.
    """
    return {
        "name": name,
        "url": public_url,
        "description": "Runs numbered test boxes on every pull request, each proved capable of failing.",
        "hook_attributes": {"url": f"{public_url}/webhooks", "active": True},
        "redirect_url": redirect_url,
        "public": False,
        "default_permissions": permissions(tier),
        "default_events": list(events(tier)),
    }


def registration_page(web_url: str, *, org: str, state: str) -> str:
    """Where the manifest is sent to: one's own settings, or those of an organization."""
    place = f"/organizations/{segment(org)}/settings/apps/new" if org else "/settings/apps/new"
    return f"{web_url}{place}?{urlencode({'state': state})}"


async def convert(
    api_url: str, code: str, *, now: datetime, transport: httpx.AsyncBaseTransport | None = None
) -> Credentials:
    """Exchange the code, which works once and for an hour, for the App's credentials.

    Args:
        api_url: the API's address.
        code: what came back with the person's browser.
        now: the time, aware.
        transport: instead of the network.

    Raises:
        CodeRefused: it has been used, or is too old.
        GitHubProblem: no answer, or another one; with `maybe_done` the code may be used up.
    """
    if not _CODE.fullmatch(code):
        raise CodeRefused("this is not a code of GitHub's")
    path = f"/app-manifests/{code}/conversions"
    headers = {"Accept": JSON, "X-GitHub-Api-Version": API_VERSION, "User-Agent": f"interlock/{__version__}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=_TIMEOUT, transport=transport) as client:
        try:
            answer = await client.post(path)
        except httpx.HTTPError as error:
            raise transport_problem(error, "POST", "/app-manifests/…/conversions") from None
    refused = problem(answer, now)
    if isinstance(refused, NotFound) or answer.status_code == 422:
        raise CodeRefused("GitHub does not know this code: it works once, and for an hour")
    if refused:
        raise refused
    return _credentials(answer)


def _credentials(answer: httpx.Response) -> Credentials:
    try:
        given: Mapping[str, object] = answer.json()
        owner = given["owner"]
        found = Credentials(
            app_id=int(str(given["id"])),
            slug=str(given["slug"]),
            name=str(given["name"]),
            owner=str(owner["login"] if isinstance(owner, dict) and "login" in owner else ""),
            page=str(given["html_url"]),
            private_key=str(given["pem"]),
            webhook_secret=str(given["webhook_secret"] or ""),
        )
    except (ValueError, KeyError, TypeError):
        found = None
    # Outside of the handler: a traceback would show the frames that hold the secrets.
    if found is None or not found.webhook_secret or "PRIVATE KEY-----" not in found.private_key:
        message = f"{answer.url.host} answered the code with something else than an App's credentials"
        raise UnexpectedAnswer(message)
    return found
