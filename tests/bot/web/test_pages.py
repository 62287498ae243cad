"""Who may see a run's pages: whoever sits at the machine, and whoever holds the signed link of that very run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from bot.ops.links import load_keys
from tests.fakes.world import World, open_world

STRANGER = ("203.0.113.7", 443)
HERE = ("127.0.0.1", 1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world in which two runs were made and their logs lie on disk."""
    async with open_world(tmp_path) as world:
        ctx = world.running.ctx
        for name in ("one", "two"):
            run = await ctx.runs.create(
                name,
                now=ctx.clock.now(),
                installation_id=1,
                repo_id=2,
                repo="octo/app",
                pr=3,
                head_sha="a" * 40,
                base_ref="main",
                base_sha="b" * 40,
            )
            logs = ctx.files(run).logs
            logs.mkdir(parents=True)
            (logs / "1.1.log").write_text("what the box printed\n")
            (logs.parent / "secret.log").write_text("not for anybody\n")
            (logs / "2.1.log").symlink_to(logs.parent / "secret.log")
        yield world


async def get(
    world: World, path: str, *, client: tuple[str, int] = STRANGER, host: str = "bot.example", **headers: str
) -> httpx.Response:
    transport = httpx.ASGITransport(world.running.app, client=client)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as browser:
        return await browser.get(path, headers=given)


def signed(world: World, number: int) -> str:
    return f"t={world.running.ctx.links.token(number)}"


OF_A_RUN = ["/runs/1", "/runs/1/logs/1.1.log", "/api/v1/runs/1"]


@pytest.mark.parametrize("path", [*OF_A_RUN, "/", "/api/v1/runs"])
async def test_a_stranger_sees_nothing_and_the_machines_user_sees_all(world: World, path: str) -> None:
    assert (await get(world, path)).status_code == 403
    assert (await get(world, path, client=HERE, host="127.0.0.1")).status_code == 200


@pytest.mark.parametrize("path", OF_A_RUN)
async def test_the_signed_link_opens_its_own_run_and_no_other(world: World, path: str) -> None:
    assert (await get(world, f"{path}?{signed(world, 1)}")).status_code == 200
    assert (await get(world, f"{path}?{signed(world, 2)}")).status_code == 403
    assert (await get(world, f"{path}?t=")).status_code == 403


@pytest.mark.parametrize("header", ["x_forwarded_for", "forwarded", "x_real_ip"])
async def test_behind_a_proxy_nobody_sits_at_the_machine(world: World, header: str) -> None:
    answer = await get(world, "/", client=HERE, host="127.0.0.1", **{header: "203.0.113.7"})
    assert answer.status_code == 403


async def test_a_name_that_was_made_to_point_here_is_not_the_machine(world: World) -> None:
    assert (await get(world, "/", client=HERE, host="rebound.example")).status_code == 403


@pytest.mark.parametrize("name", ["2.1.log", "..%2Fsecret.log", "%2e%2e%2fsecret.log", "9.1.log", "secret.log"])
async def test_only_a_runs_own_logs_are_handed_out(world: World, name: str) -> None:
    answer = await get(world, f"/runs/1/logs/{name}?{signed(world, 1)}")
    assert answer.status_code == 404


async def test_a_log_is_text_that_no_browser_runs(world: World) -> None:
    answer = await get(world, f"/runs/1/logs/1.1.log?{signed(world, 1)}")
    assert answer.text == "what the box printed\n"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_the_key_of_the_links_is_nobody_elses_to_read_and_stays(tmp_path: Path) -> None:
    key = load_keys(tmp_path / "links.key")
    assert (tmp_path / "links.key").stat().st_mode & 0o077 == 0
    assert load_keys(tmp_path / "links.key") == key
    assert load_keys(tmp_path / "other.key") != key


@pytest.mark.parametrize("path", OF_A_RUN)
async def test_an_old_link_ends_and_says_so_but_not_for_who_sits_at_the_machine(world: World, path: str) -> None:
    run = (await world.runs())[0]
    await world.running.ctx.runs.update(run.id, created_at=run.created_at - timedelta(days=91))
    answer = await get(world, f"{path}?{signed(world, 1)}")
    assert (answer.status_code, answer.text) == (403, "links to a run end 90 days after it began")
    assert (await get(world, path, client=HERE, host="127.0.0.1")).status_code == 200


async def test_the_api_tells_the_fields_that_it_promises_and_no_others(world: World) -> None:
    run = (await world.runs())[0]
    await world.running.ctx.runs.update(run.id, title="kept to ourselves", stop_because="secret of ours")
    answer = await get(world, f"/api/v1/runs/1?{signed(world, 1)}")
    assert "stop_because" not in answer.json(), "fields are chosen, not dumped"
    assert answer.json()["url"] == world.running.ctx.links.url(1)
