"""Reads what GitHub knows about our App: itself, its webhook, the deliveries to it, its installations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from bot.domain.deploy.gate_facts import Unknown
from bot.domain.registration import AppFacts, DeliveryFacts, Guarded, HookFacts, InstallationFacts, Quota
from bot.github.addresses import repository_path
from bot.github.answers import transport_problem
from bot.github.app import AppItself, Installation
from bot.github.environments import asks_us
from bot.github.errors import Forbidden, NotFound, UnexpectedAnswer
from bot.github.line import API_VERSION, JSON
from runner import __version__

MOST_ENVIRONMENTS = 20
"""Of a repository that are looked at."""


async def about(app: AppItself) -> AppFacts:
    """The App as it is registered."""
    said = (await app.get("/app")).json
    owner = said.get("owner") or {}
    return AppFacts(
        slug=str(said["slug"]),
        name=str(said["name"]),
        owner=str(owner.get("login") or owner.get("slug") or ""),
        page=str(said["html_url"]),
        permissions=_levels(said.get("permissions")),
        events=tuple(map(str, said.get("events") or ())),
    )


async def hook(app: AppItself) -> HookFacts:
    """Where its webhooks go."""
    said = (await app.get("/app/hook/config")).json
    return HookFacts(
        url=str(said.get("url") or ""),
        has_secret=bool(said.get("secret")),
        checks_certificates=str(said.get("insecure_ssl", "0")) == "0",
        as_json=said.get("content_type", "json") == "json",
    )


async def recent_deliveries(app: AppItself, *, most: int = 30) -> tuple[DeliveryFacts, ...]:
    """The newest attempts at webhooks, newest first; at most 100."""
    rows = (await app.get("/app/hook/deliveries", {"per_page": most})).json
    return tuple(
        DeliveryFacts(
            id=int(row["id"]),
            guid=str(row["guid"]),
            event=str(row["event"]),
            status=str(row.get("status") or ""),
            status_code=int(row.get("status_code") or 0),
            delivered_at=datetime.fromisoformat(row["delivered_at"]),
        )
        for row in rows
    )


async def installations(app: AppItself) -> tuple[InstallationFacts, ...]:
    """The accounts that the App is on."""
    rows = [row async for row in app.paginate("/app/installations")]
    return tuple(
        InstallationFacts(
            id=int(row["id"]),
            account=str((row.get("account") or {}).get("login") or (row.get("account") or {}).get("slug") or "?"),
            page=str(row.get("html_url") or ""),
            permissions=_levels(row.get("permissions")),
            events=tuple(map(str, row.get("events") or ())),
            suspended=bool(row.get("suspended_at")),
            is_person=(row.get("account") or {}).get("type") == "User",
        )
        for row in rows
    )


def _levels(said: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(name): str(level) for name, level in (said or {}).items()}


async def guarded(installation: Installation, *, most: int) -> tuple[Guarded, ...]:
    """Which environments ask our rule, in so many of the repositories that an installation reaches."""
    found: list[Guarded] = []
    async for row in installation.paginate("/installation/repositories", key="repositories"):
        if len(found) == most:
            break
        repo = str(row["full_name"])
        asking = await _asking(installation, repo)
        found.append(Guarded(repo=repo, private=bool(row.get("private")), asking=asking))
    return tuple(found)


async def _asking(installation: Installation, repo: str) -> tuple[str, ...] | None:
    try:
        page = (await installation.get(f"{repository_path(repo)}/environments")).json
    except Forbidden:
        return None
    except NotFound:
        return ()  # its plan has no environments.
    names = [str(one["name"]) for one in page.get("environments") or ()][:MOST_ENVIRONMENTS]
    answers = {name: await asks_us(installation, repo, name) for name in names}
    if any(isinstance(one, Unknown) for one in answers.values()):
        return None
    return tuple(name for name, asks in answers.items() if asks)


async def calls_left(installation: Installation) -> Quota | None:
    """What is left of the hourly limit of calls; None where that GitHub sets none. Asking costs nothing."""
    try:
        core = (await installation.get("/rate_limit")).json["resources"]["core"]
    except NotFound:
        return None
    resets_at = datetime.fromtimestamp(int(core["reset"]), UTC)
    return Quota(remaining=int(core["remaining"]), limit=int(core["limit"]), resets_at=resets_at)


async def skew(
    api_url: str, now: Callable[[], datetime], *, transport: httpx.AsyncBaseTransport | None = None
) -> timedelta:
    """GitHub's clock minus ours, as its `Date` header tells it: to the second.

    Asked without credentials, since a clock that is wrong makes GitHub refuse ours.

    Raises:
        GitHubUnavailable: nobody answered.
        UnexpectedAnswer: somebody did, without saying when.
    """
    headers = {"Accept": JSON, "X-GitHub-Api-Version": API_VERSION, "User-Agent": f"interlock/{__version__}"}
    async with httpx.AsyncClient(base_url=api_url, headers=headers, timeout=10.0, transport=transport) as client:
        asked = now()
        try:
            answer = await client.get("/rate_limit")
        except httpx.HTTPError as error:
            raise transport_problem(error, "GET", "/rate_limit") from None
        heard = now()
    try:
        theirs = parsedate_to_datetime(answer.headers["date"]).replace(tzinfo=UTC)
    except (KeyError, ValueError):
        message = f"{answer.url.host} does not say what time it is; is it GitHub's API?"
        raise UnexpectedAnswer(message) from None
    # Half a second, since the header leaves fractions out.
    return theirs + timedelta(seconds=0.5) - (asked + (heard - asked) / 2)
