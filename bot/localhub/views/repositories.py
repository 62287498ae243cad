"""Repositories as JSON, in the four sizes that GitHub has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.clock import parse_timestamp
from bot.localhub.records import ROLES
from bot.localhub.views.people import by_login, node_id

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Json, Repository

URLS = {
    "archive_url": "/{archive_format}{/ref}",
    "assignees_url": "/assignees{/user}",
    "blobs_url": "/git/blobs{/sha}",
    "branches_url": "/branches{/branch}",
    "collaborators_url": "/collaborators{/collaborator}",
    "comments_url": "/comments{/number}",
    "commits_url": "/commits{/sha}",
    "compare_url": "/compare/{base}...{head}",
    "contents_url": "/contents/{+path}",
    "contributors_url": "/contributors",
    "deployments_url": "/deployments",
    "downloads_url": "/downloads",
    "events_url": "/events",
    "forks_url": "/forks",
    "git_commits_url": "/git/commits{/sha}",
    "git_refs_url": "/git/refs{/sha}",
    "git_tags_url": "/git/tags{/sha}",
    "hooks_url": "/hooks",
    "issue_comment_url": "/issues/comments{/number}",
    "issue_events_url": "/issues/events{/number}",
    "issues_url": "/issues{/number}",
    "keys_url": "/keys{/key_id}",
    "labels_url": "/labels{/name}",
    "languages_url": "/languages",
    "merges_url": "/merges",
    "milestones_url": "/milestones{/number}",
    "notifications_url": "/notifications{?since,all,participating}",
    "pulls_url": "/pulls{/number}",
    "releases_url": "/releases{/id}",
    "stargazers_url": "/stargazers",
    "statuses_url": "/statuses/{sha}",
    "subscribers_url": "/subscribers",
    "subscription_url": "/subscription",
    "tags_url": "/tags",
    "teams_url": "/teams",
    "trees_url": "/git/trees{/sha}",
}


def api_url(forge: Forge, repo: Repository) -> str:
    """A repository's address in the API."""
    return f"{forge.url}/repos/{repo.full_name}"


def html_url(forge: Forge, repo: Repository) -> str:
    """A repository's page."""
    return f"{forge.url}/{repo.full_name}"


def permissions(role: str) -> dict[str, bool]:
    """A role as GitHub's five booleans."""
    levels = {"pull": "read", "triage": "triage", "push": "write", "maintain": "maintain", "admin": "admin"}
    return {name: ROLES.index(role) >= ROLES.index(least) for name, least in levels.items()}


def minimal(forge: Forge, repo: Repository) -> Json:
    """`minimal-repository`: names and addresses."""
    api = api_url(forge, repo)
    return {
        "id": repo.id,
        "node_id": node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": by_login(forge, repo.owner),
        "html_url": html_url(forge, repo),
        "description": repo.description or None,
        "fork": bool(repo.parent_id),
        "url": api,
        **{name: api + rest for name, rest in URLS.items()},
    }


def repository(forge: Forge, repo: Repository) -> Json:
    """`repository`: what pull requests and webhooks carry."""
    html = html_url(forge, repo)
    host = forge.url.split("://", 1)[-1]
    forks = len(forge.state.repositories.where(parent_id=repo.id))
    tables = (forge.state.issues, forge.state.pulls)
    open_issues = sum(len(table.where(repository_id=repo.id, state="open")) for table in tables)
    return {
        **minimal(forge, repo),
        "clone_url": f"{html}.git",
        "git_url": f"git://{host}/{repo.full_name}.git",
        "ssh_url": f"git@{host.split(':', 1)[0]}:{repo.full_name}.git",
        "svn_url": html,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "default_branch": repo.default_branch,
        "visibility": "private" if repo.private else "public",
        "archived": repo.archived,
        "disabled": False,
        "is_template": False,
        "allow_forking": True,
        "web_commit_signoff_required": False,
        "topics": [],
        "has_issues": True,
        "has_projects": False,
        "has_downloads": True,
        "has_wiki": False,
        "has_pages": False,
        "has_discussions": False,
        "size": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "watchers": 0,
        "forks_count": forks,
        "forks": forks,
        "open_issues_count": open_issues,
        "open_issues": open_issues,
        "created_at": repo.created_at,
        "updated_at": repo.pushed_at,
        "pushed_at": repo.pushed_at,
    }


def full(forge: Forge, repo: Repository, role: str) -> Json:
    """`full-repository`: the answer to GET /repos/{owner}/{repo} for somebody with this role."""
    shown = {
        **repository(forge, repo),
        "permissions": permissions(role),
        "allow_merge_commit": True,
        "allow_squash_merge": True,
        "allow_rebase_merge": False,
        "allow_auto_merge": False,
        "delete_branch_on_merge": False,
        "network_count": len(forge.state.repositories.where(parent_id=repo.id)),
        "subscribers_count": 0,
    }
    if parent := forge.state.repositories.get(repo.parent_id):
        shown["parent"] = shown["source"] = repository(forge, parent)
    return shown


def pushed(forge: Forge, repo: Repository) -> Json:
    """The repository of a `push` event, whose times are numbers and whose owner has a name."""
    shown = repository(forge, repo)
    shown["owner"] = {**shown["owner"], "name": repo.owner, "email": None}
    return {
        **shown,
        "url": html_url(forge, repo),
        "created_at": int(parse_timestamp(repo.created_at).timestamp()),
        "pushed_at": int(parse_timestamp(repo.pushed_at).timestamp()),
        "stargazers": 0,
        "master_branch": repo.default_branch,
    }


def reference(forge: Forge, repo: Repository) -> Json:
    """The three facts about a repository that `pull-request-minimal` has."""
    return {"id": repo.id, "url": api_url(forge, repo), "name": repo.name}
