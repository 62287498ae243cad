"""An App coming into being from a manifest, and the code that is exchanged once for its credentials.

Source: https://docs.github.com/en/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from secrets import token_hex
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.localhub import keys
from bot.localhub.acts import accounts
from bot.localhub.clock import new_secret, parse_timestamp, timestamp
from bot.localhub.records import App, Json, Registration
from bot.localhub.views import people

if TYPE_CHECKING:
    from bot.localhub.forge import Forge

CODE_LIFE = timedelta(hours=1)
LONGEST_NAME = 34
LEVELS = frozenset({"read", "write"})
UNASKED = frozenset({"installation", "installation_repositories", "github_app_authorization", "ping"})
"""Every App hears of these; a manifest that lists one is refused."""

NEEDED = {
    "check_run": ("checks",),
    "check_suite": ("checks",),
    "create": ("contents",),
    "delete": ("contents",),
    "deployment": ("deployments",),
    "deployment_protection_rule": ("deployments",),
    "deployment_review": ("deployments",),
    "deployment_status": ("deployments",),
    "issue_comment": ("issues",),
    "merge_group": ("merge_queues",),
    "pull_request": ("pull_requests",),
    "pull_request_review": ("pull_requests",),
    "push": ("contents",),
    "repository": ("metadata",),
    "status": ("statuses",),
    "workflow_run": ("actions",),
}
"""The permission that an event takes, one of those named. Source: GitHub docs, "Webhook events and payloads"."""


class ManifestInvalid(Exception):
    """The App is not registered; the sentence is what GitHub's page shows."""


def check(forge: Forge, manifest: Json) -> None:
    """Judge a manifest as GitHub does before it shows its page.

    Raises:
        ManifestInvalid: it asks for what an App cannot have.
    """
    hook = manifest.get("hook_attributes")
    for name, address in (
        ("url", manifest.get("url")),
        ("hook_attributes.url", hook.get("url") if isinstance(hook, dict) else None),
        ("redirect_url", manifest.get("redirect_url")),
    ):
        if not isinstance(address, str) or urlsplit(address).scheme not in {"http", "https"}:
            message = f"{name} must be a valid URL"
            raise ManifestInvalid(message)
    granted = manifest.get("default_permissions", {})
    if not isinstance(granted, dict) or set(granted.values()) - LEVELS:
        raise ManifestInvalid("default_permissions are invalid")
    for event in manifest.get("default_events", []):
        if event in UNASKED or event not in NEEDED or not granted.keys() & set(NEEDED[event]):
            message = f"Default events unsupported: {event}"
            raise ManifestInvalid(message)
    check_name(forge, str(manifest.get("name", "")))


def check_name(forge: Forge, name: str) -> None:
    """Judge the App's name, which the person may have changed.

    Raises:
        ManifestInvalid: it is missing, too long or taken.
    """
    if not slug_of(name) or len(name) > LONGEST_NAME:
        message = f"Name is missing or longer than {LONGEST_NAME} characters"
        raise ManifestInvalid(message)
    if forge.state.apps.first(slug=slug_of(name)):
        raise ManifestInvalid("Name has already been taken")


def slug_of(name: str) -> str:
    """An App's short name."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def register(forge: Forge, manifest: Json, *, name: str, owner: str) -> Registration:
    """Register the App and send its webhook the ping; what comes back is exchanged by `redeem`."""
    private_key = keys.new_key()
    made = accounts.create_app(
        forge, slug_of(name), owner=owner, public_key=keys.public_half(private_key), webhook_secret=new_secret()
    )
    app = forge.state.apps.put(
        replace(
            made,
            name=name,
            webhook_url=manifest["hook_attributes"]["url"],
            permissions={"metadata": "read", **manifest.get("default_permissions", {})},
            events=list(manifest.get("default_events", [])),
        )
    )
    forge.hooks.queue(app, "ping", ping(forge, app), repository_id=None, installation_id=None)
    return forge.state.registrations.put(
        Registration(
            id=token_hex(20),
            app_id=app.id,
            private_key=private_key,
            expires_at=timestamp(forge.clock.now() + CODE_LIFE),
        )
    )


def redeem(forge: Forge, code: str) -> tuple[App, Registration] | None:
    """The App and its key for a code that is fresh and was not used; it is used now."""
    row = forge.state.registrations.get(code)
    if row is None:
        return None
    forge.state.registrations.drop(row)
    app = forge.state.apps.get(row.app_id)
    return (app, row) if app and parse_timestamp(row.expires_at) > forge.clock.now() else None


def ping(forge: Forge, app: App) -> Json:
    """`ping`, as an App's webhook gets it once, when it is made."""
    return {
        "zen": "Keep it logically awesome.",
        "hook_id": app.hook_id,
        "hook": {
            "type": "App",
            "id": app.hook_id,
            "name": "web",
            "active": True,
            "events": app.events,
            "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": app.webhook_url},
            "updated_at": app.created_at,
            "created_at": app.created_at,
            "app_id": app.id,
            "deliveries_url": f"{forge.url}/app/hook/deliveries",
        },
        "sender": people.by_login(forge, app.owner),
    }
