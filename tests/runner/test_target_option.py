"""`runner run --target URL`: what boxes are told of, and let to, by whoever starts the run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.events import BoxFinished, Warned
from tests.conftest import MISSING
from tests.runner.command_line import Repository, of
from tests.runner.services.web import Reply, Web

BOXES = """\
boxes:
  1: {tier: 1, title: Asked by the runner, http: {get: "${TARGET_URL}/page", contains: hello}}
  2: {tier: 1, title: Asked by a program, run: python3 ask.py /page, env: {TARGET_URL: "http://127.0.0.1:1"}}
  3: {tier: 1, title: Posted by the runner, http: {post: "${TARGET_URL}/page", body: x, contains: hello}}
"""
ASK = """\
import os, sys, urllib.request
with urllib.request.urlopen(os.environ["TARGET_URL"] + sys.argv[1], timeout=5) as answer:
    print(answer.read().decode())
"""


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.write(".github/interlock.yml", BOXES)
    repository.write("ask.py", ASK)
    return repository


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(page=Reply("hello")) as web:
        yield web


@pytest.fixture(params=["off", "full"])
def sandbox(request: pytest.FixtureRequest) -> str:
    if request.param == "full" and not shutil.which("bwrap"):
        pytest.skip(f"{MISSING} bwrap")
    return str(request.param)


@pytest.mark.parametrize("trust", ["T0", "T1", "T2"])
def test_every_box_finds_the_target_and_reaches_it(repository: Repository, web: Web, sandbox: str, trust: str) -> None:
    if trust == "T2" and sandbox == "off":
        pytest.skip("strangers' code does not run without a sandbox")

    found = repository.verdicts("--target", f"{web.url}/", "--sandbox", sandbox, "--trust", trust)
    assert set(found.values()) == {"passed"}


def test_in_a_sandbox_nothing_but_the_target_is_let_through(repository: Repository, web: Web) -> None:
    if not shutil.which("bwrap"):
        pytest.skip(f"{MISSING} bwrap")
    repository.write("ask.py", ASK.replace('os.environ["TARGET_URL"]', '"http://localhost:1"'))
    events = repository.events("2", "--target", web.url, "--sandbox", "full", "--trust", "T0")
    [event] = of("BoxFinished", events)
    assert isinstance(event, BoxFinished)
    assert event.verdict == "failed"
    assert [denied for denied in event.refused if "localhost:1" in denied]


def test_an_http_box_asks_the_target_and_not_what_it_says_itself(repository: Repository, web: Web) -> None:
    repository.write(
        ".github/interlock.yml",
        "boxes:\n  1: {tier: 1, http: {get: '${TARGET_URL}/page'}, env: {TARGET_URL: 'http://127.0.0.1:1'}}\n",
    )
    assert repository.verdicts("--target", web.url) == {1: "passed"}


def test_nothing_is_said_to_be_withheld_that_is_let_through(repository: Repository, web: Web) -> None:
    if not shutil.which("bwrap"):
        pytest.skip(f"{MISSING} bwrap")
    events = repository.events("1", "--target", web.url, "--trust", "T2")
    assert [event.message for event in events if isinstance(event, Warned)] == []


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://x", "http://", "http://x:99999", "http://x:0"])
def test_what_is_no_url_of_a_host_is_refused(repository: Repository, url: str) -> None:
    ended = repository.runner("run", "--target", url)
    assert (ended.code, "is not the URL of a host" in ended.err) == (2, True)
