"""What `interlock setup` takes, and the sentence for what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.commands.setup_plan import BadPlan, Plan, default_name, make_plan


def plan(url: str = "https://bot.example.org", **changes: str | bool | int) -> Plan:
    asked: dict[str, object] = {
        "url": url,
        "github": "https://github.com",
        "org": "",
        "name": "",
        "tier": "operate",
        "host": "127.0.0.1",
        "port": 8080,
        "data_dir": Path("data"),
        "replace": False,
        "public": False,
        **changes,
    }
    return make_plan(**asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"url": ""}, "say with --url", id="no-address"),
        pytest.param({"url": "bot.example.org"}, "is not an address", id="no-scheme"),
        pytest.param({"url": "https://bot.example.org:99999"}, "is not an address", id="no-such-port"),
        pytest.param({"url": "https://me:pw@bot.example.org"}, "is not an address", id="a-password-in-it"),
        pytest.param({"url": "http://bot.example.org"}, "use https", id="unencrypted"),
        pytest.param({"url": "https://localhost"}, "GitHub cannot reach localhost", id="this-machine"),
        pytest.param({"url": "https://192.168.1.2"}, "GitHub cannot reach 192.168.1.2", id="a-private-network"),
        pytest.param({"url": "https://ci.internal"}, "GitHub cannot reach ci.internal", id="a-private-name"),
        pytest.param({"github": "github.com"}, "--github: 'github.com' is not the address", id="github-no-scheme"),
        pytest.param({"github": "http://ghes.example"}, "a key would travel unencrypted", id="github-unencrypted"),
        pytest.param({"github": "https://ghes.example/api/v3"}, "give its pages' address alone", id="the-apis-address"),
        pytest.param({"org": "octo/app"}, "'octo/app' is not an organization's name", id="a-repository"),
        pytest.param({"name": "x" * 35}, "GitHub allows 34 characters, these are 35", id="a-long-name"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(changes: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadPlan, match=sentence):
        plan(**changes)


def test_an_enterprise_server_may_sit_in_the_same_private_network() -> None:
    made = plan("https://10.0.0.7", github="https://ghes.internal")
    assert made.api_url == "https://ghes.internal/api/v3"
    assert made.settings == {
        "public_url": "https://10.0.0.7",
        "github_api_url": "https://ghes.internal/api/v3",
        "github_url": "https://ghes.internal",
    }


def test_for_github_com_the_bot_is_told_nothing_but_its_own_address() -> None:
    assert plan("https://bot.example.org/").settings == {"public_url": "https://bot.example.org"}


@pytest.mark.parametrize(
    ("host", "public", "page"),
    [
        pytest.param("127.0.0.1", False, "http://127.0.0.1:8080", id="this-machine"),
        pytest.param("0.0.0.0", False, "http://127.0.0.1:8080", id="every-address"),
        pytest.param("0.0.0.0", True, "https://bot.example.org", id="the-public-one"),
    ],
)
def test_the_page_is_where_a_browser_can_open_it(host: str, public: bool, page: str) -> None:
    assert plan(host=host, public=public).page_url == page


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("https://bot.example.org", "interlock-bot-example-org", id="a-host"),
        pytest.param("https://a-very-long-name.of-a-host.example.org", "interlock-a-very-long-name-of-a-ho", id="long"),
    ],
)
def test_the_name_is_made_from_the_host_since_names_are_unique_on_github(url: str, name: str) -> None:
    assert default_name(url) == name
    assert len(name) <= 34
