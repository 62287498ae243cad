"""The environments of a repository, as its default branch says at this moment. No other branch is ever asked."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.domain.commands.authority import Refused
from bot.domain.deploy.environment import Environment
from bot.domain.deploy.reading import environments
from bot.domain.subject import Subject
from bot.domain.text import code
from bot.flows.configuring import default_of
from bot.flows.context import Context
from bot.flows.deploying.request import Place
from bot.flows.fetching import wanted_of
from bot.github.errors import NotFound
from bot.github.git import Mirror
from bot.github.pulls import branch_head, repository
from bot.github.supplies import Wanted
from runner.config import FILE, Config, load_config
from runner.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """What the default branch says.

    Attributes:
        default_branch: its name.
        tip: the commit where it stands.
        config_sha: the commit at which the configuration was read: the organisation's, where that is in force.
        environments: by name.
        sections: the same, as they are handed to whoever carries a deployment out.
        wanted: what is fetched besides a commit itself.
    """

    default_branch: str
    tip: str
    config_sha: str
    environments: Mapping[str, Environment]
    sections: Mapping[str, Mapping[str, Any]]
    wanted: Wanted

    def environment(self, name: str) -> Environment | Refused:
        """One by its name; a name that is none of them is answered with the nearest, never with what was typed."""
        if (found := self.environments.get(name)) is not None:
            return found
        if not self.environments:
            return Refused("unknown_environment", f"{code(FILE)} on the default branch has no environments")
        near = difflib.get_close_matches(name, self.environments, n=1)
        meant = (
            f" (did you mean {code(near[0])}?)" if near else f": there are {', '.join(map(code, self.environments))}"
        )
        return Refused("unknown_environment", f"there is no such environment{meant}")


def subject_of(place: Place, branch: str, sha: str) -> Subject:
    """A commit of a branch, for those who fetch."""
    return Subject(
        repo_id=place.repo_id,
        repo=place.repo,
        installation_id=place.installation_id,
        pr=None,
        base_ref=branch,
        base_sha=sha,
        head_sha=sha,
    )


async def configured(ctx: Context, place: Place) -> Configured | Refused:
    """Read it now.

    Raises:
        GitHubProblem: GitHub did not answer; a repeat is safe.
    """
    github = ctx.github.installation(place.installation_id)
    facts = await repository(github, place.repo)
    if facts.id != place.repo_id:
        return Refused("unknown_repository", "the name belongs to another repository by now")
    try:
        tip = await branch_head(github, place.repo, facts.default_branch)
    except NotFound:
        return Refused("unknown_environment", "the default branch has no commits")
    subject = subject_of(place, facts.default_branch, tip)
    mirror = await ctx.workspaces.fetch(subject)
    default = await default_of(ctx, subject, mirror, tip)
    text = default.text if default else await _own(mirror, tip)
    try:
        config = await asyncio.to_thread(load_config, text) if text else Config()
    except UserError as wrong:
        return Refused("config_broken", f"{code(FILE)} on the default branch cannot be read: {code(wrong.message)}")
    sections = config.settings.get("environments") or {}
    assert isinstance(sections, Mapping), "validated"
    return Configured(
        default_branch=facts.default_branch,
        tip=tip,
        config_sha=default.sha if default else tip,
        environments=environments(config.settings),
        sections=sections,
        wanted=wanted_of(config),
    )


async def _own(mirror: Mirror, sha: str) -> str:
    text = await mirror.read(sha, FILE)
    return text.decode("utf-8", "replace") if text is not None else ""
