from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from bot.github.app import GitHubApp
from bot.github.errors import (
    BadCredentials,
    Forbidden,
    GitHubProblem,
    GitHubUnavailable,
    NotFound,
    RateLimited,
    UnexpectedAnswer,
    Unprocessable,
)
from tests.bot.github.conftest import Connected
from tests.bot.github.wire import API, NOW, Wire, answer, private_key


async def test_every_request_says_which_api_it_speaks_and_who_speaks() -> None:
    wire = Wire([answer({"id": 1})])
    async with wire.app() as app:
        response = await app.installation(5).get("/repos/octo/app", {"a": "b c"})
    assert response.json == {"id": 1}
    (asked,) = wire.asked
    assert str(asked.url) == f"{API}/repos/octo/app?a=b+c"
    assert asked.headers["x-github-api-version"] == "2022-11-28"
    assert asked.headers["accept"] == "application/vnd.github+json"
    assert asked.headers["user-agent"].startswith("interlock/")
    assert asked.headers["authorization"] == f"Bearer {wire.sold[0]}"


async def test_the_app_signs_who_it_is_for_nine_minutes() -> None:
    wire = Wire([answer({"slug": "interlock"})])
    async with wire.app() as app:
        assert await app.slug() == "interlock"
        assert await app.slug() == "interlock"
    (asked,) = wire.asked
    key = serialization.load_pem_private_key(private_key().encode(), None)
    assertion = asked.headers["authorization"].removeprefix("Bearer ")
    options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(assertion, key.public_key(), algorithms=["RS256"], options=options)  # type: ignore[arg-type]
    now = int(NOW.timestamp())
    assert claims == {"iss": "7", "iat": now - 60, "exp": now + 540}


async def test_the_open_client_is_seen_by_tasks_that_did_not_open_it() -> None:
    wire = Wire([answer([]), answer([])])
    opened, done = asyncio.Event(), asyncio.Event()
    app = wire.app()

    async def lifespan() -> None:
        async with app:
            opened.set()
            await done.wait()

    async def request() -> None:
        await opened.wait()
        await app.installation(5).get("/user")

    owner = asyncio.create_task(lifespan())
    await asyncio.gather(asyncio.create_task(request()), asyncio.create_task(request()))
    done.set()
    await owner
    assert len(wire.asked) == 2
    with pytest.raises(RuntimeError, match="not open"):
        await app.installation(5).get("/user")


async def test_twenty_first_calls_buy_one_token() -> None:
    wire = Wire([answer([]) for _ in range(20)])
    async with wire.app() as app:
        await asyncio.gather(*(app.installation(5).get("/user") for _ in range(20)))
    assert len(wire.sold) == 1


async def test_installations_do_not_share_tokens() -> None:
    wire = Wire([answer([]), answer([])])
    async with wire.app() as app:
        await app.installation(5).get("/user")
        await app.installation(6).get("/user")
    assert [request.url.path for request in wire.token_requests] == [
        "/app/installations/5/access_tokens",
        "/app/installations/6/access_tokens",
    ]


