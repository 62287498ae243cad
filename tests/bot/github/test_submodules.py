from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.github.submodules import repository_of

WEB = "https://github.com"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("https://github.com/octo/lib.git", "octo/lib", id="https"),
        pytest.param("https://github.com/octo/lib", "octo/lib", id="without-git"),
        pytest.param("http://github.com/octo/lib", "octo/lib", id="http"),
        pytest.param("git@github.com:octo/lib.git", "octo/lib", id="scp"),
        pytest.param("ssh://git@github.com/octo/lib.git", "octo/lib", id="ssh"),
        pytest.param("../lib.git", "octo/lib", id="a-sibling"),
        pytest.param("../../acme/lib", "acme/lib", id="another-owner"),
        pytest.param("../../../acme/lib", "acme/lib", id="no-further-than-the-host"),
        pytest.param("./lib", None, id="below-the-repository"),
        pytest.param("https://gitlab.example/octo/lib.git", None, id="another-host"),
        pytest.param("https://github.com.evil.example/octo/lib", None, id="a-host-that-looks-like-it"),
        pytest.param("https://github.com@evil.example/octo/lib", None, id="a-host-behind-a-user"),
        pytest.param("https://mona:token@github.com/octo/lib", None, id="with-a-password"),
        pytest.param("https://github.com/octo/lib?x=y", None, id="with-a-query"),
        pytest.param("https://github.com/octo/lib/deep", None, id="too-deep"),
        pytest.param("git@evil.example:octo/lib", None, id="scp-elsewhere"),
        pytest.param("file:///etc", None, id="file"),
        pytest.param("/etc", None, id="a-path"),
        pytest.param("ext::sh -c touch% /tmp/x", None, id="a-command"),
        pytest.param("--upload-pack=touch x", None, id="an-option"),
        pytest.param("https://[", None, id="not-an-address"),
        pytest.param("https://github.com/../..", None, id="dots"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_which_repository_an_address_means(url: str, name: str | None) -> None:
    assert repository_of(url, repo="octo/app", web_url=WEB) == name


@given(st.text() | st.from_regex(r"(https|ssh|git)://[a-z.@:]*github.com[a-z.@:/%-]*", fullmatch=True))
def test_no_address_comes_to_more_than_an_owner_and_a_name(url: str) -> None:
    name = repository_of(url, repo="octo/app", web_url=WEB)
    assert name is None or (name.count("/") == 1 and not name.startswith("-") and ".." not in name.split("/"))
