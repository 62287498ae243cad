"""Issues, comments and reactions as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.records import PullRequest
from bot.localhub.views.people import by_login, integration, node_id
from bot.localhub.views.repositories import api_url, html_url

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Comment, Issue, Json, Reaction, Repository

CONTENTS = ("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes")


def association(forge: Forge, repo: Repository, login: str) -> str:
    """`author_association`: what somebody is to a repository. Never enough to decide what they may do."""
    if login.lower() == repo.owner.lower():
        return "OWNER"
    if any(login.lower() == who.lower() for who in repo.collaborators):
        return "COLLABORATOR"
    merged = any(pull.author == login and pull.merged_at for pull in forge.state.pulls.where(repository_id=repo.id))
    return "CONTRIBUTOR" if merged else "NONE"


def page(forge: Forge, repo: Repository, row: Issue) -> str:
    """The address of an issue's or pull request's page."""
    return f"{html_url(forge, repo)}/{'pull' if isinstance(row, PullRequest) else 'issues'}/{row.number}"


def rollup(forge: Forge, url: str, subject: str, subject_id: int) -> Json:
    """`reaction-rollup`: how many of each."""
    rows = forge.state.reactions.where(subject=subject, subject_id=subject_id)
    counts = {content: sum(row.content == content for row in rows) for content in CONTENTS}
    return {"url": f"{url}/reactions", "total_count": len(rows), **counts}


def issue(forge: Forge, repo: Repository, row: Issue) -> Json:
    """`issue`; a pull request is one with a `pull_request` key."""
    url = f"{api_url(forge, repo)}/issues/{row.number}"
    issue_id = row.issue_id if isinstance(row, PullRequest) else row.id
    shown: Json = {
        "url": url,
        "repository_url": api_url(forge, repo),
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "timeline_url": f"{url}/timeline",
        "html_url": page(forge, repo, row),
        "id": issue_id,
        "node_id": node_id("Issue", issue_id),
        "number": row.number,
        "title": row.title,
        "user": by_login(forge, row.author),
        "labels": [],
        "state": row.state,
        "state_reason": "completed" if row.state == "closed" else None,
        "locked": False,
        "active_lock_reason": None,
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "comments": len(forge.state.comments.where(repository_id=repo.id, number=row.number)),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "closed_at": row.closed_at,
        "author_association": association(forge, repo, row.author),
        "body": row.body,
        "reactions": rollup(forge, url, "issue", issue_id),
        "performed_via_github_app": None,
    }
    if isinstance(row, PullRequest):
        html = page(forge, repo, row)
        shown["draft"] = row.draft
        shown["pull_request"] = {
            "url": f"{api_url(forge, repo)}/pulls/{row.number}",
            "html_url": html,
            "diff_url": f"{html}.diff",
            "patch_url": f"{html}.patch",
            "merged_at": row.merged_at,
        }
    return shown


def comment(forge: Forge, repo: Repository, row: Comment) -> Json:
    """`issue-comment`."""
    url = f"{api_url(forge, repo)}/issues/comments/{row.id}"
    on = forge.state.issue(repo, row.number)
    app = forge.state.apps.get(row.app_id)
    return {
        "url": url,
        "html_url": f"{page(forge, repo, on) if on else html_url(forge, repo)}#issuecomment-{row.id}",
        "issue_url": f"{api_url(forge, repo)}/issues/{row.number}",
        "id": row.id,
        "node_id": node_id("IssueComment", row.id),
        "user": by_login(forge, row.author),
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "author_association": association(forge, repo, row.author),
        "body": row.body,
        "reactions": rollup(forge, url, "comment", row.id),
        "performed_via_github_app": integration(forge, app) if app else None,
    }


def reaction(forge: Forge, row: Reaction) -> Json:
    """`reaction`."""
    return {
        "id": row.id,
        "node_id": node_id("Reaction", row.id),
        "user": by_login(forge, row.login),
        "content": row.content,
        "created_at": row.created_at,
    }
