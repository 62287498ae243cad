"""HTTP boxes, from their keys to their verdicts, against a real web server."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from runner.config import load_config
from runner.errors import BadMetadata
from runner.events import BoxFinished
from runner.lib import http_box
from runner.model import Box
from tests.runner.command_line import Repository, of
from tests.runner.services.web import Reply, Web


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.fixture
def web() -> Iterator[Web]:
    document = json.dumps({"ok": True, "count": 1, "items": [{"name": "kettle"}], "a key": "x", "version": "1.4.2"})
    with Web(
        page=Reply("<h1>Log in</h1>", headers={"Content-Type": "text/html; charset=utf-8"}),
        health=Reply(document, headers={"Content-Type": "application/json"}),
        broken=Reply("the database is gone", 503),
        moved=Reply("", 302, {"Location": "/page"}),
        circle=Reply("", 302, {"Location": "/circle"}),
    ) as web:
        yield web


def box(inside: str) -> Box:
    return load_config(f"boxes:\n  7:\n    tier: 1\n    http: {inside}\n").boxes[0]


def judged(repository: Repository, inside: str, **env: str) -> BoxFinished:
    repository.write(".github/interlock.yml", f"boxes:\n  7:\n    tier: 1\n    timeout: 10s\n    http: {inside}\n")
    (event,) = of("BoxFinished", repository.events(**env))
    assert isinstance(event, BoxFinished)
    return event


def told(event: BoxFinished) -> dict[str, str]:
    return {failure.id: failure.message for failure in event.failures}


def test_an_answer_that_is_as_it_should_be_is_green_and_every_condition_counts(
    repository: Repository, web: Web
) -> None:
    event = judged(
        repository,
        '{get: "${TARGET_URL}/page", status: 200, contains: Log in, matches: "<h1>.*</h1>", within: 9s, '
        "header: {Content-Type: {matches: ^text/html}}}",
        TARGET_URL=web.url,
    )
    assert (event.verdict, event.asserts, event.failures) == ("passed", 6, ())
    assert [metric.name for metric in event.metrics] == ["answered after"]


def test_the_right_values_in_json_are_found_and_wrong_ones_named(repository: Repository, web: Web) -> None:
    conditions = {
        "$.ok": True,
        "count": {"matches": "^[0-9]+$"},
        "$.items[0].name": "kettle",
        '$["a key"]': "x",
        "$.version": {"matches": r"^1\."},
    }
    green = judged(repository, json.dumps({"get": f"{web.url}/health", "json": conditions}))
    assert (green.verdict, green.asserts) == ("passed", 7)
    wrong = {"$.ok": 1, "$.items[3]": 0, "$.count": True, "$.version": {"matches": "^2"}}
    red = judged(repository, json.dumps({"get": f"{web.url}/health", "json": wrong}))
    assert set(told(red)) == {"json $.ok", "json $.items[3]", "json $.count", "json $.version"}
    assert told(red)["json $.version"] == "got \"1.4.2\", want a match of '^2'"


def test_a_wrong_answer_is_told_with_what_was_wanted_and_what_came(repository: Repository, web: Web) -> None:
    event = judged(
        repository, f'{{get: "{web.url}/broken", contains: welcome, header: {{etag: x}}, json: {{ok: true}}}}'
    )
    assert event.verdict == "failed"
    assert told(event) == snapshot(
        {
            "status": "got 503 Service Unavailable, want 200; the body: the database is gone",
            "header etag": 'no such header, want "x"',
            "contains welcome": "'welcome' is not in the body: the database is gone",
            "json ok": (
                "the body is no JSON (Expecting value: line 1 column 1 (char 0)): the database is gone, want true"
            ),
        }
    )


def test_nobody_there_is_a_failure_and_no_error(repository: Repository) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    event = judged(repository, f'{{get: "http://127.0.0.1:{port}/"}}')
    assert event.verdict == "failed"
    assert list(told(event)) == ["answers"]
    assert "Connection refused" in told(event)["answers"]


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "broke off, 6 bytes before its end", id="cut-short"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc",
            "its answer broke off",
            id="cut-in-a-chunk",
        ),
        pytest.param(b"\x00\x01garbage\r\n\r\n", "what came back is not HTTP", id="no-http"),
        pytest.param(b"", "the connection was closed without an answer", id="nothing"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: http://[::1/\r\nContent-Length: 0\r\n\r\n",
            "which is no URL",
            id="nowhere",
        ),
    ],
)
def test_what_is_no_whole_answer_is_none(repository: Repository, reply: bytes, says: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        event = judged(repository, f'{{get: "http://127.0.0.1:{server.getsockname()[1]}/", follow: true}}')
        thread.join()
    assert event.verdict == "failed"
    assert list(told(event)) == ["answers"]
    assert says in told(event)["answers"]


def test_a_url_of_variables_that_is_none_is_no_answer(repository: Repository) -> None:
    for url in ("http://[::1", "http://127.0.0.1:99999", "http://127.0.0.1:x"):
        event = judged(repository, '{get: "${TARGET_URL}/"}', TARGET_URL=url)
        assert event.verdict == "failed"
        assert "this is no URL" in told(event)["answers"]


def test_letters_beyond_ascii_are_sent_as_urls_write_them(repository: Repository, web: Web) -> None:
    judged(repository, f'{{get: "{web.url}/Öl?q=ä", status: 404}}')
    assert web.asked[0].path == "/%C3%96l?q=%C3%A4"


def test_what_the_way_out_of_a_sandbox_says_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its proxy answers 403 to what it refuses and 502 where nobody is, and a box may want just that of the product."""
    with Web() as proxy:
        proxy.replies["http://product.example/"] = Reply("interlock: product.example:80: not in the rules", 403)
        monkeypatch.setenv("BOX_EGRESS", proxy.url)
        (step,) = box("{get: 'http://product.example/', status: 403}").http
        with pytest.raises(http_box.NotAnswered, match="Tunnel connection failed"):
            http_box.ask(dict(step), 5.0)


