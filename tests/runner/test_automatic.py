"""Boxes without a control that stand on something: it is taken away, and what comes out is told as automatic."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from runner.automatic import automatic_controls
from runner.model import Attempt, Box, Control, Expect, Failure, Verdict
from runner.proof import Answer, judge
from tests.conftest import MISSING
from tests.runner.boxes import box
from tests.runner.command_line import Repository

OWN = Control(kind="env", spec={"A": "1"}, expect=Expect(assertion="a"), where="x:1")


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(box(1), [], id="nothing-to-take-away"),
        pytest.param(box(1, needs=["redis"], control=OWN), [], id="its-own-is-enough"),
        pytest.param(
            box(1, needs=["postgres:16", "redis"]),
            [
                ("fault", {"service": "postgres", "is": "down"}, "postgres down"),
                ("fault", {"service": "redis", "is": "down"}, "redis down"),
            ],
            id="each-service-in-turn",
        ),
        pytest.param(
            box(1, kind="http"),
            [
                ("target", {"is": "down"}, "its target down"),
                ("target", {"is": "503"}, "its target answering 503"),
            ],
            id="the-target-of-an-http-box",
        ),
    ],
)
def test_a_box_gets_what_it_stands_on_taken_away(one: Box, expected: list[tuple[str, dict[str, str], str]]) -> None:
    assert [(c.kind, dict(c.spec), c.where) for c in automatic_controls(one)] == expected


GREEN = Attempt(outcome=Verdict.PASSED)


@pytest.mark.parametrize(
    ("sabotaged", "answer", "reason"),
    [
        pytest.param(
            Attempt(outcome=Verdict.FAILED, failures=[Failure(id="pong")]),
            Answer.PROVEN,
            "redis down: pong went red",
            id="an-assertion",
        ),
        pytest.param(Attempt(outcome=Verdict.FAILED), Answer.PROVEN, "redis down: it failed", id="a-failure"),
        pytest.param(GREEN, Answer.BLIND, "redis down: stayed green", id="green"),
        pytest.param(
            Attempt(outcome=Verdict.ERRORED, reason="killed by SIGABRT"),
            Answer.UNPROVEN,
            "redis down: under its control it is errored, which proves nothing: killed by SIGABRT",
            id="a-crash",
        ),
        pytest.param(
            Attempt(outcome=Verdict.TIMED_OUT, reason="after 5 s"),
            Answer.UNPROVEN,
            "redis down: under its control it is timed out, which proves nothing: after 5 s",
            id="a-timeout",
        ),
        pytest.param(
            Attempt(outcome=Verdict.SKIPPED, reason="no redis"),
            Answer.UNPROVEN,
            "redis down: under its control it is skipped, which proves nothing: no redis",
            id="a-skip",
        ),
    ],
)
def test_only_a_failure_is_a_proof(sabotaged: Attempt, answer: Answer, reason: str) -> None:
    [control] = automatic_controls(box(1, needs=["redis"]))
    proof = judge(box(1, needs=["redis"]), GREEN, sabotaged, control=control)
    assert (proof.answer, proof.reason, proof.automatic, proof.control) == (answer, reason, True, "redis down")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


PING = '. "$BOX_LIB"; is pong "$(redis-cli -h $REDIS_HOST -p $REDIS_PORT ping)" PONG'


@pytest.fixture
def redis() -> None:
    """Redis is here."""
    for program in ("redis-server", "redis-cli"):
        if not shutil.which(program):
            pytest.skip(f"{MISSING} {program}")


@pytest.mark.usefixtures("redis")
def test_a_box_that_looks_at_its_service_is_proven_and_one_that_does_not_is_blind(repository: Repository) -> None:
    repository.box(1, PING, block='needs = ["redis"]')
    repository.box(2, "true", block='needs = ["redis"]')
    killed = '[control]\nfault = { service = "redis", is = "killed" }\nexpect = "pong"'
    repository.box(3, PING, block=f'needs = ["redis"]\n{killed}')
    repository.box(4, PING, block=f'needs = ["redis"]\n{killed.replace("killed", "up")}')
    repository.box(5, PING, block=f'needs = ["redis"]\n{killed.replace("pong", "other")}')
    ended = repository.runner("falsify", "--json", "-")
    answers = {entry["box"]: entry for entry in json.loads(ended.out)["boxes"]}
    assert {number: (entry["answer"], entry["automatic"]) for number, entry in answers.items()} == {
        1: ("proven", True),
        2: ("blind", True),
        3: ("proven", False),
        4: ("stale", False),
        5: ("wrong_reason", False),
    }
    assert answers[1]["reason"] == "redis down: pong went red"
    assert answers[2]["control"] == "redis down"
    assert "✗ 2 box  blind (automatic)" in ended.err


@pytest.fixture
def target() -> Iterator[str]:
    """A server that answers every GET with 200."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello\n")

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("sandbox", ["off", "full"])
def test_an_http_box_must_notice_that_its_target_is_down(repository: Repository, target: str, sandbox: str) -> None:
    if sandbox == "full" and not shutil.which("bwrap"):
        pytest.skip(f"{MISSING} bwrap")
    get = 'http: {get: "${TARGET_URL}/", status: 200}'
    own = 'control: {target: {is: "wrong-body"}, expect: "%s"}'
    repository.write(
        ".github/interlock.yml",
        f"""\
        boxes:
          1: {{tier: 1, title: Answers, {get}}}
          2: {{tier: 1, title: Greets, http: {{get: "${{TARGET_URL}}/", contains: hello}}, {own % "contains hello"}}}
          3: {{tier: 1, title: Any, {get}, {own % "status"}}}
          4: {{tier: 1, title: Looks away, run: "true", control: {{target: {{is: down}}, expect: answers}}}}
        """,
    )
    ended = repository.runner("falsify", "--json", "-", "--sandbox", sandbox, TARGET_URL=target)
    answers = {entry["box"]: entry for entry in json.loads(ended.out)["boxes"]}
    assert {number: (entry["answer"], entry["automatic"]) for number, entry in answers.items()} == {
        1: ("proven", True),
        2: ("proven", False),
        3: ("blind", False),
        4: ("blind", False),
    }
