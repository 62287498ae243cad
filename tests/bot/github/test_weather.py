"""What the connection does when GitHub is away, asks for patience, says half of it, or has another time than ours."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import httpx
import jwt
import pytest

from bot.github.breaker import IN_A_ROW, OPEN_FOR
from bot.github.errors import BadCredentials, GitHubUnavailable, NotAsked, RateLimited
from bot.github.quiet import LONGEST
from tests.bot.github.conftest import REPO, Connected
from tests.bot.github.wire import NOW, Answer, Wire, answer

SECONDARY = "You have exceeded a secondary rate limit."


def issued_at(request: httpx.Request) -> int:
    """When an assertion says that it was made."""
    assertion = request.headers["authorization"].removeprefix("Bearer ")
    return int(jwt.decode(assertion, options={"verify_signature": False})["iat"])


def at(ahead: timedelta) -> dict[str, str]:
    """The `Date` of a GitHub whose clock is so much ahead of ours."""
    return {"date": format_datetime(NOW + ahead, usegmt=True)}


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(httpx.Response(200, content=b"<html>We are down</html>"), id="a-page"),
        pytest.param(httpx.Response(200, content=b'{"id": 1, "na'), id="half-an-answer"),
    ],
)
async def test_what_is_not_json_is_read_again_and_never_written_again(broken: httpx.Response) -> None:
    wire = Wire([broken, answer({"id": 1}), broken])
    async with wire.app() as app:
        assert (await app.installation(5).get("/x")).json == {"id": 1}
        with pytest.raises(GitHubUnavailable, match="with something else than JSON") as caught:
            await app.installation(5).post("/x", {})
    assert caught.value.maybe_done
    assert len(wire.asked) == 3


async def test_after_failures_in_a_row_nothing_is_sent_until_a_probe_is_answered() -> None:
    away: list[Answer] = [httpx.ConnectError("refused") for _ in range(IN_A_ROW)]
    wire = Wire([*away, answer([]), answer([]), answer([])])
    async with wire.app() as app:
        for _ in range(4):
            with pytest.raises(GitHubUnavailable):
                await app.installation(5).get("/x")
        assert len(wire.asked) == IN_A_ROW
        wire.clock.advance(timedelta(seconds=20))
        with pytest.raises(NotAsked, match="GitHub was away a moment ago, so POST /y was not sent") as caught:
            await app.installation(5).post("/y", {})
        assert not caught.value.maybe_done
        assert caught.value.until == wire.clock.now() + OPEN_FOR - timedelta(seconds=20)
        assert str(NotAsked(*caught.value.args)) == str(caught.value)
        slept = len(wire.slept)
        wire.clock.advance(OPEN_FOR)
        for _ in range(3):
            await app.installation(5).get("/x")
    assert slept == len(wire.slept) <= IN_A_ROW


async def test_a_refusal_is_an_answer_and_opens_nothing() -> None:
    wire = Wire([answer({"message": "Not Found"}, 404)] * 20)
    async with wire.app() as app:
        for _ in range(20):
            with pytest.raises(Exception, match="404"):
                await app.installation(5).get("/x")
    assert len(wire.asked) == 20


@pytest.mark.parametrize("ahead", [timedelta(minutes=10), timedelta(minutes=-10)], ids=["we-are-slow", "we-are-fast"])
async def test_an_assertion_that_our_clock_spoilt_is_dated_by_githubs(ahead: timedelta) -> None:
    no = answer({"message": "'Expiration time' claim ('exp') is too far in the future"}, 401, at(ahead))
    wire = Wire([no, answer({"slug": "a"}, headers=at(ahead)), answer({}, headers=at(ahead))])
    async with wire.app() as app:
        assert await app.slug() == "a"
        await app.itself().get("/app")
        assert app.clock.skew == -ahead
    ours = int(NOW.timestamp()) - 60
    theirs = ours + int(ahead.total_seconds())
    assert [issued_at(request) for request in wire.asked] == [ours, theirs, theirs]


async def test_calls_that_are_refused_together_agree_on_the_other_clock() -> None:
    ahead = timedelta(minutes=10)
    ours, refused = int(NOW.timestamp()) - 60, []

    def judge(request: httpx.Request) -> httpx.Response:
        if issued_at(request) == ours:
            refused.append(request)
            return answer({"message": "no"}, 401, at(ahead))
        return answer({"slug": "a"}, headers=at(ahead))

    both = asyncio.Barrier(2)

    async def together(request: httpx.Request) -> httpx.Response:
        said = judge(request)
        if len(refused) <= 2 and said.status_code == 401:
            await both.wait()
        return said

    wire = Wire()
    async with wire.app(transport=httpx.MockTransport(together)) as app:
        found = await asyncio.gather(app.itself().get("/app"), app.itself().get("/app"))
    assert [one.status for one in found] == [200, 200]
    assert len(refused) == 2


@pytest.mark.parametrize("ahead", [timedelta(seconds=20), timedelta(hours=2)], ids=["too-little", "too-much"])
async def test_a_refusal_that_the_clock_does_not_explain_is_bad_credentials(ahead: timedelta) -> None:
    wire = Wire([answer({"message": "no"}, 401, at(ahead))])
    async with wire.app() as app:
        with pytest.raises(BadCredentials):
            await app.slug()
    assert len(wire.asked) == 1


async def test_a_token_ends_by_githubs_clock() -> None:
    ahead = timedelta(minutes=58)
    wire = Wire([answer([], headers=at(ahead)), answer([], headers=at(ahead))])
    async with wire.app() as app:
        await app.installation(5).get("/x")
        await app.installation(5).get("/x")
    assert len(wire.sold) == 2


async def test_a_slow_answer_is_not_taken_for_a_slow_clock() -> None:
    wire = Wire()

    def late(_request: httpx.Request) -> httpx.Response:
        wire.clock.advance(timedelta(minutes=2))
        return answer([], headers=at(timedelta()))

    wire.script = [late]
    async with wire.app() as app:
        await app.installation(5).get("/x")
        assert app.clock.skew == timedelta()


async def test_a_reset_is_waited_for_by_our_clock() -> None:
    ahead = timedelta(hours=1)
    reset = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int((NOW + ahead).timestamp()) + 120)}
    wire = Wire([answer({}, 403, reset | at(ahead))])
    async with wire.app() as app:
        with pytest.raises(RateLimited) as caught:
            await app.installation(5).get("/x")
    assert caught.value.until == NOW + timedelta(seconds=120)


async def test_without_advice_each_further_limit_doubles_the_wait_and_a_good_answer_ends_that() -> None:
    limit = answer({"message": SECONDARY}, 403)
    wire = Wire([*[limit] * 7, answer([]), limit])
    waits = []
    async with wire.app() as app:
        for _ in range(9):
            try:
                await app.installation(5).get("/x")
            except RateLimited as limited:
                waits.append((limited.until - wire.clock.now()).total_seconds())
                wire.clock.advance(limited.until - wire.clock.now())
    assert waits == [60, 120, 240, 480, 960, LONGEST.total_seconds(), LONGEST.total_seconds(), 60]


async def test_who_was_to_keep_quiet_does_so_after_a_restart_and_others_do_not() -> None:
    kept: dict[str, str] = {}

    async def keep(name: str, until: str) -> None:
        kept[name] = until

    wire = Wire([answer({}, 429, {"retry-after": "1800"}), answer([]), answer([])])
    async with wire.app(keep_quiet=keep) as app:
        with pytest.raises(RateLimited):
            await app.installation(5).get("/x")
    async with wire.app() as app:
        app.quiet.restore(kept | {"installation:9": "nonsense"})
        with pytest.raises(RateLimited):
            await app.installation(5).get("/x")
        assert len(wire.asked) == 1
        await app.installation(6).get("/x")
        assert list(app.quiet.speakers()) == ["installation:5"]
        wire.clock.advance(timedelta(minutes=30))
        await app.installation(5).get("/x")
        assert app.quiet.speakers() == {}


async def test_what_github_confirms_costs_nothing_of_the_limit(connected: Connected) -> None:
    path = f"/repos/{REPO}/pulls"
    first = [pull["number"] async for pull in connected.gh.paginate(path, {"state": "open"}, again=True)]
    left = connected.gh.share_left
    same = [pull["number"] async for pull in connected.gh.paginate(path, {"state": "open"}, again=True)]
    assert first == same == []
    assert connected.gh.share_left == left
    connected.hub.commit(REPO, "topic", {"x": "y"}, "Change", "mona")
    connected.hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
    assert [pull["number"] async for pull in connected.gh.paginate(path, {"state": "open"}, again=True)] == [1]
    assert connected.gh.share_left < left
