"""Processes that stay: started once however often, known again by whoever comes, ended with all that they left."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bot.deploy import launcher, printed
from bot.deploy.locking import held
from bot.deploy.printed import Printed
from bot.deploy.residents import Life, Resident, Wanted
from bot.deploy.target import TargetUnreachable

SLEEP = ("/bin/sh", "-c", "echo began; exec sleep 600")


def wanted(directory: Path, *argv: str) -> Wanted:
    return Wanted(argv=argv or SLEEP, directory=directory)


async def started(directory: Path, nonce: str = "n1", *argv: str) -> Resident:
    resident = Resident(directory / "resident")
    await resident.start(wanted(directory, *argv), nonce=nonce, intent={"release": "r1"})
    return resident


async def test_it_is_known_again_by_whoever_comes_later(tmp_path: Path) -> None:
    first = await started(tmp_path)
    later = Resident(tmp_path / "resident")
    assert later.look() == first.look() == Life("n1", later.look().pid, alive=True)
    assert later.intent == {"release": "r1", "nonce": "n1"}
    await later.stop(1)
    assert not first.look().alive


async def test_it_has_no_parent_that_could_take_it_along(tmp_path: Path) -> None:
    resident = await started(tmp_path)
    stat = Path(f"/proc/{resident.look().pid}/stat").read_text().rpartition(")")[2].split()
    assert int(stat[1]) != os.getpid()
    assert int(stat[3]) == resident.look().pid, "a session of its own"
    await resident.stop(1)


async def test_the_environment_of_whoever_starts_it_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INTERLOCK_GITHUB_PRIVATE_KEY", "secret")
    resident = await started(tmp_path, "n1", "/bin/sh", "-c", "exec sleep 600")
    environ = Path(f"/proc/{resident.look().pid}/environ").read_bytes()
    assert b"secret" not in environ
    await resident.stop(1)


@pytest.mark.deployment(11)
async def test_a_start_that_was_cut_off_before_its_process_said_who_it_is_is_waited_for(tmp_path: Path) -> None:
    # Its starter is dead; its process, still on its way, holds the lock that its starter held.
    directory = tmp_path / "resident"
    directory.mkdir()
    slow = (
        "import json, os, sys, time; time.sleep(1); sys.argv = ['launcher']; "
        f"sys.path.insert(0, {str(Path(launcher.__file__).parent)!r}); import launcher; launcher.main()"
    )
    async with held(directory / "start.lock", 1) as lock:
        spec = {
            "argv": list(SLEEP),
            "said": "",
            "directory": str(tmp_path),
            "files": 0,
            "note": str(directory / "process.json"),
            "nonce": "n1",
            "lock": lock,
        }
        process = subprocess.Popen(  # noqa: ASYNC220 - it is to begin while we hold the lock.
            [sys.executable, "-I", "-S", "-c", slow], stdin=subprocess.PIPE, pass_fds=(lock,), text=True
        )
        assert process.stdin
        process.stdin.write(json.dumps(spec))
        process.stdin.close()
    resident = Resident(directory)
    assert resident.look() == Life()
    assert not await resident.start(wanted(tmp_path), nonce="n1", intent={}), "it was started by the one before"
    assert resident.look().alive
    process.wait()
    await resident.stop(1)


async def test_what_has_ended_is_started_again_and_not_taken_for_the_one_before(tmp_path: Path) -> None:
    resident = await started(tmp_path)
    for _ in range(5):
        before = resident.look().pid
        await resident.stop(1)
        assert await resident.start(wanted(tmp_path), nonce="n1", intent={})
        assert resident.look().alive
        assert resident.look().pid != before
    await resident.stop(1)


async def test_a_start_of_another_nonce_takes_the_place_of_what_has_ended(tmp_path: Path) -> None:
    resident = await started(tmp_path)
    await resident.stop(1)
    assert resident.look() == Life("n1", resident.look().pid, alive=False)
    assert await resident.start(wanted(tmp_path), nonce="n2", intent={})
    assert resident.look().nonce == "n2"
    await resident.stop(1)


async def test_a_number_that_another_process_has_now_is_not_taken_for_it(tmp_path: Path) -> None:
    resident = await started(tmp_path)
    await resident.stop(1)
    note = tmp_path / "resident" / "process.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "pid": os.getpid()}))
    assert not resident.look().alive
    await resident.stop(0.1)
    assert os.getpid(), "we were not ended in its place"


async def test_what_cannot_be_executed_says_so_in_its_log(tmp_path: Path) -> None:
    resident = await started(tmp_path, "n1", "/nowhere/at/all")
    async with asyncio.timeout(5):
        while resident.look().alive:
            await asyncio.sleep(0.01)
    assert resident.printed.tail(1) == "/nowhere/at/all: No such file or directory"


@pytest.mark.parametrize(
    "note", ["", "{", "[]", '{"nonce": 1}', '{"nonce": "n", "pid": 1, "birth": ""}', '{"pid": "x"}']
)
def test_a_note_that_nobody_wrote_is_nobodys(tmp_path: Path, note: str) -> None:
    (tmp_path / "process.json").write_text(note)
    assert Resident(tmp_path).look() == Life()


async def test_without_proc_it_is_known_by_ps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resident = await started(tmp_path)
    pid = resident.look().pid
    assert launcher._birth_by_ps(pid)
    assert launcher._birth_by_ps(pid) == launcher._birth_by_ps(pid)
    await resident.stop(1)
    assert launcher._birth_by_ps(pid) == ""


async def test_a_lock_that_somebody_keeps_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    async with held(tmp_path / "place" / "some.lock", 1):
        with pytest.raises(TargetUnreachable, match=r"some\.lock of place is held by another process"):
            async with held(tmp_path / "place" / "some.lock", 0.05):
                pass


def test_a_log_is_cut_under_the_hands_of_whoever_appends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printed, "MOST", 1000)
    log = Printed(tmp_path / "output.log")
    with log.open() as stream:
        for number in range(200):
            stream.write(f"line {number}\n".encode())
        log.trim()
        stream.write(b"after\n")
    assert log.tail(5) == "after"
    assert (tmp_path / "output.log").stat().st_size < 1000
    assert (tmp_path / "output.log.1").read_bytes().endswith(b"line 199\n")
    assert (tmp_path / "output.log.1").stat().st_size == 1000


def test_the_tail_of_no_log_is_empty(tmp_path: Path) -> None:
    assert Printed(tmp_path / "output.log").tail(5) == ""


async def test_a_process_that_is_stopped_by_a_signal_can_still_be_ended(tmp_path: Path) -> None:
    resident = await started(tmp_path)
    os.kill(resident.look().pid, signal.SIGSTOP)
    await resident.stop(0.05)
    assert not resident.look().alive
