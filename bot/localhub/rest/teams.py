"""Who is in a team of an organization."""

from __future__ import annotations

from bot.localhub import refusals
from bot.localhub.rest.call import Call, Endpoint, Reply


def membership(call: Call) -> Reply:
    """GET /orgs/{org}/teams/{slug}/memberships/{username}; a 404 says that there is none, or no such team."""
    organization, caller = call.path["org"], call.caller
    if caller.kind == "anonymous":
        raise refusals.authentication_required()
    if caller.kind != "user" and not (
        caller.installation
        and caller.installation.account.lower() == organization.lower()
        and caller.grants("members", "read")
    ):
        raise refusals.not_by_integration()
    team = call.forge.state.team(f"{organization}/{call.path['team_slug']}")
    login = call.path["username"]
    if team is None or login.lower() not in {one.lower() for one in team.members}:
        raise refusals.not_found()
    url = f"{call.forge.url}/organizations/{team.organization}/team/{team.id}/memberships/{login}"
    return Reply(body={"url": url, "role": "member", "state": "active"})


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/orgs/{org}/teams/{team_slug}/memberships/{username}",
        answer=membership,
        needs=("members:read",),
        doc="teams/members#get-team-membership-for-a-user",
    ),
)
