from __future__ import annotations

import _thread
import os
import select
from pathlib import Path

import pytest

from runner.sandbox.grace import Grace

PATIENCE_MS = 20_000


def said(fd: int) -> bytes:
    """The next thing that is written into a pipe; nothing when nobody writes any more."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(PATIENCE_MS), "nobody wrote, and nobody hung up"
    return os.read(fd, 4096)


@pytest.fixture
def pipe(tmp_path: Path) -> str:
    """Stands in for the file of a group: what is written into it can be seen."""
    os.mkfifo(tmp_path / "group")
    return str(tmp_path / "group")


def test_the_group_is_entered_again_each_time_that_somebody_asks_and_until_it_is_closed(pipe: str) -> None:
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # Without it nobody could open it for writing.
    grace = Grace(pipe)
    try:
        for _ in range(3):
            grace.begin()
            assert set(said(reader)) == set(b"0")
        grace.close()
        while said(reader):
            continue
    finally:
        grace.close()
        os.close(reader)


def test_one_time_is_not_enough_for_a_sandbox_that_takes_longer(pipe: str) -> None:
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    grace = Grace(pipe)
    try:
        grace.begin()
        first, second = said(reader), said(reader)
        assert first
        assert second
    finally:
        grace.close()
        os.close(reader)


@pytest.mark.parametrize("own", ["", "/nonsense/cgroup.procs", "/dev/full"], ids=["none", "gone", "refused"])
def test_without_a_group_that_we_may_enter_nothing_happens(own: str) -> None:
    before = _thread._count()
    grace = Grace(own)
    grace.begin()
    while own and _thread._count() > before:  # It gives up, without a word.
        os.sched_yield()
    grace.begin()
    grace.close()
    assert _thread._count() == before


def test_nothing_is_started_before_somebody_asks(pipe: str) -> None:
    before = _thread._count()
    Grace(pipe).close()
    assert _thread._count() == before
