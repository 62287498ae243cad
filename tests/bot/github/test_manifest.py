"""Exchanging the code, and reading what GitHub knows about the App; judged by GitHub's own description."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from bot.domain.grants import Tier, permissions
from bot.domain.registration import Guarded
from bot.github.app import GitHubApp
from bot.github.errors import GitHubUnavailable, UnexpectedAnswer
from bot.github.manifest import CodeRefused, convert, manifest
from bot.github.registration import about, calls_left, guarded, hook, installations, skew
from bot.localhub.acts import registrations
from bot.localhub.clock import Clock
from bot.localhub.contract import Contract, Violation
from bot.localhub.contract_wire import ContractMiddleware
from bot.localhub.hub import LocalHub
from bot.ops.clock import SystemClock

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    violations: list[Violation] = []
    hub = LocalHub(clock=Clock(NOW))
    hub.app = ContractMiddleware(hub.app, Contract.load(), violations.append, judged=hub.is_api)
    await hub.start()
    yield hub
    await hub.stop()
    assert violations == []


def code(hub: LocalHub, tier: Tier = Tier.OPERATE) -> str:
    asked = manifest(name="Our bot", public_url="https://b.example", redirect_url="http://127.0.0.1/x", tier=tier)
    registrations.check(hub.forge, asked)
    return registrations.register(hub.forge, asked, name="Our bot", owner="octo").id


@pytest.mark.parametrize("tier", Tier)
async def test_github_takes_every_set_and_the_credentials_speak_for_the_app(hub: LocalHub, tier: Tier) -> None:
    made = await convert(hub.url, code(hub, tier), now=NOW)
    assert (made.slug, made.owner) == ("our-bot", "octo")
    async with GitHubApp(hub.url, made.app_id, made.private_key, SystemClock()) as github:
        app = await about(github.itself())
        where = await hook(github.itself())
    assert (app.slug, app.owner, app.permissions) == ("our-bot", "octo", permissions(tier))
    assert (where.url, where.has_secret) == ("https://b.example/webhooks", True)


@pytest.mark.parametrize("given", ["0" * 40, "", "../app", "a/b", "a" * 101, "x?y"])
async def test_a_code_that_is_none_brings_nothing(hub: LocalHub, given: str) -> None:
    with pytest.raises(CodeRefused):
        await convert(hub.url, given, now=NOW)


async def test_without_a_network_the_code_is_not_said_to_be_used(hub: LocalHub) -> None:
    with pytest.raises(GitHubUnavailable) as caught:
        await convert("http://127.0.0.1:1", "a" * 40, now=NOW)
    assert not caught.value.maybe_done
    assert "a" * 40 not in str(caught.value)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param({"id": 1}, id="half-an-answer"),
        pytest.param([], id="a-list"),
        pytest.param(
            {
                "id": 1,
                "slug": "s",
                "name": "n",
                "owner": None,
                "html_url": "u",
                "pem": "PRIVATE KEY-----",
                "webhook_secret": None,
            },
            id="no-secret",
        ),
    ],
)
async def test_an_answer_without_credentials_is_none(said: object) -> None:
    answer = httpx.MockTransport(lambda _: httpx.Response(201, json=said))
    with pytest.raises(UnexpectedAnswer, match="something else than an App's credentials"):
        await convert("https://api.github.com", "a" * 40, now=NOW, transport=answer)


async def test_what_was_granted_is_read_for_each_account(hub: LocalHub) -> None:
    hub.create_repository("octo/open", files={"a": "b"})
    hub.create_repository("octo/secret", files={"a": "b"}, private=True)
    async with GitHubApp(hub.url, hub.app_id, hub.private_key, hub.clock) as github:
        github.now = SystemClock().now
        (one,) = await installations(github.itself())
        assert (one.account, one.suspended) == ("octo", False)
        speaker = github.installation(one.id)
        hub.deploying.environment("octo/open", "staging")
        hub.deploying.environment("octo/open", "production", asks_us=True)
        assert await guarded(speaker, most=9) == (
            Guarded(repo="octo/open", private=False, asking=("production",)),
            Guarded(repo="octo/secret", private=True),
        )
        assert len(await guarded(speaker, most=1)) == 1
        left = await calls_left(speaker)
    assert left is not None
    assert left.limit == 5000
    assert left.remaining < 5000


async def test_the_clocks_difference_is_theirs_minus_ours(hub: LocalHub) -> None:
    for ours in (timedelta(), timedelta(seconds=90), timedelta(minutes=-20)):
        found = await skew(hub.url, lambda ours=ours: NOW + ours)  # type: ignore[misc]
        assert abs(found + ours) <= timedelta(seconds=1)


async def test_who_does_not_say_the_time_is_not_github() -> None:
    silent = httpx.MockTransport(lambda _: httpx.Response(200, text="welcome"))
    with pytest.raises(UnexpectedAnswer, match="is it GitHub's API"):
        await skew("https://proxy.example", lambda: NOW, transport=silent)
