from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from bot.domain.commands.registry import REGISTRY
from bot.ops.listener import claim
from bot.ops.operator_key import OperatorKey
from tests.fakes.world import World, box, open_world

HOME = Path(__file__).parents[3]
BOXES = {"boxes/tier-1/1_steady.sh": box("exit 0", title="Steady")}
ASKED = {"repo": "octo/app", "pr": 1, "command": "/boxes rerun all"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        world.repository(BOXES)
        await world.settle()
        await world.open_pull_request({"x": "y"})
        await world.settle()
        yield world


async def ask(
    world: World, method: str, path: str, *, client: str = "127.0.0.1", host: str = "127.0.0.1", **how: Any
) -> httpx.Response:
    transport = httpx.ASGITransport(world.running.app, client=(client, 1))
    key = {"authorization": world.running.ctx.operator.header}
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=key) as at:
        return await at.request(method, path, **how)


async def test_a_command_is_carried_out_by_the_operator(world: World) -> None:
    before = len(await world.runs())
    answer = await ask(world, "POST", "/api/v1/commands", json=ASKED)
    await world.settle()
    assert answer.status_code == 200
    runs = [run.number for run in await world.runs()][before:]
    assert answer.json() == {
        "schema": "interlock.command/1", "done": True, "reason": "done", "said": "", "runs": runs,
    }  # fmt: skip
    (row,) = (await world.api("/api/v1/audit"))["entries"]
    assert (row["actor"], row["permission"], row["action"], row["decision"]) == (
        "operator", "operator", "boxes rerun", "allowed",
    )  # fmt: skip


async def test_who_cancels_at_the_machine_is_named_as_the_operator(world: World) -> None:
    answer = await ask(world, "POST", "/api/v1/commands", json=ASKED | {"command": "/boxes status"})
    assert answer.json()["said"].startswith("| `")
    assert "| tier 1 | 1 passed |" in answer.json()["said"]


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        pytest.param({"command": "/boxes rnu"}, 422, "mistake", id="a-slip"),
        pytest.param({"command": "boxes run all"}, 422, "mistake", id="no-command"),
        pytest.param({"command": "/boxes run 99"}, 422, "unknown_box", id="an-unknown-box"),
        pytest.param({"command": "/ok-to-test " + "a" * 40}, 422, "mistake", id="what-only-a-comment-can"),
        pytest.param({"pr": 77}, 422, "closed", id="no-such-pull-request"),
        pytest.param({"repo": "octo/other"}, 404, "unknown_repository", id="an-unknown-repository"),
    ],
)
async def test_what_cannot_be_done_is_said_with_its_reason(
    world: World, change: dict[str, Any], status: int, reason: str
) -> None:
    before = len(await world.runs())
    answer = await ask(world, "POST", "/api/v1/commands", json=ASKED | change)
    assert (answer.status_code, answer.json()["done"], answer.json()["reason"]) == (status, False, reason)
    assert answer.json()["said"]
    assert len(await world.runs()) == before


@pytest.mark.parametrize(
    ("how", "status"),
    [
        pytest.param({"json": ASKED, "client": "203.0.113.7"}, 403, id="from-elsewhere"),
        pytest.param({"json": ASKED, "host": "bot.example"}, 403, id="under-another-name"),
        pytest.param({"json": ASKED, "headers": {"x-forwarded-for": "1.2.3.4"}}, 403, id="through-a-proxy"),
        pytest.param({"json": ASKED, "headers": {"sec-fetch-site": "cross-site"}}, 403, id="from-another-sites-page"),
        pytest.param({"json": ASKED, "headers": {"authorization": ""}}, 401, id="without-the-key"),
        pytest.param({"json": ASKED, "headers": {"authorization": "Bearer " + "0" * 64}}, 401, id="with-another-key"),
        pytest.param({"json": ASKED, "headers": {"authorization": b"Bearer \xe9"}}, 401, id="with-a-strange-key"),
        pytest.param({"data": {"repo": "octo/app"}}, 415, id="a-form"),
        pytest.param(
            {"content": json.dumps(ASKED), "headers": {"content-type": "text/plain"}}, 415, id="a-simple-post"
        ),
        pytest.param({"json": []}, 400, id="a-list"),
        pytest.param({"json": ASKED | {"pr": "1"}}, 400, id="text-for-a-number"),
        pytest.param({"json": ASKED | {"sudo": True}}, 400, id="a-field-too-many"),
        pytest.param({"json": ASKED | {"repo": "../x"}}, 404, id="a-path-for-a-name"),
        pytest.param({"json": ASKED | {"command": "x" * 200_000}}, 413, id="too-much"),
    ],
)
async def test_a_request_that_no_one_at_the_machine_made_changes_nothing(
    world: World, how: dict[str, Any], status: int
) -> None:
    before = len(await world.runs())
    answer = await ask(world, "POST", "/api/v1/commands", **how)
    assert answer.status_code == status
    assert len(await world.runs()) == before
    assert (await world.api("/api/v1/audit"))["entries"] == []


