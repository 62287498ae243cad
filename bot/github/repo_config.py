"""Whose configuration a commit is under: its own, or what its owner's repository `.github` says for all of them."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from bot.domain.subject import Subject
from bot.github.app import GitHubApp
from bot.github.errors import Forbidden, NotFound, Unprocessable
from bot.github.git import Mirror
from bot.github.pulls import branch_head, repository
from bot.github.workspace import Workspaces

log = structlog.get_logger()

DIRECTORY = ".github"
NAME = "interlock.yml"
FILE = f"{DIRECTORY}/{NAME}"
_OWN = frozenset({NAME, "interlock.yaml"})  # the second is a slip that is told, and not a repository without one.


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationDefault:
    """The file of an organisation: where it stands, at which commit, and what it says."""

    repo: str
    sha: str
    text: str


async def has_own(mirror: Mirror, sha: str) -> bool:
    """Whether a commit says anything itself, be it only by an empty file, or by a link that is looked at later.

    Raises:
        CommitNotFound: it is not in the mirror.
    """
    top = {entry.name: entry.kind for entry in await mirror.list(sha)}
    if top.get(DIRECTORY) == "directory":
        return any(entry.name in _OWN for entry in await mirror.list(sha, DIRECTORY))
    return top.get(DIRECTORY) == "symlink"


async def organisation_default(
    github: GitHubApp, workspaces: Workspaces, *, installation_id: int, repo: str
) -> OrganisationDefault | None:
    """What `<owner>/.github` says on its default branch; None if it says nothing, or is not the installation's to read.

    The token that reads it is for that repository alone, so a public one that the installation does not cover gives
    nothing: whoever wrote there has no say here.

    Raises:
        GitHubProblem: as calls and fetches do; a repeat is safe.
    """
    home = f"{repo.partition('/')[0]}/.github"
    if repo.lower() == home.lower():
        return None
    speaker = github.installation(installation_id)
    try:
        facts = await repository(speaker, home)
        tip = await branch_head(speaker, facts.full_name, facts.default_branch)
        mirror = await workspaces.fetch(
            Subject(
                repo_id=facts.id,
                repo=facts.full_name,
                installation_id=installation_id,
                pr=None,
                base_ref=facts.default_branch,
                base_sha=tip,
                head_sha=tip,
                config_hash="",
            )
        )
    except (NotFound, Forbidden, Unprocessable) as nothing:
        log.debug("no_organisation_default", repo=home, because=str(nothing))
        return None
    text = await mirror.read(tip, FILE)
    if text is None:
        return None
    return OrganisationDefault(repo=facts.full_name, sha=tip, text=text.decode("utf-8", "replace"))