def test_an_answer_that_comes_too_late_is_red_and_what_is_in_it_still_judged(repository: Repository) -> None:
    released = threading.Event()
    with Web(slow=Reply("at last", after=lambda: released.wait(0.3))) as web:
        event = judged(repository, f'{{get: "{web.url}/slow", contains: at last, within: 100ms}}')
    assert list(told(event)) == ["within"]
    assert "want at most 100 ms" in told(event)["within"]


def test_silence_fails_the_box_before_its_timeout_would(repository: Repository) -> None:
    repository.write(".github/interlock.yml", "")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        repository.write(
            ".github/interlock.yml", f'boxes:\n  7:\n    tier: 1\n    timeout: 3s\n    http: {{get: "{url}"}}\n'
        )
        (event,) = of("BoxFinished", repository.events())
    assert (event.verdict, list(told(event))) == ("failed", ["answers"])


def test_a_body_is_sent_as_json_or_as_it_is_with_its_variables(repository: Repository, web: Web) -> None:
    web.replies["/form"] = Reply()
    event = judged(
        repository,
        "[{name: json, post: '${TARGET_URL}/form', body: {user: '${WHO}', n: [1]}}, "
        "{name: text, put: '${TARGET_URL}/form', body: 'a=${WHO}', headers: {X-Who: '${WHO}'}}]",
        TARGET_URL=web.url,
        WHO="mona",
    )
    assert event.verdict == "passed"
    first, second = web.asked
    assert (first.method, first.body, first.headers["content-type"]) == (
        "POST",
        '{"user": "mona", "n": [1]}',
        "application/json",
    )
    assert (second.method, second.body, second.headers["x-who"]) == ("PUT", "a=mona", "mona")


def test_steps_are_named_in_their_assertions_and_end_with_the_first_silence(repository: Repository, web: Web) -> None:
    event = judged(
        repository,
        f'[{{get: "{web.url}/broken"}}, {{name: login, get: "{web.url}/moved"}}, {{get: "http://127.0.0.1:1/"}}, '
        f'{{get: "{web.url}/page"}}]',
    )
    assert list(told(event)) == ["1: status", "login: status", "3: answers"]
    assert [asked.path for asked in web.asked] == ["/broken", "/moved"]


@pytest.mark.parametrize(
    ("inside", "red"),
    [
        pytest.param('{get: "URL/moved", follow: true, contains: Log in}', [], id="followed"),
        pytest.param('{get: "URL/moved", status: 302}', [], id="taken-as-it-is"),
        pytest.param('{get: "URL/moved", status: [2xx, 302], header: {location: /page}}', [], id="one-of-several"),
        pytest.param('{get: "URL/circle", follow: true}', ["answers"], id="in-a-circle"),
        pytest.param('{head: "URL/page"}', [], id="head"),
        pytest.param('{delete: "URL/none", status: 4xx}', [], id="a-class-of-statuses"),
    ],
)
def test_redirects_and_statuses(repository: Repository, web: Web, inside: str, red: list[str]) -> None:
    assert list(told(judged(repository, inside.replace("URL", web.url)))) == red


