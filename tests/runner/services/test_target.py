"""What stands in front of a target, as a client sees it."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from runner.attendant import Wish
from runner.services.ground import CannotProvide, Provided
from runner.services.target import WRONG_BODY, Target
from tests.runner.services.web import Reply, Web

if TYPE_CHECKING:
    from runner.services.ground import Ground

Stand = Callable[..., Awaitable[Provided]]


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(**{"app/page": Reply("welcome", 201, {"Content-Type": "text/html", "ETag": "x"})}) as web:
        yield web


@pytest.fixture
async def stand(web: Web, ground: Ground, tmp_path: Path) -> AsyncIterator[Stand]:
    target = Target()

    async def stand(
        what: str, *, url: str = "", unix: bool = False, hosts: tuple[str, ...] = (), **more: str
    ) -> Provided:
        faults = {"kind": "target", "is": what, **more}
        real = url or f"{web.url}/app"
        wish = Wish(id="one", directory=str(tmp_path), target=real, faults=faults, unix=unix, hosts=hosts)
        return await target.provide(wish, ground)

    yield stand
    await target.close()


async def ask(given: Provided, method: str = "GET", body: str | None = None) -> tuple[int, dict[str, str], str]:
    return await asyncio.to_thread(_ask, given.env["TARGET_URL"], method, body)


def _ask(target: str, method: str, body: str | None) -> tuple[int, dict[str, str], str]:
    url = urlsplit(target)
    there = http.client.HTTPConnection(url.netloc, timeout=20)
    there.request(method, f"{url.path}/page", body=body)
    answer = there.getresponse()
    said = answer.read().decode()
    there.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, said


async def test_without_a_control_of_its_kind_nobody_stands_there(ground: Ground) -> None:
    wish = Wish(id="one", directory="/", target="http://x", faults={"kind": "fault", "is": "down"})
    assert await Target().provide(wish, ground) == Provided()


async def test_down_is_a_refused_connection(stand: Stand) -> None:
    given = await stand("down")
    with pytest.raises(ConnectionRefusedError):
        await ask(given)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
async def test_a_status_answers_whatever_is_asked_and_the_target_hears_nothing(
    stand: Stand, web: Web, method: str
) -> None:
    status, _, said = await ask(await stand("503"), method)
    assert status == 503
    assert said == ("" if method == "HEAD" else WRONG_BODY)
    assert web.asked == []


async def test_a_wrong_body_comes_with_the_right_status_and_headers(stand: Stand) -> None:
    status, headers, said = await ask(await stand("wrong-body", body="oops"))
    assert (status, headers["content-type"], said) == (201, "text/html", "oops")
    assert "etag" not in headers


async def test_a_slow_target_answers_as_it_does_but_after_a_timer_that_began_with_the_request(
    stand: Stand, web: Web
) -> None:
    given = await stand("slow 300ms")
    happened: list[str] = []
    asyncio.get_running_loop().call_later(0.29, happened.append, "timer")
    status, _, said = await ask(given, "PUT", "sent")
    assert happened == ["timer"]
    assert (status, said) == (201, "welcome")
    (asked,) = web.asked
    assert (asked.method, asked.path, asked.body) == ("PUT", "/app/page", "sent")
    assert asked.headers["host"] == urlsplit(web.url).netloc


async def test_a_target_that_is_not_there_is_a_bad_gateway(stand: Stand) -> None:
    status, _, said = await ask(await stand("slow 1ms", url="http://127.0.0.1:1"))
    assert status == 502
    assert "the target did not answer" in said


async def test_whoever_is_in_a_sandbox_reaches_no_more_through_us_than_by_itself(stand: Stand, web: Web) -> None:
    with pytest.raises(CannotProvide, match=r"the box may not reach 127\.0\.0\.1:\d+$"):
        await stand("slow 1ms", unix=True)
    given = await stand("slow 1ms", unix=True, hosts=(f"127.0.0.1:{web.port}",))
    assert given.env["TARGET_URL"] == "http://127.0.0.1:8475/app"
    assert list(given.sockets) == [8475]


async def test_no_target_is_told(ground: Ground) -> None:
    wish = Wish(id="one", directory="/", faults={"kind": "target", "is": "down"})
    with pytest.raises(CannotProvide, match="the box has no TARGET_URL"):
        await Target().provide(wish, ground)