async def test_a_cancelled_buyer_does_not_lock_the_others_out() -> None:
    wire = Wire([answer([])])
    bought = asyncio.Event()

    async def slow_shop(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/access_tokens") and not bought.is_set():
            bought.set()
            await asyncio.Event().wait()
        return await wire.handle(request)

    async with wire.app(transport=httpx.MockTransport(slow_shop)) as app:
        first = asyncio.create_task(app.installation(5).get("/user"))
        await bought.wait()
        second = asyncio.create_task(app.installation(5).get("/user"))
        first.cancel()
        assert (await second).status == 200


@pytest.mark.requirement("S-26")
async def test_no_token_is_handed_out_for_fifty_minutes() -> None:
    wire = Wire([answer([]), answer([]), answer([])])
    async with wire.app() as app:
        await app.installation(5).get("/user")
        wire.clock.advance(timedelta(minutes=47, seconds=59))
        await app.installation(5).get("/user")
        assert len(wire.sold) == 1
        wire.clock.advance(timedelta(seconds=1))
        await app.installation(5).get("/user")
    assert len(wire.sold) == 2
    assert wire.asked[-1].headers["authorization"] == f"Bearer {wire.sold[1]}"


async def test_a_token_for_git_is_narrowed_and_shared_by_equal_wishes() -> None:
    wire = Wire()
    async with wire.app() as app:
        narrow = {"contents": "read", "metadata": "read"}
        one = await app.token(5, repository_id=42, permissions=narrow)
        two = await app.token(5, repository_id=42, permissions=dict(reversed(narrow.items())))
        other = await app.token(5, repository_id=43, permissions=narrow)
    assert one is two
    assert one is not other
    assert [httpx.Response(200, content=request.content).json() for request in wire.token_requests] == [
        {"repository_ids": [42], "permissions": narrow},
        {"repository_ids": [43], "permissions": narrow},
    ]


async def test_a_refused_token_is_replaced_once_even_for_a_write() -> None:
    wire = Wire([answer({"message": "Bad credentials"}, 401), answer({"id": 1}, 201)])
    async with wire.app() as app:
        await app.installation(5).post("/repos/octo/app/issues/1/comments", {"body": "x"})
    assert [request.headers["authorization"] for request in wire.asked] == [f"Bearer {token}" for token in wire.sold]
    assert len(wire.sold) == 2


async def test_a_fresh_token_that_is_refused_too_is_bad_credentials() -> None:
    wire = Wire([answer({"message": "Bad credentials"}, 401), answer({"message": "Bad credentials"}, 401)])
    async with wire.app() as app:
        with pytest.raises(BadCredentials, match="GitHub answered 401 to GET /user: Bad credentials"):
            await app.installation(5).get("/user")


async def test_a_wrong_key_is_bad_credentials_at_once() -> None:
    wire = Wire(token_script=[answer({"message": "A JSON web token could not be decoded"}, 401)])
    async with wire.app() as app:
        with pytest.raises(BadCredentials, match="could not be decoded"):
            await app.installation(5).get("/user")
    assert wire.asked == []


@pytest.mark.parametrize("failure", [502, 500, 503])
async def test_reads_and_idempotent_writes_are_sent_three_times_at_most(failure: int) -> None:
    wire = Wire([answer(None, failure), answer(None, failure), answer({}), *(answer(None, failure) for _ in range(3))])
    async with wire.app() as app:
        assert (await app.installation(5).put("/thing", {})).status == 200
        with pytest.raises(GitHubUnavailable, match=f"GitHub answered {failure} to PATCH /thing") as caught:
            await app.installation(5).patch("/thing", {})
    assert caught.value.maybe_done
    assert len(wire.asked) == 6
    assert len(wire.slept) == 4
    assert sum(wire.slept[:2]) < 2


@pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(answer(None, 502), id="bad-gateway"),
        pytest.param(httpx.ReadTimeout("late"), id="read-timeout"),
        pytest.param(httpx.RemoteProtocolError("gone"), id="connection-closed"),
        pytest.param(httpx.WriteError("reset"), id="reset-while-writing"),
    ],
)
async def test_a_create_is_never_repeated_blindly(trouble: httpx.Response | Exception) -> None:
    wire = Wire([trouble])
    async with wire.app() as app:
        with pytest.raises(GitHubUnavailable) as caught:
            await app.installation(5).post("/repos/octo/app/issues/1/comments", {"body": "x"})
    assert caught.value.maybe_done
    assert len(wire.asked) == 1


@pytest.mark.parametrize("trouble", [httpx.ConnectError("refused"), httpx.ConnectTimeout("late")])
async def test_a_create_that_was_surely_not_sent_is_repeated(trouble: Exception) -> None:
    wire = Wire([trouble, answer({"id": 3}, 201)])
    async with wire.app() as app:
        assert (await app.installation(5).post("/thing", {})).json == {"id": 3}


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_lost_read_is_never_maybe_done(idempotent: bool) -> None:
    wire = Wire([httpx.ReadTimeout("late")] * 3)
    async with wire.app() as app:
        with pytest.raises(GitHubUnavailable, match="no answer from GitHub to GET /user: ReadTimeout: late") as caught:
            await app.installation(5).get("/user")
    assert not caught.value.maybe_done


