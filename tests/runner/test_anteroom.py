"""Jobs that need something from outside: they wait for it, without using up their own time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import time
from typing import Any

import pytest

from runner.attendant import Provision, Wish
from runner.execute import anteroom
from runner.execute.process import ProcessExecutor
from runner.executor import Finished, Job
from runner.model import Attempt
from tests.runner.boxes import box


class Script:
    """An attendant in this process: answers what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.pid = -1
        self.asked: list[Wish] = []
        self.released: list[str] = []
        self.closed = False
        self._answers: dict[str, Provision] = {}
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)

    def fileno(self) -> int:
        return self._reading if self.asked else -1

    def ask(self, wish: Wish) -> None:
        self.asked.append(wish)

    def answer(self, provision: Provision) -> None:
        self._answers[self.asked[-1].id] = provision
        os.write(self._writing, b"\n")

    def answers(self) -> dict[str, Provision]:
        os.read(self._reading, 100)
        found, self._answers = self._answers, {}
        return found

    def release(self, id: str) -> Sequence[str]:  # noqa: A002 - as the protocol.
        self.released.append(id)
        return ["example.org:443 (no rule allows it)"]

    def close(self) -> None:
        self.closed = True
        os.close(self._reading)
        os.close(self._writing)


class Room:
    def __init__(self, tmp_path: Path) -> None:
        (tmp_path / "scratch").mkdir()
        self.tree = tmp_path
        self.script = Script()
        self.executor = ProcessExecutor(
            run_id="r", scratch=str(tmp_path / "scratch"), base_env={"PATH": os.defpath}, attendant=self.script
        )

    def start(self, run: str, **keys: Any) -> Job:
        job = Job(box=box(1, kind="command", run=run, needs=["redis"], **keys), root=str(self.tree))
        self.executor.start(job)
        return job

    def end(self) -> Attempt:
        return self.finished(1).attempt

    def finished(self, count: int) -> Finished:
        """The last of so many jobs that end."""
        ended: list[Finished] = []
        while len(ended) < count:
            ended += [thing for thing in self.executor.wait(None) if isinstance(thing, Finished)]
        return ended[-1]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    room = Room(tmp_path)
    yield room
    room.executor.close()
    assert room.script.closed


def test_a_job_is_started_when_it_was_given_what_it_needs(room: Room) -> None:
    room.start('[ "$REDIS_URL" = here ]')
    assert room.executor.wait(0) == []
    room.script.answer(Provision(env={"REDIS_URL": "here"}))
    assert str(room.end().outcome) == "passed"
    assert [wish.needs for wish in room.script.asked] == [("redis",)]


def test_its_own_time_begins_when_it_is_started(room: Room) -> None:
    room.start("exit 0", timeout=0.0, slow=0.0)
    assert room.executor.wait(0) == [], "neither slow nor out of time while it waits"
    room.executor.cancel()
    room.start("exit 0")
    answered = time()
    room.script.answer(Provision())
    finished = room.finished(2)
    assert finished.started >= answered


def test_what_cannot_be_given_is_the_jobs_end(room: Room) -> None:
    room.start("exit 0")
    room.script.answer(Provision(problem="there is no redis-server"))
    attempt = room.end()
    assert (str(attempt.outcome), attempt.reason, attempt.exit_code) == ("errored", "there is no redis-server", None)
    assert room.script.released == [room.script.asked[0].id]


def test_what_is_not_ready_in_time_is_the_jobs_end(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anteroom, "PATIENCE", 0.05)
    room.start("exit 0")
    attempt = room.end()
    assert (str(attempt.outcome), attempt.reason) == ("errored", "what it needs was not ready within 0.05 s")
    room.script.answer(Provision())  # too late; nobody waits for it.
    assert room.executor.wait(0) == []


def test_a_job_that_waits_can_be_cancelled(room: Room) -> None:
    job = room.start("exit 0")
    room.executor.cancel(job)
    attempt = room.end()
    assert (str(attempt.outcome), attempt.reason) == ("cancelled", "cancelled before it started")
    assert room.script.released == [room.script.asked[0].id]


def test_what_it_was_refused_is_told(room: Room) -> None:
    room.start("exit 1")
    room.script.answer(Provision())
    assert room.end().refused == ("example.org:443 (no rule allows it)",)
    assert room.script.released == [room.script.asked[0].id]


def test_a_job_without_a_wish_asks_nobody(room: Room) -> None:
    room.executor.start(Job(box=box(1, kind="command", run="exit 0"), root=str(room.tree)))
    assert str(room.end().outcome) == "passed"
    assert (room.script.asked, room.script.released) == ([], [])


def test_a_job_whose_needs_nobody_gives_is_errored(tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    executor = ProcessExecutor(run_id="r", scratch=str(tmp_path / "scratch"), base_env={"PATH": os.defpath})
    executor.start(Job(box=box(1, kind="command", run="exit 0", needs=["redis"]), root=str(tmp_path)))
    (finished,) = executor.wait(None)
    assert isinstance(finished, Finished)
    assert finished.attempt.reason == "it needs redis, which nothing here can give"
    executor.close()
