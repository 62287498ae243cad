"""The App about itself: its installations, their tokens, its webhook and the deliveries to it."""

from __future__ import annotations

import json
from datetime import timedelta
from secrets import token_hex
from typing import TYPE_CHECKING

from bot.localhub import refusals
from bot.localhub.access import LEVELS
from bot.localhub.acts import accounts, registrations
from bot.localhub.rest import fields
from bot.localhub.rest.call import MOST_PER_PAGE, Call, Endpoint, Reply
from bot.localhub.state import covers
from bot.localhub.views import people, repositories

if TYPE_CHECKING:
    from bot.localhub.records import Delivery, Installation, Json, Repository

TOKEN_LIFE = timedelta(hours=1)
MOST_REPOSITORIES = 500


def app(call: Call) -> Reply:
    """GET /app."""
    own = call.forge.state.installations.where(app_id=call.app.id)
    return Reply(body={**people.integration(call.forge, call.app), "installations_count": len(own)})


def convert(call: Call) -> Reply:
    """POST /app-manifests/{code}/conversions: a new App's credentials, once."""
    found = registrations.redeem(call.forge, call.path["code"])
    if found is None:
        raise refusals.not_found()
    made, registration = found
    body = {
        **people.integration(call.forge, made),
        "client_secret": token_hex(20),
        "webhook_secret": made.webhook_secret,
        "pem": registration.private_key,
    }
    return Reply(status=201, body=body)


def installations(call: Call) -> Reply:
    """GET /app/installations."""
    rows, headers = call.page(call.forge.state.installations.where(app_id=call.app.id))
    return Reply(body=[people.installation(call.forge, row) for row in rows], headers=headers)


def installation(call: Call) -> Reply:
    """GET /app/installations/{id}."""
    return Reply(body=people.installation(call.forge, _installation(call)))


def _installation(call: Call) -> Installation:
    row = call.forge.state.installations.get(call.number("installation_id"))
    if row is None or row.app_id != call.app.id:
        raise refusals.not_found()
    return row


def repository_installation(call: Call) -> Reply:
    """GET /repos/{owner}/{repo}/installation: this App's installation there."""
    repo = call.forge.state.repository(f"{call.path['account']}/{call.path['name']}")
    found = [row for row in call.forge.state.installed(repo) if row.app_id == call.app.id] if repo else []
    if not found:
        raise refusals.not_found()
    return Reply(body=people.installation(call.forge, found[0]))


def access_token(call: Call) -> Reply:
    """POST /app/installations/{id}/access_tokens: a token for an hour, narrowed as asked and never widened."""
    row = _installation(call)
    if row.suspended_at:
        raise refusals.Refused(403, "This installation has been suspended")
    permissions = _narrowed_permissions(call, row)
    chosen = _narrowed_repositories(call, row)
    token = accounts.installation_token(
        call.forge,
        row,
        permissions=permissions,
        repository_ids=None if chosen is None else [repo.id for repo in chosen],
        until=call.forge.clock.now() + TOKEN_LIFE,
    )
    body: Json = {
        "token": token.id,
        "expires_at": token.expires_at,
        "permissions": permissions,
        "repository_selection": row.repository_selection if chosen is None else "selected",
    }
    if chosen is not None:
        body["repositories"] = [repositories.repository(call.forge, repo) for repo in chosen]
    return Reply(status=201, body=body)


def _narrowed_permissions(call: Call, row: Installation) -> dict[str, str]:
    asked = fields.mapping(call.body, "permissions")
    if not asked:
        return row.permissions
    for name, level in asked.items():
        held = row.permissions.get(name, "none")
        if level not in LEVELS or LEVELS.index(level) > LEVELS.index(held):
            sentence = "The permissions requested are not granted to this installation."
            raise refusals.Refused(422, sentence)
    return {"metadata": "read", **asked}


def _narrowed_repositories(call: Call, row: Installation) -> list[Repository] | None:
    names = fields.items(call.body, "repositories", most=MOST_REPOSITORIES)
    ids = fields.items(call.body, "repository_ids", most=MOST_REPOSITORIES)
    if not names and not ids:
        return None
    own = [repo for repo in call.forge.state.repositories if covers(row, repo)]
    chosen = [repo for repo in own if repo.name in (names or ()) or repo.id in (ids or ())]
    if {*(names or ())} - {repo.name for repo in chosen} or {*(ids or ())} - {repo.id for repo in chosen}:
        sentence = (
            "There is at least one repository that does not exist or is not accessible to the parent installation."
        )
        raise refusals.Refused(422, sentence)
    return chosen


def revoke(call: Call) -> Reply:
    """DELETE /installation/token."""
    if token := call.forge.state.tokens.get(call.caller.token):
        call.forge.state.tokens.drop(token)
    return Reply(status=204)


def installation_repositories(call: Call) -> Reply:
    """GET /installation/repositories: what the token reaches."""
    reach = [repo for repo in call.forge.state.repositories if call.caller.covers(repo)]
    rows, headers = call.page(reach)
    body = {
        "total_count": len(reach),
        "repository_selection": "selected" if call.caller.repository_ids is not None else "all",
        "repositories": [repositories.repository(call.forge, repo) for repo in rows],
    }
    return Reply(body=body, headers=headers)


