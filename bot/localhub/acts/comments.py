"""Comments and reactions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.records import Comment, Reaction
from bot.localhub.views import issues, people, repositories

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Issue, Json, Repository


def create(forge: Forge, repo: Repository, issue: Issue, body: str, by: str, *, app_id: int = 0) -> Comment:
    """Write a comment on an issue or pull request."""
    now = forge.clock.stamp()
    comment = forge.state.comments.put(
        Comment(
            id=forge.state.comments.new_id(),
            repository_id=repo.id,
            number=issue.number,
            author=by,
            body=body,
            created_at=now,
            updated_at=now,
            app_id=app_id,
        )
    )
    _emit(forge, repo, comment, "created", by)
    return comment


def edit(forge: Forge, repo: Repository, comment: Comment, body: str, by: str) -> Comment:
    """Replace a comment's text."""
    was = {"changes": {"body": {"from": comment.body}}}
    edited = forge.state.comments.change(comment, body=body, updated_at=forge.clock.stamp())
    _emit(forge, repo, edited, "edited", by, **was)
    return edited


def delete(forge: Forge, repo: Repository, comment: Comment, by: str) -> None:
    """Delete a comment and the reactions to it."""
    _emit(forge, repo, comment, "deleted", by)
    for reaction in forge.state.reactions.where(subject="comment", subject_id=comment.id):
        forge.state.reactions.drop(reaction)
    forge.state.comments.drop(comment)


def react(forge: Forge, subject: str, subject_id: int, content: str, by: str) -> tuple[Reaction, bool]:
    """React to a `comment` or an `issue`; the second value says whether the reaction is new (GitHub keeps one each)."""
    facts = {"subject": subject, "subject_id": subject_id, "login": by, "content": content}
    if known := forge.state.reactions.first(**facts):
        return known, False
    row = Reaction(
        id=forge.state.reactions.new_id(),
        subject=subject,
        subject_id=subject_id,
        login=by,
        content=content,
        created_at=forge.clock.stamp(),
    )
    return forge.state.reactions.put(row), True


def _emit(forge: Forge, repo: Repository, comment: Comment, action: str, by: str, **more: Json) -> None:
    issue = forge.state.issue(repo, comment.number)
    assert issue, "a comment belongs to an issue"

    def payload() -> Json:
        return {
            "action": action,
            **more,
            "issue": issues.issue(forge, repo, issue),
            "comment": issues.comment(forge, repo, comment),
            "repository": repositories.repository(forge, repo),
            "sender": people.by_login(forge, by),
        }

    forge.emit("issue_comment", payload, repo=repo)
