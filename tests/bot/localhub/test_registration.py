"""An App is registered from a manifest as on GitHub: a page, a button, a code that works once."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bot.localhub.acts import registrations
from bot.localhub.clock import Clock
from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import Receiver, app_jwt, client

MANIFEST: dict[str, Any] = {
    "name": "Our Bot",
    "url": "https://bot.example",
    "hook_attributes": {"url": "http://receiver/webhooks", "active": True},
    "redirect_url": "http://127.0.0.1:8080/setup/callback",
    "public": False,
    "default_permissions": {"checks": "write", "contents": "read"},
    "default_events": ["push", "check_run"],
}


async def create(hub: LocalHub, manifest: dict[str, Any] | None = None, *, org: str = "", name: str = "") -> str:
    """Register the App as a person does; returns the code."""
    text = json.dumps(manifest or MANIFEST)
    place = f"/organizations/{org}" if org else ""
    async with client(hub) as browser:
        page = await browser.post(f"{place}/settings/apps/new?state=s1", data={"manifest": text})
        assert page.status_code == 200
        assert "Create GitHub App" in page.text
        form = {"manifest": text, "state": "s1", "name": name or str((manifest or MANIFEST)["name"])}
        back = await browser.post(f"{place}/settings/apps", data=form)
    assert back.status_code == 302
    assert back.headers["location"].startswith(f"{MANIFEST['redirect_url']}?")
    query = parse_qs(urlsplit(back.headers["location"]).query)
    assert query["state"] == ["s1"]
    return query["code"][0]


async def convert(hub: LocalHub, code: str) -> httpx.Response:
    async with client(hub) as anybody:
        return await anybody.post(f"/app-manifests/{code}/conversions")


async def test_the_code_brings_credentials_with_which_the_app_can_speak(hub: LocalHub, receiver: Receiver) -> None:
    given = (await convert(hub, await create(hub))).json()
    assert (given["slug"], given["name"], given["owner"]["login"]) == ("our-bot", "Our Bot", "mona")
    assert given["permissions"] == {"metadata": "read", "checks": "write", "contents": "read"}
    async with client(hub, app_jwt(hub, issuer=str(given["id"]), key=given["pem"])) as app:
        assert (await app.get("/app")).json()["slug"] == "our-bot"
        assert (await app.get("/app/hook/config")).json()["url"] == "http://receiver/webhooks"
    await hub.settled()
    assert receiver.names == ["ping"]
    assert receiver.last("ping")["hook"]["app_id"] == given["id"]


async def test_an_organization_owns_the_app_that_was_registered_for_it(hub: LocalHub) -> None:
    given = (await convert(hub, await create(hub, org="octo"))).json()
    assert given["owner"]["login"] == "octo"


async def test_a_code_works_once(hub: LocalHub) -> None:
    code = await create(hub)
    assert (await convert(hub, code)).status_code == 201
    assert (await convert(hub, code)).status_code == 404


async def test_a_code_is_too_old_after_an_hour(hub: LocalHub, clock: Clock) -> None:
    code = await create(hub)
    clock.advance(3600)
    assert (await convert(hub, code)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"name": "Interlock"}, "Name has already been taken", id="a-name-that-is-taken"),
        pytest.param({"name": "x" * 35}, "longer than 34 characters", id="a-name-that-is-too-long"),
        pytest.param({"default_events": ["issue_comment"]}, "unsupported: issue_comment", id="no-permission-for-it"),
        pytest.param({"default_events": ["installation"]}, "unsupported: installation", id="an-event-sent-unasked"),
        pytest.param({"hook_attributes": {}}, "hook_attributes.url must be a valid URL", id="nowhere-to-send-webhooks"),
        pytest.param({"redirect_url": "javascript:x"}, "redirect_url must be a valid URL", id="no-way-back"),
        pytest.param({"default_permissions": {"checks": "own"}}, "default_permissions are invalid", id="no-such-level"),
    ],
)
async def test_a_manifest_that_cannot_become_an_app_is_refused(
    hub: LocalHub, changes: dict[str, Any], sentence: str
) -> None:
    async with client(hub) as browser:
        text = json.dumps({**MANIFEST, **changes})
        page = await browser.post("/settings/apps/new", data={"manifest": text})
        made = await browser.post("/settings/apps", data={"manifest": text, "name": changes.get("name", "Our Bot")})
    assert (page.status_code, made.status_code) == (422, 422)
    assert sentence in page.text
    assert len(hub.state.apps) == 1


async def test_the_install_button_installs_it_once(hub: LocalHub, receiver: Receiver) -> None:
    given = (await convert(hub, await create(hub))).json()
    async with client(hub) as browser:
        assert "Install on octo" in (await browser.get("/apps/our-bot/installations/new")).text
        for _ in range(2):
            pressed = await browser.post("/apps/our-bot/installations/new", data={"account": "octo"})
            assert pressed.status_code == 302
        assert (await browser.get("/apps/nobody/installations/new")).status_code == 404
    await hub.settled()
    assert receiver.names == ["ping", "installation.created"]
    assert [row.account for row in hub.state.installations.where(app_id=given["id"])] == ["octo"]


def test_every_event_of_the_hubs_own_app_could_be_in_a_manifest() -> None:
    from bot.localhub.acts.accounts import EVENTS  # noqa: PLC0415

    assert set(EVENTS) <= set(registrations.NEEDED)
