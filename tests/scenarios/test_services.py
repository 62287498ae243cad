"""Boxes that need databases, as somebody runs them: in parallel, without isolation and with all of it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.runner.command_line import Repository, of
from tests.runner.services.web import Reply, Web

LEAVES = """
psql -q -c 'CREATE TABLE left_behind (n int)' -c "INSERT INTO left_behind VALUES ($BOX_TIER)" || exit 1
redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" set left behind
"""
FINDS_NOTHING = """
. "$BOX_LIB"
is no-tables "$(psql -Atc "SELECT count(*) FROM pg_tables WHERE tablename = 'left_behind'")" 0
is no-keys "$(redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" dbsize)" 0
is url-and-parts-agree "$(psql "$DATABASE_URL" -Atc 'SELECT current_user')" "$PGUSER"
"""
CACHELESS = """
. "$BOX_LIB"
cli() { timeout 20 redis-cli -h "$REDIS_HOST" -p "$REDIS_PORT" "$@" 2>&1; }
is answers "$(cli ping)" PONG
fault redis down
[ "$(cli ping)" != PONG ]
ok is-down test $? -eq 0
fault redis up
is is-back "$(cli ping)" PONG
"""


WITHOUT_CURL = CACHELESS.replace("fault redis down", "command() { return 1; }; fault redis down", 1)
TWIN = """\
import importlib.util, os, socket

spec = importlib.util.spec_from_file_location("box", os.environ["BOX_LIB_PY"])
box = importlib.util.module_from_spec(spec)
spec.loader.exec_module(box)


def ping():
    try:
        with socket.create_connection((os.environ["REDIS_HOST"], int(os.environ["REDIS_PORT"])), 20) as there:
            there.sendall(b"PING\\r\\n")
            return there.recv(100)
    except OSError as error:
        return type(error).__name__


