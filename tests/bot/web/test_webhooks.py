from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import sqlalchemy
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Route

from bot.store.database import open_database, open_writer
from bot.store.deliveries import Delivery, Inbox
from bot.web import webhooks as module
from bot.web.webhooks import Webhooks, signed


class FixedClock:
    def now(self) -> datetime:
        return datetime(2026, 1, 2, tzinfo=UTC)


class Door:
    def __init__(
        self, client: httpx.AsyncClient, inbox: Inbox, accepted: list[Delivery], disk: sqlalchemy.Engine
    ) -> None:
        self.client, self.inbox, self.accepted, self.disk = client, inbox, accepted, disk
        self.draining = False

    async def post(self, body: bytes, *, secret: str = "new", **headers: str) -> httpx.Response:
        given = {
            "X-GitHub-Delivery": "0123-4567-89ab",
            "X-GitHub-Event": "push",
            "X-Hub-Signature-256": sign(body, secret),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return await self.client.post("/webhooks", content=body, headers=given)


def sign(body: bytes, secret: str) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite")
    disk = open_writer(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite")
    inbox = Inbox(disk)
    await inbox.start()
    accepted: list[Delivery] = []
    holder: list[Door] = []
    endpoint = Webhooks(
        inbox=inbox,
        secrets=("new", "old"),
        clock=FixedClock(),
        accepted=accepted.append,
        draining=lambda: holder[0].draining,
    )
    app = Starlette(routes=[Route("/webhooks", endpoint)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bot") as client:
        holder.append(Door(client, inbox, accepted, disk))
        yield holder[0]
    await inbox.stop()
    await database.dispose()


async def test_a_signed_delivery_is_durable_before_it_is_acknowledged(door: Door) -> None:
    answer = await door.post(b'{"ref": "x"}')
    assert answer.status_code == 202
    assert [d.body for d in await door.inbox.open()] == [b'{"ref": "x"}']
    assert [d.id for d in door.accepted] == ["0123-4567-89ab"]


async def test_either_secret_may_have_signed_while_one_replaces_the_other(door: Door) -> None:
    assert (await door.post(b"{}", secret="old")).status_code == 202


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param("", id="none"),
        pytest.param(sign(b"{}", "wrong"), id="wrong-secret"),
        pytest.param(sign(b"{ }", "new"), id="another-body"),
        pytest.param(sign(b"{}", "new")[7:], id="no-prefix"),
        pytest.param("sha1=" + "0" * 40, id="sha1"),
        pytest.param("sha256=", id="empty-digest"),
    ],
)
async def test_nothing_unsigned_is_taken_in(door: Door, signature: str) -> None:
    answer = await door.post(b"{}", X_Hub_Signature_256=signature)
    assert answer.status_code == 401
    assert await door.inbox.count_open() == 0
    assert door.accepted == []


async def test_the_same_delivery_twice_is_acknowledged_and_has_one_effect(door: Door) -> None:
    first, second = await door.post(b"{}"), await door.post(b"{}")
    assert (first.json()["duplicate"], second.json()["duplicate"]) == (False, True)
    assert second.status_code == 202
    assert len(door.accepted) == 1


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"X_GitHub_Delivery": ""}, id="no-id"),
        pytest.param({"X_GitHub_Delivery": "a b; DROP"}, id="odd-id"),
        pytest.param({"X_GitHub_Event": "Push!"}, id="odd-event"),
        pytest.param({"X_GitHub_Event": "x" * 80}, id="long-event"),
    ],
)
async def test_malformed_headers_are_refused_by_name(door: Door, headers: dict[str, str]) -> None:
    answer = await door.post(b"{}", **headers)
    assert answer.status_code == 400
    assert "X-GitHub-Delivery" in answer.json()["error"]


async def test_a_body_over_the_cap_is_not_read_to_its_end(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BODY", 100)
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(1000):
            read += 50
            yield b"x" * 50

    answer = await door.client.post("/webhooks", content=endless(), headers={"X-GitHub-Event": "push"})
    assert answer.status_code == 413
    assert (await door.post(b"x" * 101)).status_code == 413


async def test_what_a_full_disk_cannot_hold_is_not_acknowledged(door: Door) -> None:
    with door.disk.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 40")
    answer = await door.post(b"x" * 500_000)
    assert answer.status_code == 503
    assert "redeliver it later" in answer.json()["error"]
    assert door.accepted == []
    assert await door.inbox.count_open() == 0
    assert (await door.post(b"{}")).status_code == 202


async def test_a_stopping_bot_takes_nothing_in(door: Door) -> None:
    door.draining = True
    assert (await door.post(b"{}")).status_code == 503
    assert await door.inbox.count_open() == 0


@given(st.binary(), st.text())
def test_no_header_can_make_the_check_raise_or_pass(body: bytes, header: str) -> None:
    assert signed(body, header, [b"secret"]) is (header == sign(body, "secret"))


async def trickle() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.01)


async def test_a_body_that_only_trickles_in_is_given_up(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0.05)
    assert (await door.client.post("/webhooks", content=trickle())).status_code == 408
    assert (await door.post(b"{}")).status_code == 202


async def test_unfinished_bodies_of_strangers_have_bounded_room(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 2.0)
    monkeypatch.setattr(module, "HELD", 20)
    answers = await asyncio.gather(*(door.client.post("/webhooks", content=trickle()) for _ in range(5)))
    assert 503 in {answer.status_code for answer in answers}
    assert (await door.post(b"{}")).status_code == 202


@pytest.mark.parametrize("length", ["²", "9" * 5000, "-1", "+1", "1_0", "0x10", ""])
async def test_an_odd_content_length_is_no_accident(door: Door, length: str) -> None:
    answer = await door.client.post(
        "/webhooks", content=b"{}", headers=[(b"Content-Length", length.encode("latin-1")), (b"Host", b"bot")]
    )
    assert answer.status_code in {401, 413}


async def test_only_a_post_is_a_delivery(door: Door) -> None:
    answer = await door.client.get("/webhooks")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