@pytest.mark.parametrize(
    ("limit", "until"),
    [
        pytest.param(answer({}, 429, {"retry-after": "30"}), NOW + timedelta(seconds=30), id="retry-after"),
        pytest.param(answer({}, 403, {"retry-after": "90"}), NOW + timedelta(seconds=90), id="403-retry-after"),
        pytest.param(
            answer({}, 429, {"retry-after": "Wed, 04 Mar 2026 06:00:00 GMT"}),
            datetime(2026, 3, 4, 6, tzinfo=UTC),
            id="an-http-date",
        ),
        pytest.param(answer({}, 429, {"retry-after": "soon"}), NOW + timedelta(seconds=60), id="nonsense"),
        pytest.param(
            answer({}, 403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 1799)}),
            NOW + timedelta(seconds=1799),
            id="primary",
        ),
        pytest.param(
            answer({"message": "You have exceeded a secondary rate limit."}, 403),
            NOW + timedelta(seconds=60),
            id="in-words-only",
        ),
        pytest.param(answer({}, 429), NOW + timedelta(seconds=60), id="bare-429"),
    ],
)
async def test_a_limit_says_until_when_and_is_not_slept_away(limit: httpx.Response, until: datetime) -> None:
    wire = Wire([limit])
    async with wire.app() as app:
        with pytest.raises(RateLimited) as caught:
            await app.installation(5).get("/user")
    assert caught.value.until == until
    assert wire.slept == []


async def test_nothing_is_sent_for_an_installation_that_is_limited() -> None:
    wire = Wire([answer({}, 429, {"retry-after": "30"}), answer([]), answer([])])
    async with wire.app() as app:
        with pytest.raises(RateLimited):
            await app.installation(5).get("/user")
        with pytest.raises(RateLimited, match=r"used up until 2026-03-04T05:06:37\+00:00"):
            await app.installation(5).get("/user")
        assert len(wire.asked) == 1
        await app.installation(6).get("/user")
        wire.clock.advance(timedelta(seconds=30))
        await app.installation(5).get("/user")


@pytest.mark.parametrize(
    ("said", "kind", "text"),
    [
        pytest.param(answer({"message": "Not Found"}, 404), NotFound, "404 to GET /x: Not Found", id="404"),
        pytest.param(answer({"message": "Gone"}, 410), NotFound, "410 to GET /x: Gone", id="410"),
        pytest.param(
            answer({"message": "Resource not accessible by integration"}, 403), Forbidden, "not accessible", id="403"
        ),
        pytest.param(
            answer({"message": "Validation Failed", "errors": [{"field": "head_sha", "code": "invalid"}, "odd"]}, 422),
            Unprocessable,
            "422 to GET /x: Validation Failed; head_sha: invalid; odd",
            id="422",
        ),
        pytest.param(answer({"message": "Head was modified"}, 409), Unprocessable, "Head was modified", id="409"),
        pytest.param(httpx.Response(404, content=b"<html>"), NotFound, "404 to GET /x", id="a-page"),
        pytest.param(answer([1], 422), Unprocessable, "422 to GET /x", id="a-list"),
    ],
)
async def test_each_answer_has_its_name(said: httpx.Response, kind: type[GitHubProblem], text: str) -> None:
    async with Wire([said]).app() as app:
        with pytest.raises(kind) as caught:
            await app.installation(5).get("/x")
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "problem",
    [
        GitHubUnavailable("gone", True),
        RateLimited(NOW),
        Unprocessable("no", ("a: b",), 409),
        NotFound("no"),
    ],
)
def test_a_problem_can_be_rebuilt_from_its_type_and_arguments(problem: GitHubProblem) -> None:
    again = type(problem)(*problem.args)
    assert (str(again), vars(again)) == (str(problem), vars(problem))


async def test_a_renamed_repository_is_followed_within_the_api() -> None:
    wire = Wire([answer({}, 301, {"location": f"{API}/repositories/42?x=1"}), answer({"id": 42})])
    async with wire.app() as app:
        assert (await app.installation(5).get("/repos/old/name", {"y": 2})).json == {"id": 42}
    assert wire.lines == ["GET /repos/old/name?y=2", "GET /repositories/42?x=1"]
    assert all("authorization" in request.headers for request in wire.asked)


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/repos/octo/app",
        "http://api.github.test/repos/octo/app",
        "https://api.github.test:8443/repos/octo/app",
        "https://api.github.test.evil.example/",
        "//evil.example/x",
    ],
)
async def test_no_redirect_and_no_link_takes_the_token_to_another_host(elsewhere: str) -> None:
    wire = Wire([answer({}, 307, {"location": elsewhere}), answer([1], headers={"link": f'<{elsewhere}>; rel="next"'})])
    async with wire.app() as app:
        with pytest.raises(UnexpectedAnswer, match="not followed"):
            await app.installation(5).post("/repos/octo/app", {})
        if not elsewhere.startswith("//"):
            with pytest.raises(UnexpectedAnswer, match="not followed"):
                assert [item async for item in app.installation(5).paginate("/repos/octo/app/pulls")] == [1]
    assert {request.url.host for request in wire.asked} == {"api.github.test"}


