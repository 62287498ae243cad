"""What a ping to ourselves tells about the way in."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
import ssl
from collections.abc import Callable

import httpx
import pytest

from bot.ops.self_ping import Ping, Reach, ping

URL = "https://bot.example"
Answer = Callable[[httpx.Request], httpx.Response]


def good(request: httpx.Request, secret: str = "s") -> bool:
    wanted = "sha256=" + hmac.new(secret.encode(), request.content, hashlib.sha256).hexdigest()
    return request.headers["x-hub-signature-256"] == wanted


def the_bot(request: httpx.Request) -> httpx.Response:
    if not good(request):
        return httpx.Response(401, json={"error": "X-Hub-Signature-256 does not match"})
    assert request.headers["x-github-event"] == "ping"
    assert json.loads(request.content)["zen"]
    return httpx.Response(202, json={"delivery": request.headers["x-github-delivery"], "duplicate": False})


def fails(error: Exception, cause: BaseException | None = None) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error from cause

    return answer


def certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("answer", "reach"),
    [
        pytest.param(the_bot, Ping(Reach.ACCEPTED), id="the-bot"),
        pytest.param(
            lambda _: httpx.Response(401, json={"error": "no"}), Ping(Reach.SECRET_DIFFERS), id="another-secret"
        ),
        pytest.param(
            lambda r: httpx.Response(202, json={"delivery": r.headers["x-github-delivery"]}),
            Ping(Reach.UNSIGNED_ACCEPTED),
            id="who-takes-anything",
        ),
        pytest.param(
            lambda r: httpx.Response(202, json={"delivery": "another"}) if good(r) else the_bot(r),
            Ping(Reach.SOMEBODY_ELSE, "202"),
            id="who-names-another-delivery",
        ),
        pytest.param(lambda _: httpx.Response(200, text="welcome"), Ping(Reach.SOMEBODY_ELSE, "200"), id="a-home-page"),
        pytest.param(lambda _: httpx.Response(404), Ping(Reach.SOMEBODY_ELSE, "404"), id="no-such-page"),
        pytest.param(
            lambda _: httpx.Response(301, headers={"location": "https://www.bot.example/webhooks"}),
            Ping(Reach.REDIRECTED, "www.bot.example"),
            id="a-redirect",
        ),
        pytest.param(lambda _: httpx.Response(502), Ping(Reach.PROXY_FAILED, "502"), id="a-proxy-without-a-bot"),
        pytest.param(
            lambda _: httpx.Response(503, json={"error": "stopping"}),
            Ping(Reach.BUSY, "stopping"),
            id="a-bot-that-stops",
        ),
        pytest.param(fails(httpx.ReadTimeout("")), Ping(Reach.TIMED_OUT), id="silence"),
        pytest.param(fails(httpx.ConnectError("refused")), Ping(Reach.NOT_CONNECTED, "refused"), id="nobody"),
        pytest.param(
            fails(httpx.ConnectError("x"), socket.gaierror(-2, "unknown")), Ping(Reach.NAME_UNKNOWN), id="no-such-name"
        ),
        pytest.param(
            fails(httpx.ConnectError("x"), certificate()),
            Ping(Reach.NOT_TRUSTED, "certificate has expired"),
            id="an-expired-certificate",
        ),
        pytest.param(
            fails(httpx.ConnectError("x"), ExceptionGroup("all", [OSError(1), socket.gaierror(-2, "x")])),
            Ping(Reach.NAME_UNKNOWN),
            id="a-cause-within-a-group",
        ),
    ],
)
async def test_each_thing_in_the_way_has_its_outcome(answer: Answer, reach: Ping) -> None:
    assert await ping(URL, "s", transport=httpx.MockTransport(answer)) == reach


async def test_over_a_real_socket_nobody_is_told_from_a_name_that_does_not_exist() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert (await ping(f"http://127.0.0.1:{port}", "s")).reach is Reach.NOT_CONNECTED