def test_another_origin_is_not_told_what_was_meant_for_the_first(repository: Repository, web: Web) -> None:
    with Web(here=Reply("here")) as other:
        web.replies["/away"] = Reply("", 307, {"Location": f"{other.url}/here"})
        headers = "headers: {Authorization: secret, X-Kept: 'yes'}"
        event = judged(repository, f'{{get: "{web.url}/away", follow: true, {headers}}}')
        assert event.verdict == "passed"
        assert "authorization" in web.asked[0].headers
        assert "authorization" not in other.asked[0].headers
        assert other.asked[0].headers["x-kept"] == "yes"


def test_a_variable_that_is_not_set_makes_the_box_errored_and_is_named(repository: Repository) -> None:
    event = judged(repository, '{get: "${NOT_SET_ANYWHERE}/"}')
    assert event.verdict == "errored"
    assert "NOT_SET_ANYWHERE is not set" in event.output


def test_a_box_that_may_skip_does_so_where_there_is_no_target(repository: Repository, web: Web) -> None:
    entry = "boxes:\n  7:\n    tier: 1\n    may_skip: true\n    http: {get: '${TARGET_URL}/page', contains: %s}\n"
    repository.write(".github/interlock.yml", entry % "Log in")
    [skipped] = of("BoxFinished", repository.events())
    assert (skipped.verdict, skipped.green) == ("skipped", True)
    assert "TARGET_URL is not set" in skipped.output
    assert repository.verdicts("--target", web.url) == {7: "passed"}
    repository.write(".github/interlock.yml", entry % "Log out")
    assert repository.verdicts("--target", web.url) == {7: "failed"}


def test_a_proxy_of_the_environment_is_used(repository: Repository, web: Web) -> None:
    """By CONNECT where the port is another than 80, and with the whole URL where it is 80."""
    web.replies["http://example.test/page"] = Reply("through the proxy")
    event = judged(repository, "{get: 'http://example.test/page', contains: through}", HTTP_PROXY=web.url)
    assert event.verdict == "passed"
    tunnelled = judged(repository, "{get: 'http://example.test:81/page'}", HTTP_PROXY=web.url)
    assert "Tunnel connection failed" in told(tunnelled)["answers"]


@pytest.mark.parametrize(
    ("inside", "says"),
    [
        pytest.param("{status: 200}", "exactly one of get, head, post, put, delete", id="no-method"),
        pytest.param("{get: 'ftp://x'}", "'get' must be a URL", id="no-url"),
        pytest.param("{get: 'http://x:99999/'}", "'get' is no URL: Port out of range", id="no-port"),
        pytest.param("{get: 'http://[::1/'}", "'get' is no URL: Invalid IPv6 URL", id="no-address"),
        pytest.param("{get: 'http:///x'}", "'get' names no host and port to ask", id="no-host"),
        pytest.param("{get: 'http://x', post: 'http://x'}", "exactly one of", id="two-methods"),
        pytest.param("{get: 'http://x', status: 99}", "'99' is not a status", id="no-status"),
        pytest.param("{get: 'http://x', body: x}", "'get' sends no body", id="a-body-to-get"),
        pytest.param("{get: 'http://x', matches: '('}", "is not a regular expression", id="no-pattern"),
        pytest.param("{get: 'http://x', json: {'a..b': 1}}", "is not a path in JSON", id="no-path"),
        pytest.param("{get: 'http://x', header: {etag: 1}}", "must be text or {matches: REGEX}", id="a-number"),
        pytest.param("{get: 'http://x', headers: {'a b': x}}", "is not a header's name", id="no-header"),
        pytest.param("{get: 'http://x', expect: 200}", "unknown key 'expect'", id="unknown-key"),
        pytest.param("[]", "'http' names none", id="nothing"),
        pytest.param("[{name: a, get: 'http://x'}, {name: a, get: 'http://x'}]", "the same name", id="same-name"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(inside: str, says: str) -> None:
    with pytest.raises(BadMetadata) as refused:
        box(inside)
    assert says in str(refused.value)
    assert refused.value.line == 4


def test_the_line_is_that_of_the_step() -> None:
    text = "boxes:\n  7:\n    tier: 1\n    http:\n      - get: http://x\n      - get: http://x\n        status: 7\n"
    with pytest.raises(BadMetadata) as refused:
        load_config(text)
    assert refused.value.line == 7


def test_a_box_is_titled_by_its_request_unless_it_says() -> None:
    read: Any = box("{get: 'https://example.org/health'}")
    assert (read.title, read.kind) == ("GET https://example.org/health", "http")
