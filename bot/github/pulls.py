"""What GitHub says about repositories, branches and pull requests; the truth that a webhook only hints at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, ValidationError

from bot.github.addresses import repository_path, segment
from bot.github.app import Installation
from bot.github.errors import NotFound, UnexpectedAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFacts:
    """A repository; `id` survives a rename, `full_name` is the name of now."""

    id: int
    full_name: str
    default_branch: str
    private: bool
    archived: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PullFacts:
    """A pull request as it stands.

    Attributes:
        number: within the repository.
        state: `open` or `closed`.
        draft: true while its author calls it one.
        merged: true once it was merged.
        title: one line.
        author_login: `ghost` when the account is gone.
        author_type: `User`, `Bot`, or whatever GitHub adds.
        author_id: 0 when the account is gone.
        head_sha: the newest commit.
        head_ref: its branch.
        head_repo_id: where that branch is; None when the fork was deleted.
        base_sha: where the base branch stood when GitHub last looked; `branch_head` says where it stands.
        base_ref: the branch it wants to go into.
        base_repo_id: this repository's number.
        default_branch: this repository's.
        head_is_fork: true when the head is, or was, in another repository.
    """

    number: int
    state: str
    draft: bool
    merged: bool
    title: str
    author_login: str
    author_type: str
    author_id: int
    head_sha: str
    head_ref: str
    head_repo_id: int | None
    base_sha: str
    base_ref: str
    base_repo_id: int
    default_branch: str
    head_is_fork: bool


async def repository(gh: Installation, repo: str) -> RepositoryFacts:
    """The repository as it is now.

    Raises:
        NotFound: it is gone, or the installation no longer covers it.
    """
    path = repository_path(repo)
    said = _read(_Repository, (await gh.get(path, again=True)).json, path)
    return RepositoryFacts(
        id=said.id,
        full_name=said.full_name,
        default_branch=said.default_branch,
        private=said.private,
        archived=said.archived,
    )


async def branch_head(gh: Installation, repo: str, branch: str) -> str:
    """The SHA that a branch stands at.

    Raises:
        NotFound: there is no such branch.
    """
    # `git/ref`, in the singular, matches exactly; slashes belong to the branch's name.
    path = f"{repository_path(repo)}/git/ref/heads/{quote(branch, safe='/')}"
    return _read(_Ref, (await gh.get(path)).json, path).object.sha


async def get_pull(gh: Installation, repo: str, number: int) -> PullFacts:
    """A pull request.

    Raises:
        NotFound: there is none of this number.
    """
    path = f"{repository_path(repo)}/pulls/{number}"
    return _facts(_read(_Pull, (await gh.get(path, again=True)).json, path))


async def is_there(gh: Installation, repo: str, path: str, sha: str) -> bool:
    """Whether a commit has a file or directory, as GitHub says without a clone."""
    try:
        await gh.get(f"{repository_path(repo)}/contents/{quote(path)}", {"ref": sha})
    except NotFound:
        return False
    return True


async def pulls_for_sha(gh: Installation, repo: str, sha: str) -> tuple[PullFacts, ...]:
    """The pull requests that contain a commit, open and closed; by number."""
    path = f"{repository_path(repo)}/commits/{segment(sha)}/pulls"
    pulls = [_facts(_read(_Pull, pull, path)) async for pull in gh.paginate(path)]
    return tuple(sorted(pulls, key=lambda pull: pull.number))


async def open_pulls(gh: Installation, repo: str) -> tuple[PullFacts, ...]:
    """Every open pull request, by number. Cheap where nothing has changed since the last time."""
    path = f"{repository_path(repo)}/pulls"
    pulls = [_facts(_read(_Pull, pull, path)) async for pull in gh.paginate(path, {"state": "open"}, again=True)]
    return tuple(sorted(pulls, key=lambda pull: pull.number))


class _Lenient(BaseModel):
    """Only what we use is read, so that what GitHub adds or an old server lacks does not matter."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Repository(_Lenient):
    id: int
    full_name: str
    default_branch: str = "main"
    private: bool = True
    archived: bool = False


class _Object(_Lenient):
    sha: str


class _Ref(_Lenient):
    object: _Object


class _User(_Lenient):
    login: str = "ghost"
    id: int = 0
    type: str = "User"


class _End(_Lenient):
    sha: str
    ref: str
    repo: _Repository | None = None


class _Pull(_Lenient):
    number: int
    state: str
    title: str | None = ""
    draft: bool | None = False
    merged_at: str | None = None
    user: _User | None = None
    head: _End
    base: _End


_Model = TypeVar("_Model", bound=_Lenient)


def _read(model: type[_Model], said: object, path: str) -> _Model:
    try:
        return model.model_validate(said)
    except ValidationError as error:
        fields = ", ".join(".".join(str(part) for part in problem["loc"]) for problem in error.errors())
        message = f"GitHub answered GET {path} without a usable {fields}"
        raise UnexpectedAnswer(message) from None


def _facts(pull: _Pull) -> PullFacts:
    author = pull.user or _User()
    head_id = pull.head.repo.id if pull.head.repo else None
    base = pull.base.repo
    if base is None:
        message = f"GitHub described pull request {pull.number} without its repository"
        raise UnexpectedAnswer(message)
    return PullFacts(
        number=pull.number,
        state=pull.state,
        draft=bool(pull.draft),
        merged=pull.merged_at is not None,
        title=pull.title or "",
        author_login=author.login,
        author_type=author.type,
        author_id=author.id,
        head_sha=pull.head.sha,
        head_ref=pull.head.ref,
        head_repo_id=head_id,
        base_sha=pull.base.sha,
        base_ref=pull.base.ref,
        base_repo_id=base.id,
        default_branch=base.default_branch,
        head_is_fork=head_id != base.id,
    )
