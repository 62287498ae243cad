"""A merge queue: a pull request merged ahead of time on a branch of the queue, and into its base once that is green.

Only as much as an App sees: groups of one pull request, each on top of the one before it.
Source: https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/managing-a-merge-queue
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.localhub.acts import pushes
from bot.localhub.records import MergeGroup
from bot.localhub.views import commits, people, repositories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.localhub.forge import Forge
    from bot.localhub.records import CheckRun, Json, PullRequest, Repository

PASSING = frozenset({"success", "neutral", "skipped"})
"""Conclusions with which GitHub lets a required check pass."""


def enqueue(forge: Forge, repo: Repository, pull: PullRequest, by: str, *, required: Sequence[str]) -> MergeGroup:
    """Put a pull request at the end of the queue of its base, and ask for checks.

    Raises:
        ValueError: it conflicts with what it would be merged onto.
    """
    git = forge.git(repo)
    ahead = forge.state.groups.where(repository_id=repo.id, base_ref=pull.base_ref, state="open")
    base_sha = ahead[-1].head_sha if ahead else git.branch(pull.base_ref) or pull.base_sha
    tree = git.merge_tree(base_sha, pull.head_sha)
    if tree is None:
        message = f"{repo.full_name}#{pull.number} has conflicts"
        raise ValueError(message)
    message = f"Merge pull request #{pull.number} from {repo.owner}/{pull.head_ref}\n\n{pull.title}\n"
    head_sha = git.commit_tree(tree, (base_sha, pull.head_sha), message=message, by=forge.person(by))
    group = forge.state.groups.put(
        MergeGroup(
            id=forge.state.groups.new_id(),
            repository_id=repo.id,
            number=pull.number,
            base_ref=pull.base_ref,
            base_sha=base_sha,
            head_ref=f"gh-readonly-queue/{pull.base_ref}/pr-{pull.number}-{base_sha}",
            head_sha=head_sha,
            by=by,
            required=list(required),
        )
    )
    git.update_ref(f"refs/heads/{group.head_ref}", head_sha)
    pushes.observe(forge, repo, by)
    _emit(forge, repo, group, "checks_requested", by)
    return group


def remove(forge: Forge, repo: Repository, group: MergeGroup, by: str, *, reason: str) -> MergeGroup:
    """Take a group out of the queue (`reason`: merged, invalidated, dequeued), and those that stand on it with it."""
    git = forge.git(repo)
    behind = forge.state.groups.where(repository_id=repo.id, base_sha=group.head_sha, state="open")
    gone = forge.state.groups.change(group, state=reason)
    git.delete_ref(f"refs/heads/{group.head_ref}")
    pushes.observe(forge, repo, by)
    _emit(forge, repo, gone, "destroyed", by, reason=reason)
    for one in behind if reason != "merged" else ():
        remove(forge, repo, one, by, reason="invalidated")
    return gone


def judge(forge: Forge, repo: Repository, run: CheckRun) -> None:
    """A check of a commit is complete: merge the group of that commit, or give it up, if that decides it."""
    group = forge.state.groups.first(repository_id=repo.id, head_sha=run.head_sha, state="open")
    if group is None:
        return
    newest = {one.name: one for one in forge.state.runs.where(repository_id=repo.id, head_sha=run.head_sha)}
    wanted = [newest.get(name) for name in group.required]
    if any(one is not None and one.status == "completed" and one.conclusion not in PASSING for one in wanted):
        remove(forge, repo, group, group.by, reason="dequeued")
    elif all(one is not None and one.status == "completed" for one in wanted):
        _merge(forge, repo, group)


def _merge(forge: Forge, repo: Repository, group: MergeGroup) -> None:
    """Move the base to the group's commit. A group behind another waits for it."""
    git = forge.git(repo)
    if git.branch(group.base_ref) != group.base_sha:
        return
    git.update_ref(f"refs/heads/{group.base_ref}", group.head_sha)
    pushes.observe(forge, repo, group.by)  # closes the pull request as merged: its head is in the base now.
    remove(forge, repo, group, group.by, reason="merged")
    for behind in forge.state.groups.where(repository_id=repo.id, base_sha=group.head_sha, state="open"):
        for run in forge.state.runs.where(repository_id=repo.id, head_sha=behind.head_sha)[-1:]:
            judge(forge, repo, run)


def _emit(forge: Forge, repo: Repository, group: MergeGroup, action: str, by: str, **more: str) -> None:
    def payload() -> Json:
        return {
            "action": action,
            **more,
            "merge_group": {
                "head_sha": group.head_sha,
                "head_ref": f"refs/heads/{group.head_ref}",
                "base_sha": group.base_sha,
                "base_ref": f"refs/heads/{group.base_ref}",
                "head_commit": commits.simple_commit(forge.git(repo).commit(group.head_sha)),
            },
            "repository": repositories.repository(forge, repo),
            "sender": people.by_login(forge, by),
        }

    forge.emit("merge_group", payload, repo=repo)