async def test_a_circle_of_redirects_ends() -> None:
    wire = Wire([answer({}, 302, {"location": "/again"}) for _ in range(4)])
    async with wire.app() as app:
        with pytest.raises(UnexpectedAnswer, match="more than 3 times"):
            await app.installation(5).get("/again")


async def test_pages_are_read_one_after_the_other_and_only_as_needed() -> None:
    def page(number: int) -> httpx.Response:
        link = f'<{API}/api/v3/pulls?page={number + 1}>; rel="next", <{API}/api/v3/pulls?page=9>; rel="last"'
        return answer({"items": [number, -number]}, headers={"link": link})

    wire = Wire([page(1), page(2), page(3)])
    async with wire.app(f"{API}/api/v3") as app:
        seen = []
        async for item in app.installation(5).paginate("/pulls", {"state": "open"}, key="items"):
            seen.append(item)
            if len(seen) == 3:
                break
    assert seen == [1, -1, 2]
    assert wire.lines == ["GET /api/v3/pulls?state=open&per_page=100", "GET /api/v3/pulls?page=2"]


async def _secrets_shown(app: GitHubApp, wire: Wire, call: Callable[[], object]) -> str:
    try:
        await call()  # type: ignore[misc]
    except GitHubProblem as problem:
        shown = "".join(traceback.TracebackException.from_exception(problem, capture_locals=True).format())
        return shown + repr(problem) + repr(problem.__cause__) + repr(vars(problem))
    message = "it was to fail"
    raise AssertionError(message)


@pytest.mark.parametrize("trouble", [answer({"message": "no"}, 404), httpx.ReadTimeout("late"), answer({}, 401)])
async def test_a_traceback_with_local_variables_shows_no_token_and_no_key(trouble: httpx.Response | Exception) -> None:
    wire = Wire([trouble] * 3)
    async with wire.app() as app:
        shown = await _secrets_shown(app, wire, lambda: app.installation(5).get("/user"))
        shown += repr(app) + repr(vars(app)) + repr(app.installation(5)) + repr(app.assertion())
    assert wire.sold
    for secret in (*wire.sold, "PRIVATE KEY"):
        assert secret not in shown


async def test_a_token_cannot_be_printed_formatted_or_pickled() -> None:
    wire = Wire()
    async with wire.app() as app:
        token = await app.token(5)
    assert f"{token} {token!r} {token:>20}" == "SecretToken(***) SecretToken(***) SecretToken(***)"
    with pytest.raises(TypeError, match="never written down"):
        pickle.dumps(token)


@pytest.mark.parametrize(
    "key", ["", "nonsense", "-----BEGIN RSA PRIVATE KEY-----\nTOPSECRET\n-----END RSA PRIVATE KEY-----"]
)
def test_a_key_that_cannot_be_read_is_said_at_once_without_repeating_it(key: str) -> None:
    with pytest.raises(BadCredentials, match="the App's private key is not a PEM that can be read") as caught:
        GitHubApp(API, 7, key, Wire().clock)
    assert "TOPSECRET" not in "".join(traceback.format_exception(caught.value))


async def test_an_expired_token_is_replaced_within_the_call(connected: Connected) -> None:
    await connected.gh.get("/repos/octo/app")
    token = await connected.app.token(connected.gh.id)
    async with httpx.AsyncClient(base_url=connected.hub.url) as anybody:
        await anybody.delete("/installation/token", headers={"Authorization": f"Bearer {token.reveal()}"})
    assert (await connected.gh.get("/repos/octo/app")).json["full_name"] == "octo/app"
    assert (await connected.app.token(connected.gh.id)).reveal() != token.reveal()


async def test_more_than_the_installation_has_is_not_sold(connected: Connected) -> None:
    with pytest.raises(Unprocessable):
        await connected.app.token(connected.gh.id, permissions={"administration": "write"})
    with pytest.raises(Unprocessable):
        await connected.app.token(connected.gh.id, repository_id=987654, permissions={"contents": "read"})


async def test_a_key_of_another_app_is_refused(connected: Connected) -> None:
    async with GitHubApp(connected.hub.url, connected.hub.app_id, private_key(), connected.hub.clock) as app:
        with pytest.raises(BadCredentials):
            await app.installation(connected.gh.id).get("/repos/octo/app")
