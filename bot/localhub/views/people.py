"""Accounts and Apps as JSON."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.localhub.forge import Forge
    from bot.localhub.records import App, Installation, Json, User


def node_id(kind: str, number: int) -> str:
    """A global id in GitHub's classic form."""
    return b64encode(f"0{len(kind)}:{kind}{number}".encode()).decode()


def simple_user(forge: Forge, user: User) -> Json:
    """`simple-user`."""
    api = f"{forge.url}/users/{user.login}"
    slug = user.login.removesuffix("[bot]")
    return {
        "login": user.login,
        "id": user.id,
        "node_id": node_id(user.type, user.id),
        "avatar_url": f"{forge.url}/_hub/avatars/{user.id}",
        "gravatar_id": "",
        "url": api,
        "html_url": f"{forge.url}/apps/{slug}" if user.type == "Bot" else f"{forge.url}/{user.login}",
        "followers_url": f"{api}/followers",
        "following_url": f"{api}/following{{/other_user}}",
        "gists_url": f"{api}/gists{{/gist_id}}",
        "starred_url": f"{api}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{api}/subscriptions",
        "organizations_url": f"{api}/orgs",
        "repos_url": f"{api}/repos",
        "events_url": f"{api}/events{{/privacy}}",
        "received_events_url": f"{api}/received_events",
        "type": user.type,
        "user_view_type": "public",
        "site_admin": user.site_admin,
    }


def by_login(forge: Forge, login: str) -> Json:
    """`simple-user` of an account; GitHub's `ghost` when it is gone."""
    user = forge.state.user(login) or forge.state.account("ghost")
    return simple_user(forge, user)


def public_user(forge: Forge, user: User) -> Json:
    """`public-user`."""
    own = [repo for repo in forge.state.repositories if repo.owner == user.login and not repo.private]
    return {
        **simple_user(forge, user),
        "name": user.login,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "twitter_username": None,
        "public_repos": len(own),
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": user.created_at,
        "updated_at": user.created_at,
    }


def integration(forge: Forge, app: App) -> Json:
    """`integration`: the App itself."""
    return {
        "id": app.id,
        "client_id": app.client_id,
        "slug": app.slug,
        "node_id": node_id("Integration", app.id),
        "owner": by_login(forge, app.owner),
        "name": app.name,
        "description": "",
        "external_url": f"{forge.url}/apps/{app.slug}",
        "html_url": f"{forge.url}/apps/{app.slug}",
        "created_at": app.created_at,
        "updated_at": app.created_at,
        "permissions": app.permissions,
        "events": app.events,
    }


def installation(forge: Forge, row: Installation) -> Json:
    """`installation`."""
    account = forge.state.account(row.account)
    app = forge.state.app_of(row)
    return {
        "id": row.id,
        "client_id": app.client_id,
        "account": simple_user(forge, account),
        "repository_selection": row.repository_selection,
        "access_tokens_url": f"{forge.url}/app/installations/{row.id}/access_tokens",
        "repositories_url": f"{forge.url}/installation/repositories",
        "html_url": f"{forge.url}/settings/installations/{row.id}",
        "app_id": app.id,
        "app_slug": app.slug,
        "target_id": account.id,
        "target_type": account.type,
        "permissions": row.permissions,
        "events": row.events,
        "created_at": row.created_at,
        "updated_at": row.created_at,
        "single_file_name": None,
        "has_multiple_single_files": False,
        "single_file_paths": [],
        "suspended_by": by_login(forge, row.suspended_by) if row.suspended_by else None,
        "suspended_at": row.suspended_at,
    }
