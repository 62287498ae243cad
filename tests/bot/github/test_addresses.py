from __future__ import annotations

import pytest

from bot.github.addresses import api_url, on_loopback, repository_path, segment, web_url
from tests.bot.github.wire import Wire


@pytest.mark.parametrize(
    ("api", "override", "web"),
    [
        pytest.param("https://api.github.com", "", "https://github.com", id="github.com"),
        pytest.param("https://ghes.example/api/v3", "", "https://ghes.example", id="enterprise-server"),
        pytest.param("http://127.0.0.1:4567", "", "http://127.0.0.1:4567", id="a-stand-in"),
        pytest.param("https://api.github.com/", "https://mirror.example/", "https://mirror.example", id="override"),
    ],
)
def test_pages_and_git_are_where_the_api_says(api: str, override: str, web: str) -> None:
    assert web_url(api, override) == web
    assert Wire().app(api, web_url=override).git_url("octo/app") == f"{web}/octo/app.git"


@pytest.mark.parametrize(
    ("web", "api"),
    [
        pytest.param("https://github.com", "https://api.github.com", id="github.com"),
        pytest.param("https://acme.ghe.com", "https://api.acme.ghe.com", id="data-residency"),
        pytest.param("https://ghes.example:8443", "https://ghes.example:8443/api/v3", id="enterprise-server"),
        pytest.param("http://127.0.0.1:4567", "http://127.0.0.1:4567", id="a-stand-in"),
        pytest.param("http://localhost:4567", "http://localhost:4567", id="a-stand-in-by-name"),
    ],
)
def test_the_api_follows_from_the_pages_and_back(web: str, api: str) -> None:
    assert api_url(web) == api
    assert web_url(api) == web


def test_a_name_that_only_begins_like_loopback_is_not_this_machine() -> None:
    assert on_loopback("http://127.0.0.1:1")
    assert not on_loopback("http://localhost.example")
    assert not on_loopback("https://github.com")


@pytest.mark.parametrize(
    "name",
    ["octo", "octo/app/pulls", "../app", "octo/..", "octo/.", "octo/a?b", "octo/a#b", "octo/a b", "/app", "octo/"],
)
def test_a_name_cannot_reach_another_endpoint(name: str) -> None:
    with pytest.raises(ValueError, match="not a repository's full name"):
        repository_path(name)


def test_names_keep_their_dots_and_dashes() -> None:
    assert repository_path("octo-org/.github") == "/repos/octo-org/.github"
    assert segment("dependabot[bot]") == "dependabot%5Bbot%5D"
    assert segment("../x") == "..%2Fx"