box.equal("answers", ping(), b"+PONG\\r\\n")
state = box.fault("redis", "down")
box.equal("says-so", (state["is"], state["connections"]), ("down", 1))
box.ok("is-down", ping() != b"+PONG\\r\\n")
box.fault("redis", "up")
box.equal("is-back", ping(), b"+PONG\\r\\n")
"""


def has_full() -> bool:
    return any(rung.works and rung.level.full for rung in rungs(os.environ))


SANDBOXES = [
    pytest.param("off", id="off"),
    pytest.param("full", id="full", marks=pytest.mark.skipif(not has_full(), reason=f"{MISSING} bubblewrap")),
]


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    for program in ("redis-server", "redis-cli", "psql"):
        if not shutil.which(program):
            pytest.skip(f"{MISSING} {program}")
    return Repository(tmp_path)


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_boxes_get_clean_databases_whatever_the_others_leave(repository: Repository, sandbox: str) -> None:
    both = 'needs = ["postgres", "redis"]'
    for number in (1, 2):
        repository.box(number, LEAVES, block=both)
    repository.box(3, FINDS_NOTHING, block=both)
    repository.box(4, FINDS_NOTHING, tier=2, block=both)
    events = repository.events("-j", "3", "--sandbox", sandbox)
    told = {
        event.box.number: (str(event.verdict), event.reason, event.output, event.leaked)
        for event in of("BoxFinished", events)
    }
    assert {number: what[0] for number, what in told.items()} == dict.fromkeys(range(1, 5), "passed"), told


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_box_hurts_its_own_service_and_no_other(repository: Repository, sandbox: str) -> None:
    repository.box(1, CACHELESS, block='needs = ["redis"]')
    repository.box(2, WITHOUT_CURL, block='needs = ["redis"]')
    repository.write("boxes/tier-1/3_twin.py", f'# /// box\n# needs = ["redis"]\n# ///\n{TWIN}')
    events = repository.events("-j", "2", "--sandbox", sandbox)
    told = {event.box.number: (str(event.verdict), event.output) for event in of("BoxFinished", events)}
    assert {number: what[0] for number, what in told.items()} == dict.fromkeys((1, 2, 3), "passed"), told


def test_a_fault_that_cannot_be_is_a_red_assertion(repository: Repository) -> None:
    repository.box(1, '. "$BOX_LIB"; fault redis sideways; fault kafka down', block='needs = ["redis"]')
    repository.box(2, '. "$BOX_LIB"; fault redis down')
    first, second = sorted(of("BoxFinished", repository.events()), key=lambda event: event.box.number)
    assert {failure.id: failure.message.partition(" (")[0] for failure in first.failures} == {
        "fault redis": "sideways is not in force: 'sideways' is no fault",
        "fault kafka": "down is not in force: this box has no service 'kafka'",
    }
    assert [failure.message for failure in second.failures] == [
        "the box declares no needs, so there is nothing to hurt"
    ]


def test_what_is_not_installed_is_told_with_the_way_to_get_it(repository: Repository) -> None:
    repository.box(1, "true", block='needs = ["postgres:9"]')
    (event,) = of("BoxFinished", repository.events())
    assert event.verdict == "errored"
    assert event.reason.startswith("needs postgres:9, and here is postgres ")


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_killed_runner_leaves_no_server_and_no_file(repository: Repository, sandbox: str, tmp_path: Path) -> None:
    # One that all users can pass through, so that the servers' files are here too.
    temporary = Path(tempfile.mkdtemp(prefix="killed-"))
    temporary.chmod(0o711)
    repository.box(1, "echo up; sleep 600", block='needs = ["postgres", "redis"]')
    process = repository.start("run", "--sandbox", sandbox, "--logs", str(tmp_path / "logs"), TMPDIR=str(temporary))
    log = tmp_path / "logs" / "1.1.log"
    wait_until(lambda: log.exists() and "up" in log.read_text())
    servers = [pid for pid in offspring(process.pid) if "postgres" in command(pid) or "redis" in command(pid)]
    assert servers
    assert [path.name for path in temporary.glob("interlock-services-*/*") if "postgres" in path.name]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not any(alive(pid) for pid in servers))
    wait_until(lambda: not list(temporary.iterdir()))
    temporary.rmdir()


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(health=Reply('{"ok": true}', headers={"Content-Type": "application/json"})) as web:
        yield web


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_an_http_box_reaches_its_target_and_nothing_else_does(repository: Repository, web: Web, sandbox: str) -> None:
    repository.write(
        ".github/interlock.yml",
        """\
        boxes:
          1: {tier: 1, http: {get: "${TARGET_URL}/health", json: {ok: true}}}
          2: {tier: 1, run: "curl -sf $TARGET_URL/health"}
        """,
    )
    verdicts = repository.verdicts("--sandbox", sandbox, TARGET_URL=web.url)
    assert verdicts == {1: "passed", 2: "passed" if sandbox == "off" else "failed"}


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_controls_of_services_and_targets_are_proven(repository: Repository, web: Web, sandbox: str) -> None:
    repository.write(
        ".github/interlock.yml",
        f"""\
        boxes:
          1: {{tier: 1, http: {{get: "${{TARGET_URL}}/health"}}, control: {{target: {{is: 503}}, expect: status}}}}
          2: {{tier: 1, http: {{get: "{web.url}/health", json: {{ok: true}}}},
              control: {{target: {{is: wrong-body}}, expect: json ok}}}}
          3: {{tier: 1, http: {{get: "{web.url}/health"}}, control: {{target: {{is: down}}, expect: answers}}}}
          4: {{tier: 1, http: {{get: "{web.url}/health", within: 900ms}},
              control: {{target: {{is: slow 1s}}, expect: within}}}}
        """,
    )
    asks = '. "$BOX_LIB"; is answers "$(timeout 1 redis-cli -h $REDIS_HOST -p $REDIS_PORT ping)" PONG'
    for number, fault in enumerate(("down", "paused", "killed", "blackhole"), start=5):
        block = f'needs = ["redis"]\n[control]\nfault = {{is = "{fault}"}}\nexpect = "answers"'
        repository.box(number, asks, block=block)
    query = '. "$BOX_LIB"; is answers "$(psql -Atc "SELECT 1")" 1'
    block = 'needs = ["postgres"]\n[control]\nfault = {service = "postgres", is = "killed"}\nexpect = "answers"'
    repository.box(9, query, block=block)
    ended = repository.runner("falsify", "--sandbox", sandbox, "--strict", "-j", "2", TARGET_URL=web.url)
    assert ended.code == 0, ended.out + ended.err
    assert "9 boxes, 9 proved capable of failing" in ended.out


def wait_until(holds: object) -> None:
    assert callable(holds)
    until = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < until
        os.sched_yield()


def offspring(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except OSError:
        return []
    return [*children, *(inner for child in children for inner in offspring(child))]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
