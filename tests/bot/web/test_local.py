"""Which requests come from whoever sits at the machine."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request

from bot.web.local import is_local, require_json

HERE = {"host": "127.0.0.1:8080"}


def request(headers: dict[str, str], *, client: str = "127.0.0.1", version: str = "1.1") -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope: dict[str, Any] = {"type": "http", "client": (client, 1), "http_version": version, "headers": raw}
    return Request(scope)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8080", "127.0.0.1", "[::1]:8080"])
@pytest.mark.parametrize("client", ["127.0.0.1", "::1"])
def test_who_asks_this_machine_by_its_own_name_sits_at_it(client: str, host: str) -> None:
    assert is_local(request({"host": host}, client=client))


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(request(HERE, client="203.0.113.7"), id="from-elsewhere"),
        pytest.param(request(HERE, version="1.0"), id="as-a-proxy-does-by-default"),
        pytest.param(request({"host": "rebound.example"}), id="by-another-name"),
        pytest.param(request({"host": "127.0.0.1.rebound.example"}), id="by-a-name-that-begins-so"),
        pytest.param(request({}), id="by-no-name"),
        *(
            pytest.param(request({**HERE, name: "x"}), id=name)
            for name in ("forwarded", "via", "x-real-ip", "x-forwarded-for", "x-forwarded-proto", "cf-connecting-ip")
        ),
    ],
)
def test_everybody_else_is_remote(asked: Request) -> None:
    assert not is_local(asked)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 415, id="nothing-declared"),
        pytest.param({"content-type": "text/plain"}, 415, id="what-a-form-can-send"),
        pytest.param({"content-type": "application/json; charset=utf-8"}, 0, id="json"),
        pytest.param({"content-type": "application/json", "sec-fetch-site": "same-origin"}, 0, id="our-own-page"),
        pytest.param({"content-type": "application/json", "sec-fetch-site": "same-site"}, 403, id="a-neighbour-s-page"),
        pytest.param({"content-type": "application/json", "sec-fetch-site": "cross-site"}, 403, id="another-s-page"),
    ],
)
def test_a_body_is_taken_as_json_and_from_no_page_of_others(headers: dict[str, str], status: int) -> None:
    refused = 0
    try:
        require_json(request({**HERE, **headers}))
    except HTTPException as why:
        refused = why.status_code
    assert refused == status