@pytest.mark.parametrize("path", ["/api/v1/commands", "/api/v1/audit"])
async def test_what_is_there_is_told_to_nobody_else(world: World, path: str) -> None:
    assert (await ask(world, "GET", path, client="203.0.113.7")).status_code == 403
    assert (await ask(world, "GET", path)).status_code == 200


async def test_every_verb_is_described(world: World) -> None:
    told = (await ask(world, "GET", "/api/v1/commands")).json()
    assert [one["usage"] for one in told["commands"]] == [command.usage for command in REGISTRY]


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "before=-1", "before=1e3", "repo_id=x", "limit=" + "9" * 40])
async def test_a_page_of_the_audit_is_asked_for_with_numbers(world: World, query: str) -> None:
    assert (await ask(world, "GET", f"/api/v1/audit?{query}")).status_code == 400


async def test_the_command_line_says_what_rest_says(world: World) -> None:
    sockets = claim("127.0.0.1", 0)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(world.running.app, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve(sockets))
    try:
        told = [
            await interlock("command", *words, "--url", url, "--data-dir", str(world.running.settings.data_dir))
            for words in (
                ["octo/app#1", "/boxes rerun all"],
                ["octo/app#1", "/boxes status", "--json"],
                ["octo/app#1", "/boxes run 99"],
                ["octo/app", "/boxes status"],
                ["octo/app", "/unfreeze"],
                ["octo", "/help"],
            )
        ]
    finally:
        server.should_exit = True
        await serving
    await world.settle()
    assert told[0] == (0, f"run {len(await world.runs())} was started\n", "")
    assert (told[1][0], json.loads(told[1][1])["reason"]) == (0, "done")
    assert (told[2][0], told[2][1]) == (1, "")
    assert told[2][2].startswith("no box 99")
    assert (told[3][0], told[3][2]) == (1, "`/boxes status` is about a pull request: name one.\n")
    assert told[4][2].startswith("no freeze of every branch holds")
    assert told[5][0] == 2


async def test_the_command_line_says_whose_data_directory_it_needs(tmp_path: Path) -> None:
    code, _, said = await interlock("command", "octo/app#1", "/help", "--data-dir", str(tmp_path))
    assert code == 2
    assert said.startswith(f"interlock: {tmp_path}/operator.key is not there or not yours to read: run this as the bot")
    (tmp_path / "operator.key").write_text("short")
    code, _, said = await interlock("command", "octo/app#1", "/help", "--data-dir", str(tmp_path))
    assert (code, "is not a key of 32 bytes" in said) == (2, True)


async def test_the_command_line_says_when_no_bot_is_there(tmp_path: Path) -> None:
    OperatorKey(tmp_path)
    where = ["--url", "http://127.0.0.1:1", "--data-dir", str(tmp_path)]
    code, _, said = await interlock("command", "octo/app#1", "/help", *where)
    assert code == 3
    assert said.startswith("interlock: no bot answers at http://127.0.0.1:1")


async def interlock(*words: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.cli",
        *words,
        cwd=HOME,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()
