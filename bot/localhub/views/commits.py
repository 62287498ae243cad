"""Commits, branches, refs, file changes and contents as JSON."""

from __future__ import annotations

from base64 import encodebytes
from typing import TYPE_CHECKING
from urllib.parse import quote

from bot.localhub.views.people import node_id, simple_user
from bot.localhub.views.repositories import api_url, html_url

if TYPE_CHECKING:
    from bot.localhub.bare import Commit, Entry, Person
    from bot.localhub.diffs import FileChange
    from bot.localhub.forge import Forge
    from bot.localhub.records import Json, Repository, User

NOREPLY = "@users.noreply.github.com"
UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def account_of(forge: Forge, person: Person) -> User | None:
    """The account that an e-mail address belongs to."""
    if not person.email.endswith(NOREPLY):
        return None
    return forge.state.user(person.email.removesuffix(NOREPLY).partition("+")[2])


def git_user(person: Person) -> Json:
    """`git-user`."""
    return {"name": person.name, "email": person.email, "date": person.date}


def commit(forge: Forge, repo: Repository, one: Commit) -> Json:
    """`commit`, as lists have it: without stats and files."""
    api, html = api_url(forge, repo), html_url(forge, repo)
    author, committer = account_of(forge, one.author), account_of(forge, one.committer)
    return {
        "sha": one.sha,
        "node_id": node_id("Commit", int(one.sha[:8], 16)),
        "url": f"{api}/commits/{one.sha}",
        "html_url": f"{html}/commit/{one.sha}",
        "comments_url": f"{api}/commits/{one.sha}/comments",
        "commit": {
            "url": f"{api}/git/commits/{one.sha}",
            "author": git_user(one.author),
            "committer": git_user(one.committer),
            "message": one.message,
            "tree": {"sha": one.tree, "url": f"{api}/git/trees/{one.tree}"},
            "comment_count": 0,
            "verification": UNSIGNED,
        },
        "author": simple_user(forge, author) if author else None,
        "committer": simple_user(forge, committer) if committer else None,
        "parents": [
            {"sha": sha, "url": f"{api}/commits/{sha}", "html_url": f"{html}/commit/{sha}"} for sha in one.parents
        ],
    }


def detailed_commit(forge: Forge, repo: Repository, one: Commit) -> Json:
    """`commit` with what it changed against its first parent."""
    git = forge.git(repo)
    changes = git.diff(one.parents[0] if one.parents else git.empty_tree(), one.sha)
    added, removed = sum(c.additions for c in changes), sum(c.deletions for c in changes)
    return {
        **commit(forge, repo, one),
        "stats": {"total": added + removed, "additions": added, "deletions": removed},
        "files": [file_change(forge, repo, one.sha, change) for change in changes],
    }


def git_commit(forge: Forge, repo: Repository, one: Commit) -> Json:
    """`git-commit`, the bare object."""
    shown = commit(forge, repo, one)
    return {
        "sha": one.sha,
        "node_id": shown["node_id"],
        "url": shown["commit"]["url"],
        "html_url": shown["html_url"],
        "author": git_user(one.author),
        "committer": git_user(one.committer),
        "tree": shown["commit"]["tree"],
        "message": one.message,
        "parents": [
            {**parent, "url": f"{api_url(forge, repo)}/git/commits/{parent['sha']}"} for parent in shown["parents"]
        ],
        "verification": UNSIGNED,
    }


def simple_commit(one: Commit) -> Json:
    """`simple-commit`, as check suites have it."""
    return {
        "id": one.sha,
        "tree_id": one.tree,
        "message": one.message,
        "timestamp": one.committer.date,
        "author": {"name": one.author.name, "email": one.author.email},
        "committer": {"name": one.committer.name, "email": one.committer.email},
    }


def pushed_commit(forge: Forge, repo: Repository, one: Commit) -> Json:
    """A commit in a `push` event, with the names of the files it touched."""
    git = forge.git(repo)
    changes = git.diff(one.parents[0] if one.parents else git.empty_tree(), one.sha)
    names: dict[str, list[str]] = {"added": [], "removed": [], "modified": []}
    for change in changes:
        if change.status == "renamed":
            names["removed"].append(change.previous)
        names.get({"renamed": "added"}.get(change.status, change.status), names["modified"]).append(change.path)
    people = {}
    for role, person in (("author", one.author), ("committer", one.committer)):
        user = account_of(forge, person)
        people[role] = {"name": person.name, "email": person.email, **({"username": user.login} if user else {})}
    return {
        **simple_commit(one),
        **people,
        "distinct": True,
        "url": f"{html_url(forge, repo)}/commit/{one.sha}",
        **names,
    }


