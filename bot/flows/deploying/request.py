"""What somebody asks for: a commit into an environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bot.domain.deploy.deployment import Cause


class Place(Protocol):
    """Anything that says of which repository it is."""

    @property
    def repo_id(self) -> int:
        """GitHub's number of it."""

    @property
    def repo(self) -> str:
        """`owner/name`."""

    @property
    def installation_id(self) -> int:
        """Who speaks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A wish to have a commit in an environment.

    Attributes:
        id: of what asked; becomes the deployment's, so that a repeat makes no second one.
        environment: its name, as it was typed.
        sha: the commit, whole or its beginning; "" for the pull request's head, or where the branch stands.
        pr: the pull request that it is asked on, None for none.
        requested_by: login of who asks, "" for Interlock itself.
        cause: what asks.
        expect: the hash of the plan that must be carried out, as a dry run printed it; "" for whichever it will be.
        break_glass: why it must go out although the environment is frozen; "" when nobody says that it must.
    """

    id: str
    repo_id: int
    repo: str
    installation_id: int
    environment: str
    sha: str = ""
    pr: int | None = None
    requested_by: str = ""
    cause: Cause = "command"
    expect: str = ""
    break_glass: str = ""
