"""GitHub as the demo's user sees it: REST with a personal token. Nothing here knows the bot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

APP_LOGIN = "interlock[bot]"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRun:
    """One check of a commit. `conclusion` is "" until it is completed."""

    id: int
    name: str
    status: str
    conclusion: str
    title: str
    details_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An annotation: a message at a line of a file."""

    path: str
    line: int
    message: str


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment on a pull request."""

    id: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """A deployment as GitHub shows it. `said` has its statuses, oldest first: state and description."""

    id: int
    sha: str
    said: tuple[tuple[str, str], ...]

    @property
    def state(self) -> str:
        """What was said last; "" before anything was."""
        return self.said[-1][0] if self.said else ""


class GitHubUser:
    """A user's calls to one repository.

    Args:
        url: the API's address.
        token: the user's.
        repository: `owner/name`.
    """

    def __init__(self, url: str, token: str, repository: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
        self._client = httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=10)
        self._repository = f"/repos/{repository}"

    async def close(self) -> None:
        """Drop the connections."""
        await self._client.aclose()

    async def open_pull_request(self, *, head: str, base: str, title: str, body: str) -> tuple[int, str]:
        """Propose a branch; the pull request's number and page."""
        wish = {"head": head, "base": base, "title": title, "body": body}
        answer = await self._client.post(f"{self._repository}/pulls", json=wish)
        answer.raise_for_status()
        return answer.json()["number"], answer.json()["html_url"]

    async def checks(self, sha: str) -> list[CheckRun]:
        """All check runs of a commit, in the order of their names."""
        found = await self._get(f"{self._repository}/commits/{sha}/check-runs", filter="all", per_page="100")
        return sorted((_check_run(row) for row in found["check_runs"]), key=lambda check: check.name)

    async def annotations(self, check_run_id: int) -> list[Note]:
        """The notes that a check run left on lines."""
        found = await self._get(f"{self._repository}/check-runs/{check_run_id}/annotations")
        return [Note(path=row["path"], line=row["start_line"], message=row["message"] or "") for row in found]

    async def app_comments(self, number: int) -> list[Comment]:
        """What Interlock's App wrote on a pull request, oldest first."""
        found = await self._get(f"{self._repository}/issues/{number}/comments", per_page="100")
        return [Comment(row["id"], row["body"]) for row in found if row["user"]["login"] == APP_LOGIN]

    async def merge(self, number: int) -> str:
        """Merge a pull request; the SHA that its base has then."""
        answer = await self._client.put(f"{self._repository}/pulls/{number}/merge", json={})
        answer.raise_for_status()
        return str(answer.json()["sha"])

    async def say(self, number: int, body: str) -> None:
        """Comment on a pull request."""
        answer = await self._client.post(f"{self._repository}/issues/{number}/comments", json={"body": body})
        answer.raise_for_status()

    async def deployments(self, environment: str) -> list[Shipped]:
        """The deployments to an environment, newest first."""
        rows = await self._get(f"{self._repository}/deployments", environment=environment, per_page="20")
        return [await self._shipped(row) for row in rows]

    async def app_issues(self) -> list[tuple[str, str]]:
        """Titles and states of the issues that Interlock's App opened, newest first."""
        rows = await self._get(f"{self._repository}/issues", state="all", per_page="20")
        return [
            (row["title"], row["state"])
            for row in rows
            if row["user"]["login"] == APP_LOGIN and "pull_request" not in row
        ]

    async def _shipped(self, row: Any) -> Shipped:
        said = await self._get(f"{self._repository}/deployments/{row['id']}/statuses", per_page="50")
        told = tuple((one["state"], one["description"] or "") for one in reversed(said))
        return Shipped(id=row["id"], sha=row["sha"], said=told)

    async def _get(self, path: str, **query: str) -> Any:
        answer = await self._client.get(path, params=query)
        answer.raise_for_status()
        return answer.json()


def _check_run(row: Any) -> CheckRun:
    return CheckRun(
        id=row["id"],
        name=row["name"],
        status=row["status"],
        conclusion=row["conclusion"] or "",
        title=row["output"]["title"] or "",
        details_url=row["details_url"] or "",
    )