def file_change(forge: Forge, repo: Repository, sha: str, change: FileChange) -> Json:
    """`diff-entry`."""
    path = quote(change.path)
    html = html_url(forge, repo)
    shown = {
        "sha": change.sha,
        "filename": change.path,
        "status": change.status,
        "additions": change.additions,
        "deletions": change.deletions,
        "changes": change.additions + change.deletions,
        "blob_url": f"{html}/blob/{sha}/{path}",
        "raw_url": f"{html}/raw/{sha}/{path}",
        "contents_url": f"{api_url(forge, repo)}/contents/{path}?ref={sha}",
    }
    if change.patch:
        shown["patch"] = change.patch
    if change.previous:
        shown["previous_filename"] = change.previous
    return shown


def branch(forge: Forge, repo: Repository, name: str, sha: str) -> Json:
    """`branch-with-protection`."""
    api = f"{api_url(forge, repo)}/branches/{quote(name)}"
    return {
        "name": name,
        "commit": commit(forge, repo, forge.git(repo).commit(sha)),
        "_links": {"self": api, "html": f"{html_url(forge, repo)}/tree/{quote(name)}"},
        "protected": False,
        "protection": {"enabled": False, "required_status_checks": NO_REQUIRED_CHECKS},
        "protection_url": f"{api}/protection",
    }


NO_REQUIRED_CHECKS = {"enforcement_level": "off", "contexts": [], "checks": []}


def short_branch(forge: Forge, repo: Repository, name: str, sha: str) -> Json:
    """`short-branch`."""
    return {"name": name, "commit": {"sha": sha, "url": f"{api_url(forge, repo)}/commits/{sha}"}, "protected": False}


def ref(forge: Forge, repo: Repository, name: str, sha: str) -> Json:
    """`git-ref`."""
    kind = forge.git(repo).kind(sha) or "commit"
    api = api_url(forge, repo)
    return {
        "ref": name,
        "node_id": node_id("Ref", int(sha[:8], 16)),
        "url": f"{api}/git/{quote(name)}",
        "object": {"sha": sha, "type": kind, "url": f"{api}/git/{kind}s/{sha}"},
    }


KINDS = {"blob": "file", "tree": "dir", "commit": "submodule"}


def entry(forge: Forge, repo: Repository, revision: str, one: Entry) -> Json:
    """An item of `content-directory`."""
    path, html = quote(one.path), html_url(forge, repo)
    kind = "symlink" if one.mode == "120000" else KINDS[one.kind]
    noun = {"dir": "tree", "submodule": "tree"}.get(kind, "blob")
    links = {
        "self": f"{api_url(forge, repo)}/contents/{path}?ref={quote(revision)}",
        "git": f"{api_url(forge, repo)}/git/{noun}s/{one.sha}",
        "html": f"{html}/{noun}/{quote(revision)}/{path}",
    }
    return {
        "type": kind,
        "size": one.size,
        "name": one.path.rsplit("/", 1)[-1],
        "path": one.path,
        "sha": one.sha,
        "url": links["self"],
        "git_url": links["git"],
        "html_url": links["html"],
        "download_url": f"{html}/raw/{quote(revision)}/{path}" if noun == "blob" else None,
        "_links": links,
    }


def file(forge: Forge, repo: Repository, revision: str, one: Entry) -> Json:
    """`content-file`: base64 up to 1 MB, above that only the `raw` media type has the content."""
    if one.size > 1_000_000:
        return {**entry(forge, repo, revision, one), "content": "", "encoding": "none"}
    content = encodebytes(forge.git(repo).blob(one.sha)).decode()
    return {**entry(forge, repo, revision, one), "content": content, "encoding": "base64"}


def compared(forge: Forge, repo: Repository, base: str, head: str) -> Json | None:
    """`commit-comparison` of two SHAs, or nothing when they share no history."""
    git = forge.git(repo)
    middle = git.merge_base(base, head)
    if middle is None:
        return None
    ahead, behind = git.count(base, head), git.count(head, base)
    status = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}.get((ahead > 0, behind > 0))
    html = f"{html_url(forge, repo)}/compare/{base}...{head}"
    return {
        "url": f"{api_url(forge, repo)}/compare/{base}...{head}",
        "html_url": html,
        "permalink_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": commit(forge, repo, git.commit(base)),
        "merge_base_commit": commit(forge, repo, git.commit(middle)),
        "status": status or "identical",
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [commit(forge, repo, git.commit(sha)) for sha in reversed(git.log(base, head))],
        "files": [file_change(forge, repo, head, change) for change in git.diff(middle, head)],
    }
