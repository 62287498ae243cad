"""Accounts, repositories, forks, Apps and their installations coming into being; tokens for them."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from secrets import token_bytes, token_hex
from typing import TYPE_CHECKING

from bot.localhub.clock import timestamp
from bot.localhub.records import App, Installation, Repository, Token, User
from bot.localhub.state import covers
from bot.localhub.views import people

if TYPE_CHECKING:
    from datetime import datetime

    from bot.localhub.forge import Forge
    from bot.localhub.records import Json

INSTALLATION_TOKEN_LENGTH = 520
PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "checks": "write",
    "statuses": "write",
    "pull_requests": "write",
    "issues": "write",
    "deployments": "write",
    "actions": "read",
    "members": "read",
    "merge_queues": "read",
}
EVENTS = [
    "check_run",
    "check_suite",
    "deployment",
    "deployment_protection_rule",
    "deployment_review",
    "deployment_status",
    "issue_comment",
    "merge_group",
    "pull_request",
    "push",
    "delete",
    "repository",
]


def create_user(forge: Forge, login: str, *, kind: str = "User") -> User:
    """Make an account, or return the one that has this login."""
    if known := forge.state.user(login):
        return known
    row = User(id=forge.state.users.new_id(), login=login, type=kind, created_at=forge.clock.stamp())
    return forge.state.users.put(row)


def user_token(forge: Forge, user: User) -> str:
    """The user's personal token; the same one every time."""
    if known := forge.state.tokens.first(login=user.login):
        return known.id
    return forge.state.tokens.put(Token(id=f"ghp_{token_hex(18)}", login=user.login)).id


def create_app(forge: Forge, slug: str, *, owner: str, public_key: str, webhook_secret: str) -> App:
    """Register an App, with the account that it acts as."""
    create_user(forge, owner, kind="Organization")
    create_user(forge, f"{slug}[bot]", kind="Bot")
    app_id = forge.state.apps.new_id()
    return forge.state.apps.put(
        App(
            id=app_id,
            slug=slug,
            name=slug.capitalize(),
            owner=owner,
            client_id=f"Iv23li{app_id:014d}",
            public_key=public_key,
            webhook_secret=webhook_secret,
            webhook_url="",
            hook_id=500_000_000 + app_id,
            permissions=PERMISSIONS,
            events=EVENTS,
            created_at=forge.clock.stamp(),
        )
    )


def install(forge: Forge, app: App, account: str, *, repositories: list[Repository] | None = None) -> Installation:
    """Install an App on an account: on everything it owns, or on a selection."""
    row = Installation(
        id=forge.state.installations.new_id(),
        app_id=app.id,
        account=account,
        repository_selection="all" if repositories is None else "selected",
        repository_ids=[repo.id for repo in repositories or ()],
        permissions=app.permissions,
        events=app.events,
        created_at=forge.clock.stamp(),
    )
    forge.state.installations.put(row)
    chosen = [repo for repo in forge.state.repositories if covers(row, repo)]
    payload = {
        "action": "created",
        "installation": people.installation(forge, row),
        "repositories": [listed(forge, repo) for repo in chosen],
        "requester": None,
        "sender": people.by_login(forge, account),
    }
    forge.hooks.queue(app, "installation", payload, repository_id=None, installation_id=row.id)
    return row


def listed(_forge: Forge, repo: Repository) -> Json:
    """A repository as the events of installations list it."""
    return {
        "id": repo.id,
        "node_id": people.node_id("Repository", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
    }


def installation_token(
    forge: Forge,
    installation: Installation,
    *,
    permissions: dict[str, str],
    repository_ids: list[int] | None,
    until: datetime,
) -> Token:
    """Mint a token in the shape that GitHub's have since 2026: long, with dots, dashes and underscores."""
    prefix = f"ghs_{installation.app_id}_"
    random = urlsafe_b64encode(token_bytes(INSTALLATION_TOKEN_LENGTH)).decode()
    parts = (random[:36], random[36:340], random[340:])
    value = (prefix + ".".join(parts).replace("=", "_"))[: INSTALLATION_TOKEN_LENGTH - 3] + "-_0"
    return forge.state.tokens.put(
        Token(
            id=value,
            installation_id=installation.id,
            permissions=permissions,
            repository_ids=repository_ids,
            expires_at=timestamp(until),
        )
    )


def create_repository(
    forge: Forge,
    full_name: str,
    *,
    private: bool = False,
    default_branch: str = "main",
    collaborators: dict[str, str] | None = None,
    parent: Repository | None = None,
) -> Repository:
    """Make an empty repository; its owner becomes an organization unless the account exists.

    Raises:
        ValueError: the name is taken or is not `owner/name`.
    """
    owner, slash, name = full_name.partition("/")
    if not (owner and slash and name) or "/" in name or forge.state.repository(full_name):
        message = f"{full_name!r} is taken or is no owner/name"
        raise ValueError(message)
    create_user(forge, owner, kind="Organization")
    now = forge.clock.stamp()
    row = Repository(
        id=forge.state.repositories.new_id(),
        owner=owner,
        name=name,
        private=private,
        default_branch=default_branch,
        collaborators=collaborators or {},
        created_at=now,
        pushed_at=now,
        parent_id=parent.id if parent else 0,
    )
    git = forge.git(row)
    git.create(default_branch)
    if parent:
        git.git(
            "fetch", "--quiet", str(forge.git(parent).path), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"
        )
    forge.new_refs(row)
    return forge.state.repositories.put(row)
