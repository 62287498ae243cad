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
        app_id=42,
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


@pytest.mark.requirement("S-21")
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
        pytest.param(sign(b"{}", "new").upper(), id="upper-case"),
        pytest.param("sha256=" + sign(b"{}", "new")[7:].upper(), id="upper-hex"),
        pytest.param("SHA256=" + sign(b"{}", "new")[7:], id="upper-name"),
        pytest.param(sign(b"{}", "new").replace("=", "= "), id="a-space-inside"),
        pytest.param(sign(b"{}", "new") + "0", id="a-digit-more"),
        pytest.param(sign(b"{}", "new") + "," + sign(b"{}", "new"), id="two-in-one"),
        pytest.param("sha256=" + "\xff" * 64, id="no-ascii"),
    ],
)
@pytest.mark.requirement("S-21")
@pytest.mark.deployment(5)
async def test_nothing_unsigned_is_taken_in(door: Door, signature: str) -> None:
    given = {"X-GitHub-Delivery": "0123-4567-89ab", "X-GitHub-Event": "push"}
    headers = [
        (b"X-Hub-Signature-256", signature.encode("latin-1")),
        *((k.encode(), v.encode()) for k, v in given.items()),
    ]
    answer = await door.client.post("/webhooks", content=b"{}", headers=headers)
    assert answer.status_code == 401
    assert await door.inbox.count_open() == 0
    assert door.accepted == []


@pytest.mark.requirement("S-22")
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


@pytest.mark.requirement("S-21")
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


@pytest.mark.requirement("S-38")
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


ONCE = [
    "X-Hub-Signature-256",
    "X-GitHub-Delivery",
    "X-GitHub-Event",
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
]


@pytest.mark.parametrize("name", [*ONCE, "X-GitHub-Hook-Installation-Target-ID", "x-hub-signature-256"])
async def test_a_header_that_decides_something_may_come_once(door: Door, name: str) -> None:
    given = {
        "X-GitHub-Delivery": "0123-4567-89ab",
        "X-GitHub-Event": "push",
        "X-Hub-Signature-256": sign(b"{}", "new"),
        "Content-Type": "application/json",
        "Content-Length": "2",
        "Content-Encoding": "identity",
        "X-GitHub-Hook-Installation-Target-ID": "42",
    }
    assert (await door.client.post("/webhooks", content=b"{}", headers=given)).status_code == 202
    twice = [*given.items(), next((name, value) for known, value in given.items() if known.lower() == name.lower())]
    answer = await door.client.post("/webhooks", content=b"{}", headers=[*twice, ("Host", "bot")])
    assert (answer.status_code, answer.json()) == (400, {"error": f"the header {name.lower()} was sent more than once"})


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        pytest.param(
            {"Content_Type": "application/x-www-form-urlencoded"},
            "set the webhook's content type to application/json, in the App's settings under Webhook",
            id="a-form",
        ),
        pytest.param({"Content_Type": "text/plain"}, "a webhook's content type is application/json", id="text"),
        pytest.param({"Content_Type": ""}, "a webhook's content type is application/json", id="nothing"),
        pytest.param(
            {"Content_Encoding": "gzip"}, "a webhook's body comes as it is, without a content encoding", id="gzip"
        ),
    ],
)
async def test_what_is_not_plain_json_is_refused_with_the_way_out(
    door: Door, headers: dict[str, str], sentence: str
) -> None:
    answer = await door.post(b"{}", **headers)
    assert (answer.status_code, answer.json()) == (415, {"error": sentence})
    assert (await door.post(b"{}", Content_Type="Application/JSON; charset=utf-8")).status_code == 202


@pytest.mark.requirement("S-25")
@pytest.mark.parametrize(
    ("kind", "target", "status"),
    [
        pytest.param("integration", "42", 202, id="ours"),
        pytest.param("integration", "43", 403, id="another-app"),
        pytest.param("integration", "042", 403, id="the-same-number-otherwise"),
        pytest.param("repository", "42", 403, id="a-repository-of-that-number"),
    ],
)
async def test_only_deliveries_for_our_app_are_taken_in(door: Door, kind: str, target: str, status: int) -> None:
    named = {"X_GitHub_Hook_Installation_Target_ID": target, "X_GitHub_Hook_Installation_Target_Type": kind}
    assert (await door.post(b"{}", **named)).status_code == status
    assert await door.inbox.count_open() == (status == 202)


async def test_before_the_app_has_a_number_every_number_is_ours(door: Door) -> None:
    endpoint = Webhooks(
        inbox=door.inbox,
        secrets=("new",),
        clock=FixedClock(),
        accepted=door.accepted.append,
        draining=lambda: False,
    )
    named = {"X_GitHub_Hook_Installation_Target_ID": "42", "X_GitHub_Hook_Installation_Target_Type": "integration"}
    transport = httpx.ASGITransport(Starlette(routes=[Route("/webhooks", endpoint)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot") as client:
        answer = await Door(client, door.inbox, door.accepted, door.disk).post(b"{}", **named)
    assert answer.status_code == 202


async def test_only_a_post_is_a_delivery(door: Door) -> None:
    answer = await door.client.get("/webhooks")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
