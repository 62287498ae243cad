"""Webhooks: signed, in order, never repeated by themselves, listed and redelivered; and trouble on the way."""

from __future__ import annotations

import hashlib
import hmac
import json

import httpx
import pytest
from inline_snapshot import snapshot

from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import Receiver, as_app, as_installation, pull_request

DELIVERIES = "/app/hook/deliveries"


async def test_a_webhook_is_signed_over_its_bytes(hub: LocalHub, receiver: Receiver) -> None:
    hub.webhook_url = "http://receiver/"
    hub.commit("octo/app", "main", {"a": "ü\n"}, "Grüße\n", "mona")
    await hub.settled()
    got = receiver.got[0]
    expected = hmac.new(hub.webhook_secret.encode(), got.body, hashlib.sha256).hexdigest()
    assert got.headers["x-hub-signature-256"] == f"sha256={expected}"
    assert sorted(name for name in got.headers if name.startswith("x-")) == snapshot(
        [
            "x-github-delivery",
            "x-github-event",
            "x-github-hook-id",
            "x-github-hook-installation-target-id",
            "x-github-hook-installation-target-type",
            "x-hub-signature",
            "x-hub-signature-256",
        ]
    )
    assert got.payload["installation"]["id"] == hub.installation("octo").id
    assert got.headers["x-github-hook-installation-target-id"] == str(hub.app_id)


async def test_without_an_address_nothing_is_sent(hub: LocalHub) -> None:
    pull_request(hub)
    assert (hub.pending_deliveries(), hub.deliveries()) == (0, [])


async def test_an_installation_is_told(hub: LocalHub, receiver: Receiver) -> None:
    hub.webhook_url = "http://receiver/"
    hub.create_repository("acme/tool", files={"a": "1\n"})
    await hub.settled()
    told = receiver.last("installation.created")
    assert (told["installation"]["account"]["login"], told["repositories"][0]["full_name"]) == ("acme", "acme/tool")


async def test_a_failed_delivery_is_listed_and_redelivered_under_its_guid(hub: LocalHub, receiver: Receiver) -> None:
    receiver.answers = [500]
    hub.webhook_url = "http://receiver/"
    hub.commit("octo/app", "main", {"a": "1\n"}, "A\n", "mona")
    await hub.settled()
    async with as_app(hub) as app:
        listed = (await app.get(DELIVERIES)).json()
        failed = (await app.get(DELIVERIES, params={"status": "failure"})).json()
        assert (await app.post(f"{DELIVERIES}/{failed[0]['id']}/attempts")).status_code == 202
        await hub.settled()
        again = (await app.get(DELIVERIES)).json()[0]
        shown = (await app.get(f"{DELIVERIES}/{again['id']}")).json()
    assert [(one["event"], one["status_code"]) for one in listed] == [("check_suite", 202), ("push", 500)]
    assert [one["guid"] for one in failed] == [again["guid"]]
    assert (again["redelivery"], again["status_code"]) == (True, 202)
    assert shown["request"]["payload"] == receiver.got[0].payload == receiver.got[-1].payload
    assert shown["response"]["payload"] == "noted"
    assert receiver.got[0].body == receiver.got[-1].body


async def test_deliveries_are_paged_by_a_cursor(hub: LocalHub) -> None:
    hub.webhook_url = "http://receiver/"
    for number in range(3):
        hub.commit("octo/app", "main", {"a": f"{number}\n"}, "A\n", "mona")
    await hub.settled()
    seen: list[int] = []
    async with as_app(hub) as app:
        url: str | None = f"{DELIVERIES}?per_page=4"
        while url:
            page = await app.get(url)
            seen += [one["id"] for one in page.json()]
            url = page.links.get("next", {}).get("url")
    assert seen == [row.id for row in reversed(hub.deliveries())]
    assert len(seen) == 6


