"""Opening, editing and merging pull requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.localhub.acts import pushes
from bot.localhub.records import PullRequest

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import Repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What somebody wants merged: a branch of `head_repository` into `base` of `repository`."""

    repository: Repository
    base: str
    head_repository: Repository
    head: str
    title: str
    body: str | None
    by: str
    draft: bool = False
    maintainer_can_modify: bool = False


def open_pull(forge: Forge, wish: Proposal) -> PullRequest:
    """Open a pull request.

    Raises:
        LookupError: one of the two branches does not exist.
    """
    base_sha = forge.git(wish.repository).branch(wish.base)
    head_sha = forge.git(wish.head_repository).branch(wish.head)
    if not base_sha or not head_sha:
        missing = wish.base if not base_sha else wish.head
        message = f"no branch {missing!r} in {(wish.repository if not base_sha else wish.head_repository).full_name}"
        raise LookupError(message)
    now = forge.clock.stamp()
    pull = forge.state.pulls.put(
        PullRequest(
            id=forge.state.pulls.new_id(),
            issue_id=forge.state.issues.new_id(),
            repository_id=wish.repository.id,
            number=forge.state.new_number(wish.repository),
            title=wish.title,
            body=wish.body,
            author=wish.by,
            created_at=now,
            updated_at=now,
            head_repository_id=wish.head_repository.id,
            head_ref=wish.head,
            head_sha=head_sha,
            base_ref=wish.base,
            base_sha=base_sha,
            draft=wish.draft,
            maintainer_can_modify=wish.maintainer_can_modify,
        )
    )
    pull = pushes.keep_refs(forge, pull)
    pushes.emit(forge, pull, "opened", wish.by)
    return pull


def edit(
    forge: Forge, pull: PullRequest, by: str, *, title: str | None, body: str | None, base: str | None
) -> PullRequest:
    """Change title, body or base; None leaves one as it is. An `edited` event follows if anything changed."""
    wanted = {"title": title, "body": body, "base_ref": base}
    changes = {name: value for name, value in wanted.items() if value is not None and value != getattr(pull, name)}
    if not changes:
        return pull
    was = {name: {"from": getattr(pull, name)} for name in changes if name != "base_ref"}
    if "base_ref" in changes:
        was["base"] = {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}
        changes["base_sha"] = forge.git(pull.repository_id).branch(str(base)) or pull.base_sha
    edited = forge.state.pulls.change(pull, updated_at=forge.clock.stamp(), **changes)
    if "base_ref" in changes:
        edited = pushes.keep_refs(forge, edited)
    pushes.emit(forge, edited, "edited", by, changes=was)
    return edited


def reopen(forge: Forge, pull: PullRequest, by: str) -> PullRequest:
    """Open a closed pull request again, at its branch's present commit."""
    head_sha = forge.git(pull.head_repository_id).branch(pull.head_ref) or pull.head_sha
    now = forge.clock.stamp()
    opened = forge.state.pulls.change(pull, state="open", closed_at=None, updated_at=now, head_sha=head_sha)
    opened = pushes.keep_refs(forge, opened)
    pushes.emit(forge, opened, "reopened", by)
    return opened


def merge(
    forge: Forge, pull: PullRequest, by: str, *, method: str, title: str | None, message: str | None
) -> str | None:
    """Merge (`merge`) or squash (`squash`) a pull request into its base.

    Returns:
        The SHA that the base has now, or None when head and base conflict; then nothing has changed.
    """
    repo = forge.state.repositories.get(pull.repository_id)
    assert repo, "a pull request belongs to a repository"
    git = forge.git(repo)
    tip = git.branch(pull.base_ref) or pull.base_sha
    tree = git.merge_tree(tip, pull.head_sha)
    if tree is None:
        return None
    head = forge.state.repositories.get(pull.head_repository_id) or repo
    if method == "squash":
        subject, body, parents = f"{pull.title} (#{pull.number})", pull.body or "", [tip]
    else:
        subject = f"Merge pull request #{pull.number} from {head.owner}/{pull.head_ref}"
        body, parents = pull.title, [tip, pull.head_sha]
    text = f"{title or subject}\n\n{body if message is None else message}".rstrip() + "\n"
    sha = git.commit_tree(tree, parents, message=text, by=forge.person(by))
    forge.state.pulls.change(pull, state="closed")  # observe() must not take the push for somebody else's merge.
    git.update_ref(f"refs/heads/{pull.base_ref}", sha)
    pushes.observe(forge, repo, by)
    pushes.merged(forge, pull, sha, by)
    return sha
