"""What follows when refs have moved, whoever moved them: `push`, checks requested, pull requests that follow or close.

One way in for everything: a git push, the contents API, the refs API and a merge all change refs first and then call
`observe`, which compares them with what the hub saw last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.localhub.acts import checks
from bot.localhub.bare import ZERO
from bot.localhub.views import commits, people, pulls, repositories

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Json, PullRequest, Repository

BRANCH = "refs/heads/"
MOST_TAGS = 3
"""A push of more tags than this gives no event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A ref before and after a push; `ZERO` stands for "not there"."""

    ref: str
    old: str
    new: str


def observe(forge: Forge, repo: Repository, by: str) -> None:
    """Tell the world what changed in a repository's refs since the last look; `by` is the login that did it."""
    before, now = forge.new_refs(repo)
    moved = sorted(ref for ref in before.keys() | now.keys() if before.get(ref) != now.get(ref))
    if not moved:
        return
    repo = forge.state.repositories.change(repo, pushed_at=forge.clock.stamp())
    tags = [ref for ref in moved if not ref.startswith(BRANCH)]
    for ref in moved:
        if ref.startswith(BRANCH) or len(tags) <= MOST_TAGS:
            _pushed(forge, repo, Move(ref=ref, old=before.get(ref, ZERO), new=now.get(ref, ZERO)), by)


def _pushed(forge: Forge, repo: Repository, move: Move, by: str) -> None:
    ref, old, new = move.ref, move.old, move.new
    sender = {"sender": people.by_login(forge, by), "repository": repositories.repository(forge, repo)}
    kind = {"ref_type": "branch" if ref.startswith(BRANCH) else "tag", "pusher_type": "user"}
    name = ref.split("/", 2)[2]
    if old == ZERO:
        facts = {"ref": name, "master_branch": repo.default_branch, "description": repo.description or None}
        forge.emit("create", lambda: {**facts, **kind, **sender}, repo=repo)
    if new == ZERO:
        forge.emit("delete", lambda: {"ref": name, **kind, **sender}, repo=repo)
    forge.emit("push", lambda: push_payload(forge, repo, move, by), repo=repo)
    if ref.startswith(BRANCH):
        if new != ZERO:
            checks.request_suites(forge, repo, head_sha=new, branch=name, before=old, by=by)
        _heads_follow(forge, repo, name, new, by)
        if new != ZERO:
            _merged_by_push(forge, repo, name, new, by)


def push_payload(forge: Forge, repo: Repository, move: Move, by: str) -> Json:
    """The body of a `push` event."""
    ref, old, new = move.ref, move.old, move.new
    git = forge.git(repo)
    created, deleted = old == ZERO, new == ZERO
    target = git.resolve(new) if not deleted else None
    since = git.branch(repo.default_branch) if created else old
    if created and ref == BRANCH + repo.default_branch:
        since = None
    shas = list(reversed(git.log(since, target, limit=2048))) if target else []
    html = repositories.html_url(forge, repo)
    return {
        "ref": ref,
        "before": old,
        "after": new,
        "repository": repositories.pushed(forge, repo),
        "pusher": {"name": by, "email": forge.state.account(by).email},
        "sender": people.by_login(forge, by),
        "created": created,
        "deleted": deleted,
        "forced": not created and not deleted and not git.is_ancestor(old, new),
        "base_ref": None,
        "compare": f"{html}/compare/{old[:12]}...{new[:12]}" if not created else f"{html}/commit/{new[:12]}",
        "commits": [commits.pushed_commit(forge, repo, git.commit(sha)) for sha in shas[-2048:]],
        "head_commit": commits.pushed_commit(forge, repo, git.commit(target)) if target else None,
    }


def _heads_follow(forge: Forge, repo: Repository, branch: str, new: str, by: str) -> None:
    for pull in forge.state.pulls.where(head_repository_id=repo.id, head_ref=branch, state="open"):
        if new == ZERO:
            close(forge, pull, by)
        elif pull.head_sha != new:
            _synchronize(forge, pull, new, by)


def _synchronize(forge: Forge, pull: PullRequest, new: str, by: str) -> None:
    base = pulls.base_repository(forge, pull)
    tip = forge.git(base).branch(pull.base_ref) or pull.base_sha
    moved = forge.state.pulls.change(pull, head_sha=new, base_sha=tip, updated_at=forge.clock.stamp())
    moved = keep_refs(forge, moved)
    emit(forge, moved, "synchronize", by, before=pull.head_sha, after=new)


def _merged_by_push(forge: Forge, repo: Repository, branch: str, new: str, by: str) -> None:
    git = forge.git(repo)
    for pull in forge.state.pulls.where(repository_id=repo.id, base_ref=branch, state="open"):
        if git.is_ancestor(pull.head_sha, new):
            merged(forge, pull, new, by)


def keep_refs(forge: Forge, pull: PullRequest) -> PullRequest:
    """Bring `refs/pull/N/head` and, where it merges, `refs/pull/N/merge` of the base repository up to date."""
    git, at = forge.git(pull.repository_id), f"refs/pull/{pull.number}"
    if pull.head_repository_id != pull.repository_id:
        git.fetch(forge.git(pull.head_repository_id), f"refs/heads/{pull.head_ref}", f"{at}/head")
    git.update_ref(f"{at}/head", pull.head_sha)
    tree = git.merge_tree(pull.base_sha, pull.head_sha)
    if tree is None:
        return forge.state.pulls.change(pull, merge_commit_sha=None)
    message = f"Merge {pull.head_sha} into {pull.base_sha}"
    by = forge.person(pull.author)
    merge = git.commit_tree(tree, (pull.base_sha, pull.head_sha), message=message, by=by)
    git.update_ref(f"{at}/merge", merge)
    return forge.state.pulls.change(pull, merge_commit_sha=merge)


def close(forge: Forge, pull: PullRequest, by: str) -> PullRequest:
    """Close a pull request without merging it."""
    now = forge.clock.stamp()
    closed = forge.state.pulls.change(pull, state="closed", closed_at=now, updated_at=now)
    emit(forge, closed, "closed", by)
    return closed


def merged(forge: Forge, pull: PullRequest, merge_sha: str, by: str) -> PullRequest:
    """Mark a pull request as merged by the commit `merge_sha`, which its base has by now."""
    now = forge.clock.stamp()
    facts = {"merged_at": now, "merged_by": by, "merge_commit_sha": merge_sha}
    done = forge.state.pulls.change(pull, state="closed", closed_at=now, updated_at=now, **facts)
    emit(forge, done, "closed", by)
    return done


def emit(forge: Forge, pull: PullRequest, action: str, by: str, **more: object) -> None:
    """Send a `pull_request` event."""
    base = pulls.base_repository(forge, pull)

    def payload() -> Json:
        return {
            "action": action,
            "number": pull.number,
            "pull_request": pulls.full(forge, pull),
            **more,
            "repository": repositories.repository(forge, base),
            "sender": people.by_login(forge, by),
        }

    forge.emit("pull_request", payload, repo=base)
