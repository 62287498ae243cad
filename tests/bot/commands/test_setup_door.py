"""The door of setup lets in only who saw its address, and takes over nothing that it did not ask for."""

from __future__ import annotations

import hashlib
import hmac
import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from bot.commands.setup_door import Door
from bot.commands.setup_plan import Plan, make_plan
from bot.domain.grants import Tier, events, permissions
from bot.github.errors import GitHubUnavailable
from bot.github.manifest import CodeRefused, Credentials
from bot.ops.credentials import CredentialsNotWritten

MADE = Credentials(
    app_id=7,
    slug="bot",
    name="Our bot",
    owner="octo",
    page="https://github.com/apps/bot",
    private_key="-----PRIVATE KEY-----",
    webhook_secret="s1",
)


def plan(org: str = "", tier: str = "operate") -> Plan:
    return make_plan(
        url="https://bot.example.org",
        github="https://github.com",
        org=org,
        name="",
        tier=tier,
        host="127.0.0.1",
        port=8080,
        data_dir=Path("data"),
        replace=False,
        public=False,
    )


class Keeper:
    """Plays the exchange: fails with what it is told, in order, then succeeds."""

    def __init__(self, *problems: Exception) -> None:
        self.problems = list(problems)
        self.codes: list[str] = []

    async def __call__(self, code: str) -> Credentials:
        self.codes.append(code)
        if self.problems:
            raise self.problems.pop(0)
        return MADE


def browser(door: Door) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(door.app), base_url="http://127.0.0.1:8080")


async def state_of(door: Door, client: httpx.AsyncClient) -> str:
    page = await client.get(door.url)
    action = re.search(r'<form method="post" action="([^"]*)"', page.text)
    assert action
    return parse_qs(urlsplit(html.unescape(action[1])).query)["state"][0]


@pytest.mark.parametrize("tier", Tier)
@pytest.mark.parametrize(
    ("org", "where"),
    [
        pytest.param("", "https://github.com/settings/apps/new?state=", id="one's-own"),
        pytest.param("octo", "https://github.com/organizations/octo/settings/apps/new?state=", id="an-organizations"),
    ],
)
async def test_the_button_sends_the_manifest_to_the_owners_settings(tier: Tier, org: str, where: str) -> None:
    door = Door(plan(org, tier), Keeper())
    async with browser(door) as client:
        page = (await client.get(door.url)).text
    action, text = re.findall(r'action="([^"]*)"|name="manifest" value="([^"]*)"', page)
    assert html.unescape(action[0]).startswith(where)
    assert json.loads(html.unescape(text[1])) == {
        "name": "interlock-bot-example-org",
        "url": "https://bot.example.org",
        "description": "Runs numbered test boxes on every pull request, each proved capable of failing.",
        "hook_attributes": {"url": "https://bot.example.org/webhooks", "active": True},
        "redirect_url": "http://127.0.0.1:8080/setup/callback",
        "public": False,
        "default_permissions": permissions(tier),
        "default_events": list(events(tier)),
    }


@pytest.mark.parametrize(
    "path", ["/setup", "/setup?token=", "/setup?token=guess", "/setup/done?token=guess", "/setup/done"]
)
async def test_whoever_was_not_told_the_address_sees_nothing(path: str) -> None:
    door = Door(plan(), Keeper())
    async with browser(door) as client:
        answer = await client.get(path)
    assert answer.status_code == 403
    assert "manifest" not in answer.text


@pytest.mark.parametrize("state", ["", "&state=", "&state=guess"])
async def test_a_code_without_our_state_is_not_even_tried(state: str) -> None:
    """Otherwise somebody could have the bot serve an App of theirs."""
    keeper = Keeper()
    door = Door(plan(), keeper)
    async with browser(door) as client:
        answer = await client.get(f"/setup/callback?code=abc{state}")
    assert answer.status_code == 400
    assert keeper.codes == []
    assert door.made is None


async def test_coming_back_twice_exchanges_the_code_once() -> None:
    keeper = Keeper()
    door = Door(plan(), keeper)
    async with browser(door) as client:
        state = await state_of(door, client)
        for _ in range(2):
            back = await client.get(f"/setup/callback?code=abc&state={state}")
            assert back.status_code == 303
            assert "abc" not in back.headers["location"]
        done = await client.get(back.headers["location"])
        again = await client.get(door.url)
    assert keeper.codes == ["abc"]
    assert "https://github.com/apps/bot/installations/new" in done.text
    assert "https://github.com/apps/bot/installations/new" in again.text
    assert "s1" not in done.text
    assert "PRIVATE KEY" not in done.text


@pytest.mark.parametrize(
    ("problem", "status", "says"),
    [
        pytest.param(CodeRefused("too old"), 400, "begin again", id="an-old-code"),
        pytest.param(GitHubUnavailable("no answer", True), 502, "Reload this page", id="no-network"),
        pytest.param(CredentialsNotWritten("disk full"), 500, "delete the App on GitHub", id="nowhere-to-write"),
    ],
)
async def test_after_a_failure_the_page_says_what_to_do_and_it_can_be_tried_again(
    problem: Exception, status: int, says: str
) -> None:
    door = Door(plan(), Keeper(problem))
    async with browser(door) as client:
        state = await state_of(door, client)
        failed = await client.get(f"/setup/callback?code=abc&state={state}")
        assert failed.status_code == status
        assert says in failed.text
        assert door.made is None
        assert (await client.get(f"/setup/callback?code=abc&state={state}")).status_code == 303


async def test_what_an_error_says_is_text_on_the_page() -> None:
    door = Door(plan(), Keeper(CredentialsNotWritten("<script>alert(1)</script>")))
    async with browser(door) as client:
        page = await client.get(f"/setup/callback?code=abc&state={await state_of(door, client)}")
    assert "<script>" not in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def signature(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.mark.requirement("S-21")
@pytest.mark.parametrize(
    ("made", "secret", "event", "status"),
    [
        pytest.param(False, "s1", "ping", 401, id="before-the-secret-is-known"),
        pytest.param(True, "s2", "ping", 401, id="another-secret"),
        pytest.param(True, "s1", "ping", 202, id="a-ping"),
        pytest.param(True, "s1", "installation", 503, id="what-the-bot-shall-have"),
    ],
)
async def test_only_signed_pings_are_taken_in_and_the_rest_is_kept_for_the_bot(
    made: bool, secret: str, event: str, status: int
) -> None:
    door = Door(plan(), Keeper())
    door.made = MADE if made else None
    body = b'{"zen": "x"}'
    headers = {
        "x-hub-signature-256": signature(body, secret),
        "x-github-event": event,
        "x-github-delivery": "delivery-1",
    }
    async with browser(door) as client:
        answer = await client.post("/webhooks", content=body, headers=headers)
        too_large = await client.post("/webhooks", content=b"x" * 2_000_000)
    assert answer.status_code == status
    assert door.arrived == ({"delivery-1"} if status != 401 else set())
    assert too_large.status_code == 413


@pytest.mark.requirement("S-28")
@pytest.mark.parametrize("shown", [repr, str, lambda made: f"{made}"], ids=["repr", "str", "format"])
def test_credentials_do_not_show_themselves(shown: Callable[[object], str]) -> None:
    assert "s1" not in shown(MADE)
    assert "PRIVATE" not in shown(MADE)
