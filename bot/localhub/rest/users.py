"""Accounts, and the caller's rate limit."""

from __future__ import annotations

from bot.localhub import refusals
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import people


def myself(call: Call) -> Reply:
    """GET /user: the account behind a user's token."""
    if call.caller.kind != "user" or call.caller.user is None:
        raise (
            refusals.not_by_integration() if call.caller.kind == "installation" else refusals.authentication_required()
        )
    return Reply(body=people.public_user(call.forge, call.caller.user))


def user(call: Call) -> Reply:
    """GET /users/{username}."""
    found = call.forge.state.user(call.path["username"])
    if found is None:
        raise refusals.not_found()
    return Reply(body=people.public_user(call.forge, found))


def rate_limit(call: Call) -> Reply:
    """GET /rate_limit, which costs nothing."""
    window = call.window
    core = {"limit": window.limit, "remaining": window.remaining, "reset": window.reset, "used": window.used}
    search = {"limit": 30, "remaining": 30, "reset": window.reset, "used": 0}
    return Reply(body={"resources": {"core": core, "search": search}, "rate": core})


ENDPOINTS = (
    Endpoint(method="GET", path="/user", answer=myself, doc="users/users#get-the-authenticated-user"),
    Endpoint(method="GET", path="/users/{username}", answer=user, doc="users/users#get-a-user"),
    Endpoint(method="GET", path="/rate_limit", answer=rate_limit, doc="rate-limit/rate-limit"),
)
