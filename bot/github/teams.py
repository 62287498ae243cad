"""Who is in a team of an organisation, as GitHub says at this moment."""

from __future__ import annotations

from bot.github.addresses import segment
from bot.github.app import Installation
from bot.github.errors import NotFound


async def is_member(gh: Installation, organisation: str, team: str, login: str) -> bool:
    """Whether somebody is in a team, or in one below it; an invitation that was not accepted does not count.

    Args:
        gh: who speaks.
        organisation: whose team it is; an account that is none has no teams.
        team: its slug.
        login: who.

    Raises:
        Forbidden: the App lacks `members: read`, so nobody can know.
        GitHubUnavailable, RateLimited: GitHub did not answer.
    """
    path = f"/orgs/{segment(organisation)}/teams/{segment(team)}/memberships/{segment(login)}"
    try:
        said = (await gh.get(path)).json
    except NotFound:
        return False
    return isinstance(said, dict) and said.get("state") == "active"
