"""What is around every answer: paging, ETags, rate limits, headers, and faults on order."""

from __future__ import annotations

import socket

import httpx
import pytest
from inline_snapshot import snapshot

from bot.localhub.clock import Clock
from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import as_user, client, pull_request

COMMENTS = "/repos/octo/app/issues/1/comments"


async def test_a_list_is_paged_and_linked(hub: LocalHub) -> None:
    pull_request(hub)
    for number in range(5):
        hub.comment("octo/app", 1, str(number), "mona")
    async with as_user(hub, "mona") as mona:
        pages = [await mona.get(COMMENTS, params={"per_page": 2, "page": page}) for page in (1, 2, 3)]
        many = await mona.get(COMMENTS, params={"per_page": 1000})
    assert [[one["body"] for one in page.json()] for page in pages] == [["0", "1"], ["2", "3"], ["4"]]
    assert [sorted(map(str, page.links)) for page in pages] == [
        ["last", "next"],
        ["first", "last", "next", "prev"],
        ["first", "prev"],
    ]
    assert pages[0].headers["link"] == snapshot(
        '<http://127.0.0.1/repos/octo/app/issues/1/comments?per_page=2&page=2>; rel="next", '
        '<http://127.0.0.1/repos/octo/app/issues/1/comments?per_page=2&page=3>; rel="last"'
    )
    assert (len(many.json()), "link" in many.headers) == (5, False)


async def test_a_page_holds_a_hundred_at_most(hub: LocalHub) -> None:
    pull_request(hub)
    for number in range(101):
        hub.comment("octo/app", 1, str(number), "mona")
    async with as_user(hub, "mona") as mona:
        assert len((await mona.get(COMMENTS, params={"per_page": 100})).json()) == 100
        assert len((await mona.get(COMMENTS)).json()) == 30


async def test_an_unchanged_answer_costs_nothing(hub: LocalHub) -> None:
    pull_request(hub)
    async with as_user(hub, "mona") as mona:
        first = await mona.get(COMMENTS)
        same = await mona.get(COMMENTS, headers={"if-none-match": first.headers["etag"]})
        hub.comment("octo/app", 1, "new", "mona")
        changed = await mona.get(COMMENTS, headers={"if-none-match": first.headers["etag"]})
    assert [answer.status_code for answer in (first, same, changed)] == [200, 304, 200]
    assert same.content == b""
    left = [int(answer.headers["x-ratelimit-remaining"]) for answer in (first, same, changed)]
    assert left == [4999, 4999, 4998]


async def test_the_rate_limit_ends_and_begins_again(hub: LocalHub, clock: Clock) -> None:
    hub.limits.per_hour = 2
    async with as_user(hub, "mona") as app:
        answers = [await app.get("/repos/octo/app") for _ in range(3)]
        overview = (await app.get("/rate_limit")).json()["rate"]
        clock.advance(3601)
        after = await app.get("/repos/octo/app")
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    assert answers[2].json()["message"].startswith("API rate limit exceeded for user ID")
    assert answers[2].headers["x-ratelimit-remaining"] == "0"
    assert (overview["limit"], overview["remaining"]) == (2, 0)
    assert int(answers[2].headers["x-ratelimit-reset"]) == int(clock.seconds()) - 1
    assert after.status_code == 200


async def test_every_answer_has_githubs_headers(hub: LocalHub) -> None:
    async with as_user(hub, "mona") as mona:
        headers = (await mona.get("/repos/octo/app")).headers
    assert headers["date"] == "Mon, 02 Mar 2026 12:00:00 GMT"
    assert headers["x-github-request-id"]
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["x-ratelimit-resource"] == "core"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"{", "Problems parsing JSON", id="no-json"),
        pytest.param(b"[]", "Body should be a JSON object", id="no-object"),
    ],
)
async def test_a_body_that_is_no_object_is_400(hub: LocalHub, content: bytes, says: str) -> None:
    pull_request(hub)
    async with as_user(hub, "mona") as mona:
        refused = await mona.post(COMMENTS, content=content)
    assert (refused.status_code, refused.json()["message"]) == (400, says)


