"""Commit statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub import refusals
from bot.localhub.records import Status
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.rest.repositories import known_commit
from bot.localhub.views import checks, people, repositories
from bot.localhub.views.commits import commit

if TYPE_CHECKING:
    from bot.localhub.records import Json

STATES = ("error", "failure", "pending", "success")
LONGEST_DESCRIPTION = 140
MOST = 1000
"""Statuses of one context on one commit."""


def create(call: Call) -> Reply:
    """POST …/statuses/{sha}."""
    sha = call.path["sha"]
    state = fields.choice(call.body, "state", STATES)
    if state is None:
        raise fields.missing("state")
    description = fields.text(call.body, "description")
    if description and len(description) > LONGEST_DESCRIPTION:
        sentence = f"description is too long (maximum is {LONGEST_DESCRIPTION} characters)"
        raise refusals.invalid(refusals.problem("Status", "description", "custom", sentence))
    if call.forge.git(call.repo).kind(sha) != "commit":
        raise refusals.Refused(422, f"No commit found for SHA: {sha}")
    context = fields.text(call.body, "context") or "default"
    if len(call.forge.state.statuses.where(repository_id=call.repo.id, sha=sha, context=context)) >= MOST:
        sentence = "This SHA and context has reached the maximum number of statuses."
        raise refusals.invalid({"resource": "Status", "code": "custom", "message": sentence})
    row = call.forge.state.statuses.put(
        Status(
            id=call.forge.state.statuses.new_id(),
            repository_id=call.repo.id,
            sha=sha,
            context=context,
            state=state,
            description=description,
            target_url=fields.text(call.body, "target_url"),
            creator=call.caller.login,
            created_at=call.forge.clock.stamp(),
        )
    )
    call.forge.emit("status", lambda: _event(call, row), repo=call.repo)
    return Reply(status=201, body=checks.status(call.forge, call.repo, row))


def _event(call: Call, row: Status) -> Json:
    shown = checks.simple_status(call.forge, call.repo, row)
    names = ("id", "avatar_url", "state", "description", "target_url", "context", "created_at", "updated_at")
    return {
        **{name: shown[name] for name in names},
        "sha": row.sha,
        "name": call.repo.full_name,
        "commit": commit(call.forge, call.repo, call.forge.git(call.repo).commit(row.sha)),
        "branches": [],
        "repository": repositories.repository(call.forge, call.repo),
        "sender": people.by_login(call.forge, row.creator),
    }


def _newest_first(call: Call) -> tuple[str, list[Status]]:
    sha = known_commit(call, call.path["ref"])
    return sha, call.forge.state.statuses.where(repository_id=call.repo.id, sha=sha)[::-1]


def list_statuses(call: Call) -> Reply:
    """GET …/commits/{ref}/statuses: all of them, newest first."""
    _, found = _newest_first(call)
    rows, headers = call.page(found)
    return Reply(body=[checks.status(call.forge, call.repo, row) for row in rows], headers=headers)


def combined(call: Call) -> Reply:
    """GET …/commits/{ref}/status: the newest of each context, and what they say together."""
    sha, found = _newest_first(call)
    newest: dict[str, Status] = {}
    for row in found:
        newest.setdefault(row.context, row)
    rows, headers = call.page(list(newest.values()))
    return Reply(body=checks.combined(call.forge, call.repo, sha, list(newest.values()), rows), headers=headers)


READ = ("statuses:read",)
ENDPOINTS = (
    Endpoint(
        method="POST",
        path="/repos/{owner}/{repo}/statuses/{sha}",
        answer=create,
        needs=("statuses:write",),
        role="write",
        doc="commits/statuses#create-a-commit-status",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/commits/{ref:rest}/statuses",
        answer=list_statuses,
        needs=READ,
        doc="commits/statuses#list-commit-statuses-for-a-reference",
    ),
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/commits/{ref:rest}/status",
        answer=combined,
        needs=READ,
        doc="commits/statuses#get-the-combined-status-for-a-specific-reference",
    ),
)
