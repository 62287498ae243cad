"""Deployments as GitHub shows them: one for each of ours, what is said about it, and the end of those before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.github.addresses import repository_path
from bot.github.allowance import Lane
from bot.github.app import Installation
from bot.github.errors import GitHubUnavailable, UnexpectedAnswer
from bot.github.pacer import Write

LONGEST_DESCRIPTION = 140
MOST_OLDER = 30
"""Earlier deployments of an environment that are looked at; what is older was ended long ago."""

OURS = "interlock"
"""The key of a deployment's payload under which our own id stands."""

_LOOKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A deployment that GitHub shall know.

    Attributes:
        our_id: our own, by which it is found again.
        sha: the commit, whole.
        environment: its name.
        description: a line for people.
        production: whether users are there.
        transient: whether the environment is of this deployment alone.
    """

    our_id: str
    sha: str
    environment: str
    description: str = ""
    production: bool = False
    transient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What is said about a deployment. Addresses that are no http(s) are left out, since GitHub refuses them.

    Attributes:
        state: `queued`, `pending`, `in_progress`, `success`, `failure`, `error` or `inactive`.
        description: for people; what is too long is cut.
        log_url: what explains it.
        environment_url: where users find it.
    """

    state: str
    description: str = ""
    log_url: str = ""
    environment_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """An earlier deployment of an environment; `state` is what was said last, "" for nothing."""

    id: int
    state: str
    is_ours: bool
    is_transient: bool


async def ensure_deployment(gh: Installation, repo: str, wanted: Wanted) -> int:
    """GitHub's number of a deployment of ours; made if there is none. A repeat finds what an earlier call made.

    Checks and branches do not stand in its way: whether it may happen was decided before.

    Raises:
        Unprocessable: GitHub does not know the commit.
        Forbidden: the App lacks `deployments: write`.
    """
    looks = 0
    while True:
        looks += 1
        if found := await find(gh, repo, wanted):
            return found
        try:
            return await _create(gh, repo, wanted)
        except GitHubUnavailable as lost:
            if not lost.maybe_done or looks == _LOOKS:
                raise


async def find(gh: Installation, repo: str, wanted: Wanted) -> int | None:
    """The deployment that carries our id; what others wrote under it does not count."""
    query = {"sha": wanted.sha, "environment": wanted.environment}
    author = await _ourselves(gh)
    async for row in gh.paginate(f"{repository_path(repo)}/deployments", query):
        payload = row.get("payload")
        is_it = isinstance(payload, dict) and payload.get(OURS) == wanted.our_id
        if is_it and _creator(row) == author:
            return _id(row)
    return None


async def said(gh: Installation, repo: str, deployment_id: int) -> tuple[str, ...]:
    """The states that we have said about a deployment, oldest first; what others said is left out."""
    path, author = f"{repository_path(repo)}/deployments/{deployment_id}/statuses", await _ourselves(gh)
    rows = [row async for row in gh.paginate(path)]
    return tuple(str(row.get("state", "")) for row in reversed(rows) if _creator(row) == author)


async def say(gh: Installation, repo: str, deployment_id: int, status: Status) -> None:
    """Say one thing about a deployment. It adds a status each time: look at `said` before a repeat.

    Raises:
        GitHubUnavailable: when it is `maybe_done`, it may have been said.
        NotFound: the deployment was deleted.
    """
    urls = {"log_url": status.log_url, "environment_url": status.environment_url}
    body = {"state": status.state, "description": shortened(status.description)}
    body |= {name: url for name, url in urls.items() if url.startswith(("http://", "https://"))}
    path = f"{repository_path(repo)}/deployments/{deployment_id}/statuses"
    await gh.post(path, body, write=Write(lane=Lane.GATES))


async def earlier(gh: Installation, repo: str, environment: str, *, than: int) -> tuple[Earlier, ...]:
    """The deployments of an environment before one, newest first, as far back as it matters."""
    author, found = await _ourselves(gh), list[Earlier]()
    path = f"{repository_path(repo)}/deployments"
    async for row in gh.paginate(path, {"environment": environment}):
        if (number := _id(row)) >= than:
            continue
        statuses = (await gh.get(f"{path}/{number}/statuses", {"per_page": 1})).json
        newest = statuses[0] if isinstance(statuses, list) and statuses else {}
        found.append(
            Earlier(
                id=number,
                state=str(newest.get("state", "")),
                is_ours=_creator(row) == author,
                is_transient=row.get("transient_environment") is True,
            )
        )
        if len(found) == MOST_OLDER:
            break
    return tuple(found)


def shortened(text: str) -> str:
    """At most as many characters as GitHub takes, with an ellipsis where something was left out."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_DESCRIPTION else f"{line[: LONGEST_DESCRIPTION - 1].rstrip()}…"


async def _create(gh: Installation, repo: str, wanted: Wanted) -> int:
    body = {
        "ref": wanted.sha,
        "environment": wanted.environment,
        "description": shortened(wanted.description),
        "payload": {OURS: wanted.our_id},
        "auto_merge": False,
        "required_contexts": [],
        "production_environment": wanted.production,
        "transient_environment": wanted.transient,
    }
    made = await gh.post(f"{repository_path(repo)}/deployments", body, write=Write(lane=Lane.GATES))
    return _id(made.json)


async def _ourselves(gh: Installation) -> str:
    return f"{await gh.app.slug()}[bot]"


def _creator(row: Mapping[str, Any]) -> str:
    creator = row.get("creator")
    return str(creator.get("login", "")) if isinstance(creator, dict) else ""


def _id(row: object) -> int:
    number = row.get("id") if isinstance(row, dict) else None
    if not isinstance(number, int):
        message = "GitHub answered with a deployment without a number"
        raise UnexpectedAnswer(message)
    return number
