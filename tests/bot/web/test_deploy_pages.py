"""Who may see deployments, and what they see: the story, the evidence as a picture, and nothing that runs."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from bot.domain.deploy.record import hash_of
from bot.domain.deploy.states import State
from bot.flows.deploying.recording import keep
from tests.bot.domain.deploy import stories
from tests.bot.flows.deploying.told import Moments, put
from tests.fakes.world import World, open_world

STRANGER = ("203.0.113.7", 443)
HERE = ("127.0.0.1", 1)
OF_ONE = ["/deployments/1", "/deployments/1.svg", "/api/v1/deployments/1"]
HOSTILE = "</text><script>alert(1)</script>\u202e@channel"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world in which one deployment was rolled back, one is under way, and one waits."""
    async with open_world(tmp_path, bot_clock=Moments()) as world:
        ctx = world.running.ctx
        await put(ctx, stories.rolled_back(), id="d1")
        await keep(ctx, "d1")
        await put(ctx, stories.to_the_watch().watch(probes=(0, 1)), id="d2", state=State.BAKING)
        gates = [{"gate": "approvals", "answer": "wait", "because": HOSTILE, "way_out": "/approve production"}]
        await put(ctx, id="d3", state=State.GATED, gates=json.dumps(gates), because=HOSTILE, requested_by=HOSTILE)
        await ctx.approvals.add(stories.approval(because=HOSTILE))
        yield world


async def get(
    world: World, path: str, *, client: tuple[str, int] = STRANGER, host: str = "bot.example"
) -> httpx.Response:
    transport = httpx.ASGITransport(world.running.app, client=client)
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as browser:
        return await browser.get(path)


async def here(world: World, path: str) -> httpx.Response:
    return (await get(world, path, client=HERE, host="127.0.0.1")).raise_for_status()


def signed(world: World, number: int) -> str:
    return f"t={world.running.ctx.links.deployment_token(number)}"


@pytest.mark.parametrize("path", [*OF_ONE, "/deployments", "/api/v1/deployments"])
async def test_a_stranger_sees_nothing_and_the_machines_user_sees_all(world: World, path: str) -> None:
    assert (await get(world, path)).status_code == 403
    assert (await here(world, path)).status_code == 200


@pytest.mark.parametrize("path", OF_ONE)
async def test_the_signed_link_opens_its_own_deployment_and_no_other(world: World, path: str) -> None:
    assert (await get(world, f"{path}?{signed(world, 1)}")).status_code == 200
    assert (await get(world, f"{path}?{signed(world, 2)}")).status_code == 403
    assert (await get(world, f"{path}?t={world.running.ctx.links.token(1)}")).status_code == 403


async def test_a_link_ends_some_days_after_the_deployment_began(world: World) -> None:
    clock = world.running.ctx.clock
    assert isinstance(clock, Moments)
    clock.at += timedelta(days=91)
    answer = await get(world, f"/deployments/1?{signed(world, 1)}")
    assert (answer.status_code, answer.text) == (403, "links to a deployment end 90 days after it began")


@pytest.mark.parametrize("number", ["99", "0", "1.5", "9" * 400, "%2e%2e", "1.svg.svg"])
async def test_what_is_no_deployment_is_not_found(world: World, number: str) -> None:
    assert (await get(world, f"/deployments/{number}", client=HERE, host="127.0.0.1")).status_code == 404


async def test_the_page_says_why_it_went_back_and_shows_what_the_watch_saw(world: World) -> None:
    page = (await here(world, "/deployments/1")).text
    assert "Deployment to production was rolled back" in page
    assert "19 of 1090 answers failed, 1.0% are tolerated" in page
    assert 'aria-label="Deployment 12' not in page
    assert 'aria-label="Deployment 1, rolled back: 20 of 1094 answers of the new release failed"' in page
    assert "41 boxes are green on cafe123" in page
    assert "KeyError: &#39;price&#39;" in page
    assert "data-live" not in page


async def test_a_page_leads_to_what_its_own_link_opens(world: World) -> None:
    page = (await get(world, f"/deployments/1?{signed(world, 1)}")).text
    assert f'href="/api/v1/deployments/1?{signed(world, 1)}"' in page
    assert f'href="/deployments/1.svg?{signed(world, 1)}"' in page
    assert 'href="/deployments"' not in page


async def test_a_page_refreshes_itself_while_the_deployment_goes_on(world: World) -> None:
    page = (await here(world, "/deployments/2")).text
    fragment = (await here(world, "/deployments/2?fragment=1")).text
    assert "data-live" in page
    assert "<html" in page
    assert "data-live" in fragment
    assert "<html" not in fragment
    assert fragment.strip() in page


@pytest.mark.parametrize("path", ["/deployments/1", "/deployments/3", "/deployments"])
async def test_nothing_runs_but_our_own_script_and_hidden_characters_are_gone(world: World, path: str) -> None:
    answer = await here(world, path)
    nonce = answer.headers["content-security-policy"].partition("'nonce-")[2].partition("'")[0]
    assert answer.text.count("<script") == answer.text.count(f'<script nonce="{nonce}"')
    assert answer.text.count("<style") == answer.text.count(f'<style nonce="{nonce}"')
    assert 'style="' not in answer.text
    assert "\u202e" not in answer.text
    assert "'unsafe" not in answer.headers["content-security-policy"]


async def test_one_that_waits_says_at_which_gate_and_who_can_do_what(world: World) -> None:
    page = (await here(world, "/deployments/3")).text
    assert "Deployment to production waits at its gates" in page
    assert "/approve production" in page


async def test_the_picture_alone_may_use_its_own_style_and_nothing_else(world: World) -> None:
    answer = await get(world, f"/deployments/1.svg?{signed(world, 1)}")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert answer.headers["content-security-policy"].endswith("; sandbox")
    assert answer.text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')


async def test_one_whose_watch_has_seen_nothing_has_no_picture(world: World) -> None:
    assert (await get(world, "/deployments/3.svg", client=HERE, host="127.0.0.1")).status_code == 404
    assert ".svg" not in (await here(world, "/deployments/3")).text


@pytest.mark.deployment(25)
async def test_as_json_a_deployment_that_has_ended_is_its_record_byte_for_byte(world: World) -> None:
    answer = await get(world, f"/api/v1/deployments/1?{signed(world, 1)}")
    assert answer.text == (world.data_dir / "deployments" / "1" / "record.json").read_text()
    record = answer.json()
    assert record["schema"] == "interlock.deployment/1"
    assert record["hash"] == hash_of(record)


async def test_the_list_as_json_leads_to_each_page(world: World) -> None:
    answer = (await here(world, "/api/v1/deployments")).json()
    assert answer["schema"] == "interlock.deployments/1"
    assert [(one["number"], one["state"]) for one in answer["deployments"]] == [
        (3, "gated"),
        (2, "baking"),
        (1, "rolled_back"),
    ]
    assert answer["deployments"][0]["url"] == f"http://bot.example/deployments/3?{signed(world, 3)}"