def hook_config(call: Call) -> Reply:
    """GET /app/hook/config; the secret is never shown."""
    shown = {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": call.app.webhook_url}
    return Reply(body=shown)


def change_hook_config(call: Call) -> Reply:
    """PATCH /app/hook/config."""
    url = fields.text(call.body, "url")
    secret = fields.text(call.body, "secret")
    changes = {"webhook_url": url, "webhook_secret": secret}
    changed = call.forge.state.apps.change(call.app, **{name: new for name, new in changes.items() if new is not None})
    shown = {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": changed.webhook_url}
    return Reply(body=shown)


def deliveries(call: Call) -> Reply:
    """GET /app/hook/deliveries, newest first, with a cursor instead of page numbers."""
    rows = list(reversed(call.forge.state.deliveries.where(app_id=call.app.id)))
    cursor = call.query.get("cursor", "")
    if cursor:
        if not cursor.isdecimal():
            raise refusals.invalid_request("Invalid cursor.")
        rows = [row for row in rows if row.id <= int(cursor)]
    if call.query.get("status") in {"success", "failure"}:
        good = call.query["status"] == "success"
        rows = [row for row in rows if (200 <= row.status_code < 400) == good]
    asked = call.query.get("per_page", "")
    size = max(1, min(MOST_PER_PAGE, int(asked) if asked.isdecimal() else 30))
    link = {"link": f'<{call.link(cursor=str(rows[size].id))}>; rel="next"'} if len(rows) > size else {}
    return Reply(body=[_delivery_item(row) for row in rows[:size]], headers=link)


def _delivery_item(row: Delivery) -> Json:
    return {
        "id": row.id,
        "guid": row.guid,
        "delivered_at": row.delivered_at,
        "redelivery": row.redelivery,
        "duration": row.duration,
        "status": row.status,
        "status_code": row.status_code,
        "event": row.event,
        "action": row.action,
        "installation_id": row.installation_id,
        "repository_id": row.repository_id,
        "throttled_at": None,
    }


def _delivery(call: Call) -> Delivery:
    row = call.forge.state.deliveries.get(call.number("delivery_id"))
    if row is None or row.app_id != call.app.id:
        raise refusals.not_found()
    return row


def delivery(call: Call) -> Reply:
    """GET /app/hook/deliveries/{id}, with what was sent and what came back."""
    row = _delivery(call)
    body = {
        **_delivery_item(row),
        "url": row.url,
        "request": {"headers": row.request_headers, "payload": json.loads(row.payload)},
        "response": {"headers": row.response_headers, "payload": row.response_payload},
    }
    return Reply(body=body)


def redeliver(call: Call) -> Reply:
    """POST /app/hook/deliveries/{id}/attempts: once more, under the same guid."""
    call.forge.hooks.redeliver(_delivery(call))
    return Reply(status=202, body={})


ENDPOINTS = (
    Endpoint(method="GET", path="/app", answer=app, who="app", doc="apps/apps#get-the-authenticated-app"),
    Endpoint(
        method="POST",
        path="/app-manifests/{code}/conversions",
        answer=convert,
        doc="apps/apps#create-a-github-app-from-a-manifest",
    ),
    Endpoint(
        method="GET",
        path="/app/installations",
        answer=installations,
        who="app",
        doc="apps/apps#list-installations-for-the-authenticated-app",
    ),
    Endpoint(
        method="GET",
        path="/app/installations/{installation_id:int}",
        answer=installation,
        who="app",
        doc="apps/apps#get-an-installation-for-the-authenticated-app",
    ),
    Endpoint(
        method="POST",
        path="/app/installations/{installation_id:int}/access_tokens",
        answer=access_token,
        who="app",
        doc="apps/apps#create-an-installation-access-token-for-an-app",
    ),
    Endpoint(
        method="GET",
        path="/repos/{account}/{name}/installation",
        answer=repository_installation,
        who="app",
        doc="apps/apps#get-a-repository-installation-for-the-authenticated-app",
    ),
    Endpoint(
        method="GET",
        path="/installation/repositories",
        answer=installation_repositories,
        who="installation",
        doc="apps/installations#list-repositories-accessible-to-the-app-installation",
    ),
    Endpoint(
        method="DELETE",
        path="/installation/token",
        answer=revoke,
        who="installation",
        doc="apps/installations#revoke-an-installation-access-token",
    ),
    Endpoint(
        method="GET",
        path="/app/hook/config",
        answer=hook_config,
        who="app",
        doc="apps/webhooks#get-a-webhook-configuration-for-an-app",
    ),
    Endpoint(
        method="PATCH",
        path="/app/hook/config",
        answer=change_hook_config,
        who="app",
        doc="apps/webhooks#update-a-webhook-configuration-for-an-app",
    ),
    Endpoint(
        method="GET",
        path="/app/hook/deliveries",
        answer=deliveries,
        who="app",
        doc="apps/webhooks#list-deliveries-for-an-app-webhook",
    ),
    Endpoint(
        method="GET",
        path="/app/hook/deliveries/{delivery_id:int}",
        answer=delivery,
        who="app",
        doc="apps/webhooks#get-a-delivery-for-an-app-webhook",
    ),
    Endpoint(
        method="POST",
        path="/app/hook/deliveries/{delivery_id:int}/attempts",
        answer=redeliver,
        who="app",
        doc="apps/webhooks#redeliver-a-delivery-for-an-app-webhook",
    ),
)
