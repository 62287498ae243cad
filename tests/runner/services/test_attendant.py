from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.attendant import Provision, Wish
from runner.execute.tree import Trees, probe
from runner.services.attendant import Attendant
from runner.services.client import ENDED, MOST_REFUSALS, Client
from runner.services.ground import CannotProvide, Ground, Provided

if TYPE_CHECKING:
    from collections.abc import Iterator

MS = 20_000


class Asked:
    """A client of a real attendant, waited for as the executor does."""

    def __init__(self, tmp_path: Path) -> None:
        (tmp_path / "scratch").mkdir()
        self.sockets = tmp_path / "sockets"
        self.sockets.mkdir()
        self.client = Client(environ={**os.environ, "TMPDIR": str(tmp_path / "scratch")})

    def wish(self, name: str, *hosts: str) -> Wish:
        directory = self.sockets / name
        directory.mkdir(exist_ok=True)
        return Wish(id=name, directory=str(directory), hosts=hosts or ["files.example"], unix=True)

    def answers(self, *names: str) -> dict[str, Provision]:
        poll = select.poll()
        poll.register(self.client.fileno(), select.POLLIN)
        found: dict[str, Provision] = {}
        while not found.keys() >= set(names):
            assert poll.poll(MS), "no answer came"
            found.update(self.client.answers())
        return found

    def get(self, name: str, *hosts: str) -> Provision:
        self.client.ask(self.wish(name, *hosts))
        return self.answers(name)[name]

    def connect(self, name: str, end: str) -> bytes:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.sockets / name / "egress"))
            client.sendall(f"CONNECT {end} HTTP/1.1\r\n\r\n".encode())
            return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path)
    yield asked
    asked.client.close()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def await_end(pid: int) -> None:
    """Until a process that may not be our child has ended."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ended = poll.poll(MS)
    os.close(fd)
    assert ended, f"{pid} is still alive"


def test_nothing_is_started_before_the_first_wish(asked: Asked) -> None:
    assert (asked.client.pid, asked.client.fileno()) == (-1, -1)
    assert list(asked.client.release("x")) == []
    assert asked.client._directory == ""
    asked.client.close()


def test_jobs_get_what_they_wish_and_what_each_was_refused_is_told_once(asked: Asked) -> None:
    asked.client.ask(asked.wish("a", "files.example"))
    asked.client.ask(asked.wish("b", "other.example"))
    given = asked.answers("a", "b")
    assert [provision.problem for provision in given.values()] == ["", ""]

    asked.connect("a", "evil.example:443")
    asked.connect("a", "evil.example:443")
    asked.connect("b", "files.example:443")

    assert list(asked.client.release("a")) == ["evil.example:443 (not in the rules: files.example:443)"]
    assert list(asked.client.release("b")) == ["files.example:443 (not in the rules: other.example:443)"]
    assert list(asked.client.release("a")) == []


def test_what_a_job_was_given_is_gone_when_it_is_released(asked: Asked) -> None:
    asked.get("a")
    with socket.socket(socket.AF_UNIX) as held:
        held.connect(str(asked.sockets / "a" / "egress"))
        asked.client.release("a")
        held.settimeout(MS / 1000)
        assert held.recv(1) == b""
    asked.get("b")  # answered after the release was carried out
    with socket.socket(socket.AF_UNIX) as late, pytest.raises(ConnectionRefusedError):
        late.connect(str(asked.sockets / "a" / "egress"))


def test_a_job_that_is_refused_without_end_is_told_of_the_first(asked: Asked) -> None:
    asked.get("a")
    for number in range(MOST_REFUSALS + 10):
        asked.connect("a", f"evil-{number}.example:443")
    told = asked.client.release("a")
    assert [what.split(":")[0] for what in told] == [f"evil-{number}.example" for number in range(MOST_REFUSALS)]


def test_a_wish_that_cannot_be_read_is_a_problem_of_that_job_alone(asked: Asked) -> None:
    assert "its host is no host's name" in asked.get("a", "no/host:443").problem
    assert asked.get("b").problem == ""


def test_many_wishes_at_once_are_all_answered_and_asking_never_waits(asked: Asked) -> None:
    names = [f"job-{number}" for number in range(300)]
    wide = [f"host-{number}.example:443" for number in range(100)]  # far more than a pipe holds, together
    for name in names:
        asked.client.ask(asked.wish(name, *wide))
    given = asked.answers(*names)
    assert all(not given[name].problem for name in names)


def test_an_attendant_that_dies_is_a_problem_of_whoever_waits_and_the_next_wish_gets_another(asked: Asked) -> None:
    assert asked.get("a").problem == ""
    fileno = asked.client.fileno()
    os.kill(asked.client.pid, signal.SIGSTOP)
    asked.client.ask(asked.wish("b"))
    os.kill(asked.client.pid, signal.SIGKILL)

    assert ENDED in asked.answers("b")["b"].problem
    assert list(asked.client.release("a")) == [ENDED]
    assert asked.get("c").problem == ""
    assert asked.client.fileno() == fileno


def test_an_attendant_that_is_asked_to_end_is_replaced_as_well(asked: Asked) -> None:
    asked.get("a")
    os.kill(asked.client.pid, signal.SIGTERM)
    await_end(asked.client.pid)
    asked.client.ask(asked.wish("b"))
    assert ENDED in asked.answers("b")["b"].problem
    assert asked.get("c").problem == ""


def test_an_attendant_that_cannot_be_started_is_a_problem_that_is_announced(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    asked.client.ask(asked.wish("a"))
    asked.client.ask(asked.wish("b"))
    assert {provision.problem for provision in asked.answers("a", "b").values()} == {
        "nothing can be given to boxes: No such file or directory"
    }
    monkeypatch.undo()
    assert asked.get("c").problem == ""


def test_a_traceback_is_named_in_the_problem(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.services.client._PROGRAM", "raise SystemExit('the moon is full')")
    assert asked.get("a").problem == f"{ENDED}: the moon is full"


def test_closing_ends_the_process_and_removes_its_files(asked: Asked) -> None:
    asked.get("a")
    pid = asked.client.pid
    directory = Path(asked.client._directory)
    assert directory.is_dir()
    asked.client.close()
    assert not is_alive(pid)
    assert not directory.exists()
    asked.client.close()  # again does nothing


def test_an_attendant_that_does_not_end_is_ended(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    asked.get("a")
    pid = asked.client.pid
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr("runner.services.client.PATIENCE", 0.05)
    asked.client.close()
    assert not is_alive(pid)


RUNNER = """
import os, select, signal, sys
from runner.attendant import Wish
from runner.services.client import Client
client = Client(environ=os.environ)
client.ask(Wish(id="a", directory=sys.argv[1], hosts=["files.example"], unix=True))
poll = select.poll()
poll.register(client.fileno(), select.POLLIN)
poll.poll()
held = os.fork()  # somebody else who holds our end of the pipes
if not held:
    signal.pause()