async def test_what_is_not_there_is_404(hub: LocalHub) -> None:
    async with client(hub) as nobody:
        assert [(await nobody.get(path)).status_code for path in ("/repos/octo/none", "/repos/a", "/users/x")] == [
            404
        ] * 3


async def test_a_call_can_fail_before_its_effect(hub: LocalHub) -> None:
    pull_request(hub)
    hub.faults.next("POST", "/comments$", status=502)
    async with as_user(hub, "mona") as mona:
        answers = [(await mona.post(COMMENTS, json={"body": "x"})).status_code for _ in range(2)]
    assert answers == [502, 201]
    assert len(hub.comments("octo/app", 1)) == 1


async def test_a_call_can_fail_after_its_effect(hub: LocalHub) -> None:
    pull_request(hub)
    hub.faults.next("POST", "/comments$", status=502, after_commit=True)
    async with as_user(hub, "mona") as mona:
        answer = await mona.post(COMMENTS, json={"body": "x"})
    assert answer.status_code == 502
    assert len(hub.comments("octo/app", 1)) == 1


async def test_a_secondary_limit_has_only_the_headers_that_were_asked_for(hub: LocalHub) -> None:
    hub.faults.next(
        "*", ".", status=403, message="You have exceeded a secondary rate limit", headers={"retry-after": "7"}
    )
    async with as_user(hub, "mona") as mona:
        answer = await mona.get("/repos/octo/app")
    assert (answer.status_code, answer.headers["retry-after"]) == (403, "7")
    assert "x-ratelimit-remaining" not in answer.headers


async def test_an_answer_does_not_wait_for_an_acknowledgement() -> None:
    hub = LocalHub()
    await hub.start()
    server = hub._server._server
    assert server
    proto = [listener.proto for one in server.servers for listener in one.sockets]
    await hub.stop()
    assert proto == [socket.IPPROTO_TCP]  # asyncio turns Nagle's algorithm off for these only.


async def test_a_connection_can_break_in_the_middle_of_an_answer() -> None:
    hub = LocalHub()
    await hub.start()
    hub.create_repository("octo/app", files={"a": "1\n"})
    hub.faults.next("GET", "/repos/", reset=True)
    async with httpx.AsyncClient(base_url=hub.url) as nobody:
        with pytest.raises(httpx.RemoteProtocolError):
            await nobody.get("/repos/octo/app")
        assert (await nobody.get("/repos/octo/app")).status_code == 200
    await hub.stop()


async def test_an_answer_can_be_garbled_and_its_effect_stays(hub: LocalHub) -> None:
    pull_request(hub)
    hub.faults.next("POST", "/comments$", garbled="half")
    hub.faults.next("GET", "/comments$", garbled="page")
    async with as_user(hub, "mona") as mona:
        half = await mona.post(COMMENTS, json={"body": "hello"})
        page = await mona.get(COMMENTS)
        told = await mona.get(COMMENTS)
    assert half.status_code == 201
    with pytest.raises(ValueError, match=r"."):
        half.json()
    assert page.headers["content-type"] == "text/html"
    assert [comment["body"] for comment in told.json()] == ["hello"]


async def test_the_first_call_of_each_kind_can_fail(hub: LocalHub) -> None:
    hub.faults.next("GET", "/repos/", status=502, each=True)
    async with as_user(hub, "mona") as mona:
        said = [(await mona.get(path)).status_code for path in ["/repos/octo/app", "/repos/octo/app/pulls"] * 2]
    assert said == [502, 502, 200, 200]


async def test_while_github_is_down_nothing_is_answered(hub: LocalHub) -> None:
    hub.faults.down = True
    async with as_user(hub, "mona") as mona:
        assert (await mona.get("/repos/octo/app")).status_code == 503
        hub.faults.down = False
        assert (await mona.get("/repos/octo/app")).status_code == 200


async def test_an_answer_can_drip(hub: LocalHub) -> None:
    hub.faults.next("GET", "/repos/octo/app$", drip=0.01)
    async with as_user(hub, "mona") as mona:
        assert (await mona.get("/repos/octo/app")).json()["full_name"] == "octo/app"
