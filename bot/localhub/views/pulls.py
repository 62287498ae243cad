"""Pull requests as JSON, in three sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.views.issues import association, page
from bot.localhub.views.people import by_login, node_id
from bot.localhub.views.repositories import api_url, reference, repository

if TYPE_CHECKING:
    from bot.localhub.diffs import FileChange
    from bot.localhub.forge import Forge
    from bot.localhub.records import Json, PullRequest, Repository


def base_repository(forge: Forge, pull: PullRequest) -> Repository:
    """The repository that a pull request belongs to."""
    repo = forge.state.repositories.get(pull.repository_id)
    assert repo, "a pull request belongs to a repository"
    return repo


def changes(forge: Forge, pull: PullRequest) -> list[FileChange]:
    """What a pull request changes: its head against the merge base."""
    git = forge.git(pull.repository_id)
    return git.diff(git.merge_base(pull.base_sha, pull.head_sha) or pull.base_sha, pull.head_sha)


def mergeable(forge: Forge, pull: PullRequest) -> bool | None:
    """Whether the head merges into the tip of its base; GitHub says null for a merged one."""
    if pull.merged_at:
        return None
    git = forge.git(pull.repository_id)
    tip = git.branch(pull.base_ref) or pull.base_sha
    return git.merge_tree(tip, pull.head_sha) is not None


def minimal(forge: Forge, pull: PullRequest) -> Json:
    """`pull-request-minimal`, as checks list it."""
    base = base_repository(forge, pull)
    head = forge.state.repositories.get(pull.head_repository_id) or base
    return {
        "url": f"{api_url(forge, base)}/pulls/{pull.number}",
        "id": pull.id,
        "number": pull.number,
        "head": {"ref": pull.head_ref, "sha": pull.head_sha, "repo": reference(forge, head)},
        "base": {"ref": pull.base_ref, "sha": pull.base_sha, "repo": reference(forge, base)},
    }


def simple(forge: Forge, pull: PullRequest) -> Json:
    """`pull-request-simple`, as lists have it."""
    base = base_repository(forge, pull)
    head = forge.state.repositories.get(pull.head_repository_id) or base
    api, html = f"{api_url(forge, base)}/pulls/{pull.number}", page(forge, base, pull)
    issue = f"{api_url(forge, base)}/issues/{pull.number}"
    urls = {
        "self": api,
        "html": html,
        "issue": issue,
        "comments": f"{issue}/comments",
        "review_comments": f"{api}/comments",
        "review_comment": f"{api_url(forge, base)}/pulls/comments{{/number}}",
        "commits": f"{api}/commits",
        "statuses": f"{api_url(forge, base)}/statuses/{pull.head_sha}",
    }
    return {
        "url": api,
        "id": pull.id,
        "node_id": node_id("PullRequest", pull.id),
        "html_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "issue_url": issue,
        "commits_url": urls["commits"],
        "review_comments_url": urls["review_comments"],
        "review_comment_url": urls["review_comment"],
        "comments_url": urls["comments"],
        "statuses_url": urls["statuses"],
        "number": pull.number,
        "state": pull.state,
        "locked": False,
        "active_lock_reason": None,
        "title": pull.title,
        "user": by_login(forge, pull.author),
        "body": pull.body,
        "labels": [],
        "milestone": None,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [],
        "requested_teams": [],
        "created_at": pull.created_at,
        "updated_at": pull.updated_at,
        "closed_at": pull.closed_at,
        "merged_at": pull.merged_at,
        "merge_commit_sha": pull.merge_commit_sha,
        "draft": pull.draft,
        "head": _end(forge, head, pull.head_ref, pull.head_sha),
        "base": _end(forge, base, pull.base_ref, pull.base_sha),
        "_links": {name: {"href": url} for name, url in urls.items()},
        "author_association": association(forge, base, pull.author),
        "auto_merge": None,
    }


def _end(forge: Forge, repo: Repository, ref: str, sha: str) -> Json:
    return {
        "label": f"{repo.owner}:{ref}",
        "ref": ref,
        "sha": sha,
        "user": by_login(forge, repo.owner),
        "repo": repository(forge, repo),
    }


def full(forge: Forge, pull: PullRequest) -> Json:
    """`pull-request`: with what takes a look into git."""
    git = forge.git(pull.repository_id)
    files = changes(forge, pull)
    merges = mergeable(forge, pull)
    state = {None: "unknown", True: "draft" if pull.draft else "clean", False: "dirty"}[merges]
    return {
        **simple(forge, pull),
        "merged": pull.merged_at is not None,
        "mergeable": merges,
        "rebaseable": merges,
        "mergeable_state": state,
        "merged_by": by_login(forge, pull.merged_by) if pull.merged_by else None,
        "comments": len(forge.state.comments.where(repository_id=pull.repository_id, number=pull.number)),
        "review_comments": 0,
        "maintainer_can_modify": pull.maintainer_can_modify,
        "commits": git.count(pull.base_sha, pull.head_sha),
        "additions": sum(change.additions for change in files),
        "deletions": sum(change.deletions for change in files),
        "changed_files": len(files),
    }