class _Refuses(httpx.AsyncBaseTransport):
    def __init__(self, error: type[httpx.TransportError]) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self._error("no", request=request)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        pytest.param(httpx.ConnectError, 502, "failed to connect to host", id="nobody-listens"),
        pytest.param(httpx.ReadTimeout, 504, "timed out", id="too-slow"),
    ],
)
async def test_a_delivery_that_does_not_arrive_is_recorded_and_not_repeated(
    error: type[httpx.TransportError], code: int, status: str
) -> None:
    hub = LocalHub(transport=_Refuses(error))
    hub.create_repository("octo/app", files={"a": "1\n"})
    hub.webhook_url = "http://receiver/"
    await hub.start_deliveries()
    hub.commit("octo/app", "main", {"a": "2\n"}, "A\n", "octo")
    await hub.settled()
    rows = hub.deliveries()
    await hub.stop()
    assert [(row.event, row.status_code, row.status) for row in rows] == [
        ("push", code, status),
        ("check_suite", code, status),
    ]


class _Crashes(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        message = f"no route to {request.url}"
        raise LookupError(message)


async def test_a_receiver_that_crashes_in_this_process_is_not_waited_for_in_vain() -> None:
    hub = LocalHub(transport=_Crashes())
    hub.create_repository("octo/app", files={"a": "1\n"})
    hub.webhook_url = "http://receiver/"
    hub.commit("octo/app", "main", {"a": "2\n"}, "A\n", "octo")
    with pytest.raises(RuntimeError, match="nothing delivers them"):
        await hub.settled()
    await hub.start_deliveries()
    with pytest.raises(LookupError, match="no route"):
        await hub.settled()
    with pytest.raises(LookupError, match="no route"):
        await hub.stop()
    assert not hub.directory.exists()


async def test_a_webhook_that_fails_on_order_is_listed_as_failed(hub: LocalHub, receiver: Receiver) -> None:
    hub.webhook_url = "http://receiver/"
    hub.faults.fail_delivery("push")
    hub.commit("octo/app", "main", {"a": "1\n"}, "A\n", "mona")
    await hub.settled()
    assert receiver.names == ["check_suite.requested"]
    assert [(sent.event, sent.status_code) for sent in hub.deliveries()] == [("push", 502), ("check_suite", 202)]


async def test_a_webhook_can_be_lost_doubled_and_overtaken(hub: LocalHub, receiver: Receiver) -> None:
    pull_request(hub)
    hub.webhook_url = "http://receiver/"
    hub.faults.drop_delivery("check_suite")
    hub.faults.overtake_delivery("push")
    hub.faults.duplicate_delivery("issue_comment")
    hub.commit("octo/app", "topic", {"a": "1\n"}, "A\n", "mona")
    hub.comment("octo/app", 1, "hello", "mona")
    await hub.settled()
    assert receiver.names == [
        "pull_request.synchronize",
        "push",
        "issue_comment.created",
        "issue_comment.created",
    ]
    assert receiver.got[2].headers["x-github-delivery"] == receiver.got[3].headers["x-github-delivery"]


async def test_the_app_can_move_its_webhook(hub: LocalHub, receiver: Receiver) -> None:
    async with as_app(hub) as app:
        await app.patch("/app/hook/config", json={"url": "http://receiver/", "secret": "new"})
        config = (await app.get("/app/hook/config")).json()
    hub.commit("octo/app", "main", {"a": "1\n"}, "A\n", "mona")
    await hub.settled()
    assert (config["url"], config["secret"]) == ("http://receiver/", "********")
    signature = hmac.new(b"new", receiver.got[0].body, hashlib.sha256).hexdigest()
    assert receiver.got[0].headers["x-hub-signature-256"] == f"sha256={signature}"


async def test_an_app_hears_only_of_what_it_subscribed_to(hub: LocalHub, receiver: Receiver) -> None:
    hub.webhook_url = "http://receiver/"
    hub.state.apps.change(hub.app_record, events=["issue_comment"], permissions={"issues": "write"})
    pull_request(hub)
    hub.comment("octo/app", 1, "hello", "mona")
    await hub.settled()
    assert receiver.names == ["issue_comment.created"]


async def test_the_sender_of_a_bots_comment_is_the_bot(hub: LocalHub, receiver: Receiver) -> None:
    pull_request(hub)
    hub.webhook_url = "http://receiver/"
    async with as_installation(hub) as app:
        await app.post("/repos/octo/app/issues/1/comments", json={"body": "I am a bot"})
    await hub.settled()
    sender = json.loads(receiver.got[0].body)["sender"]
    assert (sender["login"], sender["type"]) == ("interlock[bot]", "Bot")