print(client.pid, held, flush=True)
signal.pause()
"""


def test_the_attendant_ends_with_a_runner_that_was_killed(tmp_path: Path) -> None:
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), "TMPDIR": str(tmp_path)},
    )
    assert runner.stdout
    attendant, holder = map(int, runner.stdout.readline().split())
    try:
        runner.kill()
        runner.wait()
        await_end(attendant)
        assert not list(tmp_path.glob("interlock-services-*"))
    finally:
        os.kill(holder, signal.SIGKILL)
        runner.stdout.close()


def test_the_attendant_is_nobodys_orphan(asked: Asked) -> None:
    trees = Trees(probe())
    trees.prepare()
    main = subprocess.Popen(["/bin/true"], start_new_session=True)
    trees.add(main.pid, "BOX_TMP=/x")
    asked.get("a")
    trees.spare(asked.client.pid)
    main.wait()
    assert trees.end_leftovers(main.pid) == []
    trees.forget(main.pid)
    trees.release()
    assert is_alive(asked.client.pid)


class Giver:
    """Gives what it is told to, and keeps who was released."""

    def __init__(self, given: Provided | Exception) -> None:
        self.released: list[str] = []
        self._given = given

    async def provide(self, wish: Wish, ground: Ground) -> Provided:  # noqa: ARG002 - as Giver.
        if isinstance(self._given, Exception):
            raise self._given
        return self._given

    async def release(self, id: str) -> None:  # noqa: A002 - as Wish.
        self.released.append(id)

    async def close(self) -> None:
        self.released.append("all")


async def carried_out(*givers: Giver) -> dict[str, object]:
    answers: list[dict[str, object]] = []
    ground = Ground(directory="/", environ={}, search=(), refuse=lambda *_: None)
    attendant = Attendant(givers, ground, answers.append)
    attendant.order(json.loads('{"ask": {"id": "a", "directory": "/"}}'))
    await attendant._asks["a"]
    await attendant.close()
    (answer,) = answers
    return answer


async def test_a_job_gets_what_all_givers_give_together() -> None:
    one, two = Giver(Provided(env={"A": "1"}, sockets={1: "/1"})), Giver(Provided(env={"B": "2"}, sockets={2: "/2"}))
    assert await carried_out(one, two) == {
        "answer": "a",
        "env": {"A": "1", "B": "2"},
        "sockets": {1: "/1", 2: "/2"},
        "problem": "",
    }
    assert one.released == two.released == ["all"]


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        (CannotProvide("there is no postgres here"), "there is no postgres here"),
        (OSError(28, "No space left on device"), "what it needs could not be started: [Errno 28]"),
        (KeyError("port"), "what it needs could not be started: KeyError"),
    ],
)
async def test_what_one_giver_cannot_give_is_the_jobs_problem_and_the_rest_is_taken_back(
    failure: Exception, problem: str
) -> None:
    one, two = Giver(Provided(env={"A": "1"})), Giver(failure)
    answer = await carried_out(one, two)
    assert str(answer["problem"]).startswith(problem)
    assert one.released == two.released == ["a", "all"]
