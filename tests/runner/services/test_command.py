"""`runner services`, as a person starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.runner.command_line import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


@pytest.mark.usefixtures("redis")
def test_list_says_what_is_here_and_how_to_get_the_rest(repository: Repository) -> None:
    ended = repository.runner("services", "list")
    assert ended.code == 0
    assert any(line.startswith(("✓ redis", "+ redis")) for line in ended.out.splitlines())
    bare = json.loads(repository.runner("services", "list", "--json", PATH="").out)
    assert bare["schema"] == "runner.services/1"
    assert {entry["name"]: entry["hint"].split()[0] for entry in bare["services"]} == {
        "postgres": "apt",
        "redis": "apt",
    }


@pytest.mark.usefixtures("redis", "postgres")
def test_up_leads_to_servers_that_end_with_it(repository: Repository) -> None:
    process = repository.start("services", "up", "--json")
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    with psycopg.connect(said["env"]["DATABASE_URL"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.decode()) == (0, "postgres and redis are up; Ctrl-C ends them\n")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(said["env"]["DATABASE_URL"])


@pytest.mark.usefixtures("redis")
def test_its_lines_are_for_a_shell(repository: Repository) -> None:
    process = repository.start("services", "up", "redis")
    assert process.stdout is not None
    lines = [process.stdout.readline().decode() for _ in range(4)]
    shell = subprocess.run(
        ["sh"], input="".join(lines) + 'echo "$REDIS_URL"', capture_output=True, text=True, check=True
    )
    assert urlsplit(shell.stdout.strip()).hostname == "127.0.0.1"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


@pytest.mark.usefixtures("redis", "postgres")
def test_nothing_is_left_when_it_is_killed(repository: Repository) -> None:
    temporary = Path(tempfile.mkdtemp(prefix="killed-"))
    temporary.chmod(0o711)
    process = repository.start("services", "up", "--json", TMPDIR=str(temporary))
    assert process.stdout is not None
    process.stdout.readline()
    servers = offspring(process.pid)
    assert len(servers) > 4
    process.kill()
    process.wait()
    until = time.monotonic() + 30
    while alive := [pid for pid in servers if is_alive(pid)]:
        assert time.monotonic() < until, alive
        os.sched_yield()
    process.communicate()
    while list(temporary.iterdir()):
        assert time.monotonic() < until
        os.sched_yield()
    temporary.rmdir()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param([], "services needs a word: list or up", id="no-word"),
        pytest.param(["lst"], "services knows no 'lst' (did you mean list?)", id="a-slip"),
        pytest.param(["list", "redis"], "services list takes no 'redis'", id="too-much"),
    ],
)
def test_what_it_does_not_understand_is_told(repository: Repository, words: list[str], says: str) -> None:
    ended = repository.runner("services", *words)
    assert (ended.code, says in ended.err) == (2, True)


def test_a_service_that_is_none_is_told(repository: Repository) -> None:
    ended = repository.runner("services", "up", "kafka")
    assert ended.code == 1
    assert ended.err == "runner: needs kafka, which is no service (there are postgres, redis)\n"


def offspring(pid: int) -> list[int]:
    children = [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]
    return [*children, *(inner for child in children for inner in offspring(child))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
