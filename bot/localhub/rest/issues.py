"""Issues, among which pull requests are."""

from __future__ import annotations

from bot.localhub import access, refusals
from bot.localhub.records import Issue, PullRequest
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.rest.comments import LONGEST
from bot.localhub.views import issues

STATES = ("open", "closed", "all")
REASONS = ("completed", "not_planned", "duplicate", "reopened")


def _issue(call: Call) -> Issue:
    found = call.forge.state.issue(call.repo, call.number("number"))
    if found is None:
        raise refusals.not_found()
    return found


def get_issue(call: Call) -> Reply:
    """GET …/issues/{number}."""
    return Reply(body=issues.issue(call.forge, call.repo, _issue(call)))


def create_issue(call: Call) -> Reply:
    """POST …/issues."""
    title = fields.required_text(call.body, "title", most=256)
    if not title.strip():
        raise refusals.invalid({"resource": "Issue", "code": "missing_field", "field": "title"})
    now, state = call.forge.clock.stamp(), call.forge.state
    row = state.issues.put(
        Issue(
            id=state.issues.new_id(),
            repository_id=call.repo.id,
            number=state.new_number(call.repo),
            title=title,
            body=fields.text(call.body, "body", most=LONGEST),
            author=call.caller.login,
            created_at=now,
            updated_at=now,
        )
    )
    return Reply(status=201, body=issues.issue(call.forge, call.repo, row))


def list_all(call: Call) -> Reply:
    """GET …/issues, newest first: pull requests are among them."""
    state, creator = call.query.get("state", "open"), call.query.get("creator", "")
    if state not in STATES:
        raise refusals.invalid({"resource": "Issue", "code": "invalid", "field": "state"})
    tables = (call.forge.state.issues, call.forge.state.pulls)
    found = [
        row
        for table in tables
        for row in table.where(repository_id=call.repo.id)
        if state in {"all", row.state} and creator in {"", row.author}
    ]
    found.sort(key=lambda row: row.number, reverse=call.query.get("direction", "desc") == "desc")
    rows, headers = call.page(found)
    return Reply(body=[issues.issue(call.forge, call.repo, row) for row in rows], headers=headers)


def edit(call: Call) -> Reply:
    """PATCH …/issues/{number}: its title, its text, and whether it is open. Pull requests are left to their own."""
    row = _issue(call)
    if isinstance(row, PullRequest):
        raise refusals.invalid_request("A pull request is changed as one here.")
    access.require_author(call.forge, call.caller, call.repo, row.author)
    state = fields.choice(call.body, "state", STATES[:2])
    fields.choice(call.body, "state_reason", REASONS)
    now = call.forge.clock.stamp()
    changes: dict[str, str | None] = {"updated_at": now}
    for name, most in (("title", 256), ("body", LONGEST)):
        text = fields.text(call.body, name, most=most)
        if text is not None:
            changes[name] = text
    if state is not None:
        changes |= {"state": state, "closed_at": now if state == "closed" else None}
    changed = call.forge.state.issues.change(row, **changes)
    return Reply(body=issues.issue(call.forge, call.repo, changed))


ISSUES = "/repos/{owner}/{repo}/issues"
ISSUE = f"{ISSUES}/{{number:int}}"
READ = ("issues:read", "pull_requests:read")
WRITE = ("issues:write",)
ENDPOINTS = (
    Endpoint(method="GET", path=ISSUES, answer=list_all, needs=READ, doc="issues/issues#list-repository-issues"),
    Endpoint(method="POST", path=ISSUES, answer=create_issue, needs=WRITE, doc="issues/issues#create-an-issue"),
    Endpoint(method="GET", path=ISSUE, answer=get_issue, needs=READ, doc="issues/issues#get-an-issue"),
    Endpoint(method="PATCH", path=ISSUE, answer=edit, needs=WRITE, doc="issues/issues#update-an-issue"),
)
