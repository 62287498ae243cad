"""Comments on issues and pull requests, and reactions to both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub import access, refusals
from bot.localhub.acts import comments as acts
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import issues

if TYPE_CHECKING:
    from bot.localhub.records import Comment, Issue

LONGEST = 65_536
"""Characters in the body of a comment or an issue. Source: what GitHub answers; its description has no limit."""


def _issue(call: Call) -> Issue:
    found = call.forge.state.issue(call.repo, call.number("number"))
    if found is None:
        raise refusals.not_found()
    return found


def _comment(call: Call) -> Comment:
    found = call.forge.state.comments.get(call.number("comment_id"))
    if found is None or found.repository_id != call.repo.id:
        raise refusals.not_found()
    return found


def _body(call: Call, resource: str) -> str:
    body = fields.required_text(call.body, "body")
    if not body.strip():
        raise refusals.invalid({"resource": resource, "code": "missing_field", "field": "body"})
    if len(body) > LONGEST:
        sentence = f"Body is too long (maximum is {LONGEST} characters)"
        raise refusals.invalid({"resource": resource, "code": "unprocessable", "field": "data", "message": sentence})
    return body


def list_comments(call: Call) -> Reply:
    """GET …/issues/{number}/comments, oldest first."""
    found = call.forge.state.comments.where(repository_id=call.repo.id, number=_issue(call).number)
    since = call.query.get("since", "")
    rows, headers = call.page([row for row in found if row.updated_at >= since])
    return Reply(body=[issues.comment(call.forge, call.repo, row) for row in rows], headers=headers)


def get(call: Call) -> Reply:
    """GET …/issues/comments/{id}."""
    return Reply(body=issues.comment(call.forge, call.repo, _comment(call)))


def create(call: Call) -> Reply:
    """POST …/issues/{number}/comments."""
    app_id = call.caller.app.id if call.caller.app else 0
    body = _body(call, "IssueComment")
    row = acts.create(call.forge, call.repo, _issue(call), body, call.caller.login, app_id=app_id)
    shown = issues.comment(call.forge, call.repo, row)
    return Reply(status=201, body=shown, headers={"location": shown["url"]})


def edit(call: Call) -> Reply:
    """PATCH …/issues/comments/{id}."""
    row = _comment(call)
    access.require_author(call.forge, call.caller, call.repo, row.author)
    changed = acts.edit(call.forge, call.repo, row, _body(call, "IssueComment"), call.caller.login)
    return Reply(body=issues.comment(call.forge, call.repo, changed))


def delete(call: Call) -> Reply:
    """DELETE …/issues/comments/{id}."""
    row = _comment(call)
    access.require_author(call.forge, call.caller, call.repo, row.author)
    acts.delete(call.forge, call.repo, row, call.caller.login)
    return Reply(status=204)


def _subject(call: Call) -> tuple[str, int]:
    if "comment_id" in call.path:
        return "comment", _comment(call).id
    return "issue", int(issues.issue(call.forge, call.repo, _issue(call))["id"])


def list_reactions(call: Call) -> Reply:
    """GET …/reactions of a comment or an issue."""
    subject, subject_id = _subject(call)
    found = call.forge.state.reactions.where(subject=subject, subject_id=subject_id)
    content = call.query.get("content")
    rows, headers = call.page([row for row in found if content in {None, row.content}])
    return Reply(body=[issues.reaction(call.forge, row) for row in rows], headers=headers)


def react(call: Call) -> Reply:
    """POST …/reactions: 201 for a new one, 200 for one that is there."""
    if fields.choice(call.body, "content", issues.CONTENTS) is None:
        raise fields.missing("content")
    subject, subject_id = _subject(call)
    row, new = acts.react(call.forge, subject, subject_id, call.body["content"], call.caller.login)
    return Reply(status=201 if new else 200, body=issues.reaction(call.forge, row))


def unreact(call: Call) -> Reply:
    """DELETE …/reactions/{id}, by whoever reacted."""
    subject, subject_id = _subject(call)
    row = call.forge.state.reactions.get(call.number("reaction_id"))
    if row is None or (row.subject, row.subject_id) != (subject, subject_id) or row.login != call.caller.login:
        raise refusals.not_found()
    call.forge.state.reactions.drop(row)
    return Reply(status=204)


READ = ("issues:read", "pull_requests:read")
WRITE = ("issues:write", "pull_requests:write")
ISSUE = "/repos/{owner}/{repo}/issues/{number:int}"
COMMENT = "/repos/{owner}/{repo}/issues/comments/{comment_id:int}"
DOC = "issues/comments#"
ENDPOINTS = (
    Endpoint(method="GET", path=f"{ISSUE}/comments", answer=list_comments, needs=READ, doc=DOC + "list-issue-comments"),
    Endpoint(method="POST", path=f"{ISSUE}/comments", answer=create, needs=WRITE, doc=DOC + "create-an-issue-comment"),
    Endpoint(method="GET", path=COMMENT, answer=get, needs=READ, doc=DOC + "get-an-issue-comment"),
    Endpoint(method="PATCH", path=COMMENT, answer=edit, needs=WRITE, doc=DOC + "update-an-issue-comment"),
    Endpoint(method="DELETE", path=COMMENT, answer=delete, needs=WRITE, doc=DOC + "delete-an-issue-comment"),
    *(
        endpoint
        for subject, noun in ((ISSUE, "an-issue"), (COMMENT, "an-issue-comment"))
        for endpoint in (
            Endpoint(
                method="GET",
                path=f"{subject}/reactions",
                answer=list_reactions,
                needs=READ,
                doc=f"reactions/reactions#list-reactions-for-{noun}",
            ),
            Endpoint(
                method="POST",
                path=f"{subject}/reactions",
                answer=react,
                needs=WRITE,
                doc=f"reactions/reactions#create-reaction-for-{noun}",
            ),
            Endpoint(
                method="DELETE",
                path=f"{subject}/reactions/{{reaction_id:int}}",
                answer=unreact,
                needs=WRITE,
                doc=f"reactions/reactions#delete-{noun}-reaction",
            ),
        )
    ),
)
