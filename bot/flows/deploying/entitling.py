"""What somebody is to an environment at this moment: the names by which they may approve, as GitHub says them now."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from bot.domain.deploy.gate_facts import Unknown
from bot.flows.context import Context
from bot.flows.deploying.request import Place
from bot.github.errors import Forbidden, UnexpectedAnswer
from bot.github.permissions import Permission, permission
from bot.github.teams import is_member

log = structlog.get_logger()

_TEAM, _ROLE = "team:", "role:"


async def as_who(ctx: Context, place: Place, login: str, sources: Iterable[str]) -> tuple[str, ...] | Unknown:
    """Which of these sources somebody belongs to: `role:maintain`, `team:release`. A name of their own needs no proof.

    Raises:
        GitHubProblem: GitHub did not answer.
    """
    sources = tuple(sources)
    found: list[str] = []
    github = ctx.github.installation(place.installation_id)
    try:
        if any(source.startswith(_ROLE) for source in sources):
            held = await permission(github, place.repo, login)
            found += [f"{_ROLE}{held}"] if held is not Permission.NONE else []
        for team in sorted({source.removeprefix(_TEAM) for source in sources if source.startswith(_TEAM)}):
            if await is_member(github, place.repo.partition("/")[0], team, login):
                found.append(f"{_TEAM}{team}")
    except (Forbidden, UnexpectedAnswer) as unknown:
        log.warning("approver_unknown", actor=login, because=str(unknown))
        return Unknown(
            f"GitHub does not say what @{login} is here",
            "whoever installed the App gives it the permission `members: read`",
        )
    return tuple(found)
