"""What holds when the runner itself goes wrong: killed, stopped, or short of what it needs."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.clock import steady
from runner.execute.table import processes, with_descendants
from runner.history import History
from runner.isolation import Level
from runner.sandbox.probe import rungs
from tests.conftest import MISSING
from tests.runner.command_line import Repository, of
from tests.runner.test_process import is_alive

if TYPE_CHECKING:
    import subprocess

SHAPES = {
    "background": "{stay} &",
    "background-closed": "{stay} >/dev/null 2>&1 &",
    "own-session": "setsid {stay} >/dev/null 2>&1 &",
    "double-fork": "(setsid sh -c '{stay} & exit 0' >/dev/null 2>&1 &)",
    "no-environment": "env -i PATH=$PATH setsid {stay} >/dev/null 2>&1 &",
    "double-fork-and-no-environment": "(env -i PATH=$PATH setsid sh -c '{stay} & exit 0' >/dev/null 2>&1 &)",
    "deaf": '(trap "" HUP INT TERM; exec {stay}) &',
}


needs_a_sandbox = pytest.mark.skipif(
    not any(rung.level is Level.BUBBLEWRAP and rung.works for rung in rungs(os.environ)),
    reason=f"{MISSING} bubblewrap that works here",
)


class Supervised:
    """A repository whose first box leaves something of every shape running and then waits."""

    def __init__(self, tmp_path: Path) -> None:
        self.repository = Repository(tmp_path)
        self.pids = tmp_path / "pids"
        self.pids.mkdir()
        os.mkfifo(tmp_path / "ready")
        self.ready = tmp_path / "ready"
        self.scratch = tmp_path / "scratch"
        self.scratch.mkdir()

    def box(self, number: int, *shapes: str, then: str = "exec sleep 98") -> None:
        """A box that starts these, tells when all of them are there, and goes on with `then`."""
        stay = self.repository.write(
            "stay", f"#!/bin/sh\necho $$ >{self.pids}/.$1 && mv {self.pids}/.$1 {self.pids}/$1\nexec sleep 99\n"
        )
        lines = [SHAPES[shape].format(stay=f"{stay} {number}-{shape}") for shape in shapes]
        lines += [f"until test -e {self.pids}/{number}-{shape}; do sleep 0.01; done" for shape in shapes]
        self.repository.box(number, "\n".join([*lines, f"echo >{self.ready}", then]))

    def start(self, *words: str, boxes: int = 1, **env: str) -> subprocess.Popen[bytes]:
        """Start a run and wait until that many boxes are ready."""
        process = self.repository.start("run", *words, TMPDIR=str(self.scratch), **env)
        with self.ready.open("r+b", 0) as ready:  # both ways: no end of file between two boxes
            told = 0
            while told < boxes:
                told += len(ready.read(boxes))
        return process

    def left(self) -> dict[str, int]:
        """What was started, by box and shape."""
        return {path.name: int(path.read_text()) for path in self.pids.iterdir()}


def await_end(pid: int) -> None:
    """Return when a process that is not our child is gone."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([fd], [], [], 30)[0], f"{pid} lives on"
    finally:
        os.close(fd)


def guards_of(runner: int) -> list[int]:
    """Not read from its list of children: while one of them ends, the kernel may leave another one out.

    Looked for more than once: on a machine where processes come and go, one look at all of them may miss one.
    """
    for _ in range(20):
        children = [process.pid for process in processes().values() if process.parent == runner]
        if found := [pid for pid in children if _command(pid).startswith(b"runner: guard")]:
            return found
        select.select([], [], [], 0.02)
    return []


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def guards_of_a_started_run(process: subprocess.Popen[bytes], log: Path) -> list[int]:
    """The guard, once the box has written to its log."""
    while not log.exists() and process.poll() is None:
        select.select([], [], [], 0.02)
    return guards_of(process.pid)


def sleeps(pid: int, seconds: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[:2] == [b"sleep", str(seconds).encode()]


@pytest.fixture
def supervised(tmp_path: Path) -> Supervised:
    return Supervised(tmp_path)


class TestTheRunnerIsKilled:
    def test_nothing_is_left_alive_and_nothing_on_disk_whatever_its_shape(self, supervised: Supervised) -> None:
        supervised.box(1, *SHAPES)
        process = supervised.start()
        (guard,) = guards_of(process.pid)
        left = supervised.left()
        assert left.keys() == {f"1-{shape}" for shape in SHAPES}
        assert all(map(is_alive, left.values()))

        process.kill()
        process.communicate()
        await_end(guard)

        assert {name: pid for name, pid in left.items() if is_alive(pid)} == {}
        assert list(supervised.scratch.iterdir()) == []

    def test_a_run_that_still_writes_its_first_lines_is_cleared_up_too(self, supervised: Supervised) -> None:
        supervised.box(1)
        process = supervised.repository.start("run", TMPDIR=str(supervised.scratch))
        assert process.stdout is not None
        first_line = process.stdout.readline()
        guards = guards_of(process.pid)
        process.kill()
        _, said = process.communicate()
        for guard in guards:
            await_end(guard)

        assert first_line, said
        assert len(guards) == 1
        assert list(supervised.scratch.iterdir()) == []

    def test_boxes_that_run_at_the_same_time_are_all_ended(self, supervised: Supervised) -> None:
        for number in (1, 2, 3):
            supervised.box(number, "double-fork-and-no-environment", "background")
        process = supervised.start("-j", "3", boxes=3)
        (guard,) = guards_of(process.pid)
        left = supervised.left()
        assert len(left) == 6
        process.kill()
        process.communicate()
        await_end(guard)

        assert [name for name, pid in left.items() if is_alive(pid)] == []

    def test_a_setup_is_ended_as_a_box_is(self, supervised: Supervised, tmp_path: Path) -> None:
        supervised.box(1)
        go = f"setsid sleep 99 >/dev/null 2>&1 & echo $! >{tmp_path}/pid; echo >{supervised.ready}; exec sleep 98"
        supervised.repository.write(".github/interlock.yml", f"setup:\n  run: '{go}'\n")
        process = supervised.start()
        (guard,) = guards_of(process.pid)
        process.kill()
        process.communicate()
        await_end(guard)

        assert not is_alive(int((tmp_path / "pid").read_text()))

    def test_somebody_elses_processes_are_left_alone(self, supervised: Supervised) -> None:
        other = os.posix_spawn("/bin/sleep", ["sleep", "99"], {**os.environ, "BOX_RUN_ID": "mine"})
        try:
            supervised.box(1, "background")
            process = supervised.start("--run-id", "mine")
            (guard,) = guards_of(process.pid)
            process.kill()
            process.communicate()
            await_end(guard)
            assert is_alive(other)
        finally:
            os.kill(other, signal.SIGKILL)
            os.waitpid(other, 0)

    def test_without_pidfds_it_notices_by_its_pipe(self, supervised: Supervised) -> None:
        supervised.repository.without("pidfd", "subreaper")
        supervised.box(1, *SHAPES)
        process = supervised.start()
        (guard,) = guards_of(process.pid)
        left = supervised.left()
        process.kill()
        process.communicate()
        await_end(guard)

        assert [name for name, pid in left.items() if is_alive(pid)] == []

    def test_without_proc_the_process_groups_are_ended_and_no_more_is_promised(self, supervised: Supervised) -> None:
        supervised.repository.without("pidfd", "subreaper", "proc")
        supervised.box(1, *SHAPES)
        process = supervised.start()
        (guard,) = guards_of(process.pid)
        left = supervised.left()
        process.kill()
        process.communicate()
        await_end(guard)
        alive = {name.partition("-")[2] for name, pid in left.items() if is_alive(pid)}
        for pid in left.values():
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)

        assert alive == {"own-session", "double-fork", "no-environment", "double-fork-and-no-environment"}
        assert list(supervised.scratch.iterdir()) == []

    @needs_a_sandbox
    def test_in_a_sandbox_nothing_is_left_either(self, supervised: Supervised) -> None:
        shapes = "\n".join(text.format(stay="sleep 99") for text in SHAPES.values())
        supervised.repository.box(1, f"{shapes}\nwhile :; do echo up; sleep 0.05; done", block='timeout = "5m"')
        process = supervised.repository.start(
            "run", "--sandbox", "full", "--logs", str(supervised.pids), TMPDIR=str(supervised.scratch)
        )
        (guard,) = guards_of_a_started_run(process, supervised.pids / "1.1.log")
        below = with_descendants({process.pid}, processes())
        assert len(below) > len(SHAPES)
        process.kill()
        process.communicate()
        await_end(guard)

        assert [pid for pid in below if is_alive(pid)] == []
        assert list(supervised.scratch.iterdir()) == []
        assert str(supervised.scratch) not in Path("/proc/self/mounts").read_text()


class TestLeaks:
    """Each shape is named and ended, and turns no green box red."""

    @pytest.mark.parametrize(
        ("lacks", "words", "unseen"),
        [
            pytest.param((), ("--sandbox", "off"), set(), id="off"),
            pytest.param((), ("--sandbox", "full"), set(), id="full", marks=needs_a_sandbox),
            pytest.param(("pidfd",), (), set(), id="no-pidfd"),
            # Without a subreaper an orphan that has cleared its environment belongs to nobody that we know.
            pytest.param(("subreaper",), (), {"no-environment", "double-fork-and-no-environment"}, id="no-subreaper"),
            pytest.param(
                ("proc", "subreaper"),
                (),
                {"own-session", "double-fork", "no-environment", "double-fork-and-no-environment"},
                id="no-proc",
            ),
        ],
    )
    def test_each_is_seen_named_and_ended_as_far_as_the_machine_allows(  # clause P-14
        self, supervised: Supervised, lacks: tuple[str, ...], words: tuple[str, ...], unseen: set[str]
    ) -> None:
        supervised.repository.without(*lacks)
        seconds = 1000 + os.getpid() % 1000  # their name tells them from those of a test beside this one
        for number, text in enumerate(SHAPES.values(), 1):
            supervised.repository.box(number, f"{text.format(stay=f'sleep {seconds}')}\nsleep 0.3")
        try:
            events = supervised.repository.events("-j", "1", *words)
            left = [pid for pid in processes() if sleeps(pid, seconds)]
        finally:
            for pid in processes():
                if sleeps(pid, seconds):
                    os.kill(pid, signal.SIGKILL)

        finished = {event.box.number: event for event in of("BoxFinished", events)}
        assert {str(event.verdict) for event in finished.values()} == {"passed"}
        named = {shape for number, shape in enumerate(SHAPES, 1) if finished[number].leaked}
        assert set(SHAPES) - named == unseen
        assert len(left) == len(unseen)
        warned = [event.message for event in of("Warned", events)]
        assert len(warned) == len(named)
        assert all("left processes running, ended: " in message for message in warned)


class TestTheGuard:
    @pytest.mark.parametrize(
        ("signals", "code"),
        [
            pytest.param((), 0, id="by-itself"),
            pytest.param((signal.SIGTERM,), 5, id="terminated"),
        ],
    )
    def test_an_orderly_end_dismisses_it(
        self, supervised: Supervised, tmp_path: Path, signals: tuple[signal.Signals, ...], code: int
    ) -> None:
        os.mkfifo(tmp_path / "go")
        supervised.box(1, then=f"cat {tmp_path}/go")
        process = supervised.start()
        (guard,) = guards_of(process.pid)
        for number in signals:
            process.send_signal(number)
        if not signals:
            (tmp_path / "go").write_text("")
        process.communicate()

        assert process.returncode == code
        assert not Path(f"/proc/{guard}").exists()

    def test_it_is_no_leak_of_a_box_that_runs_a_runner(self, supervised: Supervised) -> None:
        inner = supervised.repository.root / "inner"
        supervised.repository.write("inner/boxes/tier-1/1_a.sh", "#!/bin/sh\nexit 0\n")
        supervised.repository.box(1, f"{sys.executable} -m runner -C {inner} run")
        (event,) = of("BoxFinished", supervised.repository.events("1"))

        assert (str(event.verdict), event.leaked) == ("passed", ())

    def test_a_box_that_kills_its_runner_leaves_nothing_to_the_runner_outside(self, supervised: Supervised) -> None:
        inner = supervised.repository.root / "inner"
        kill = f"setsid sleep 99 >/dev/null 2>&1 & echo $! >{supervised.pids}/inner; kill -9 $PPID; exec sleep 98"
        supervised.repository.write("inner/boxes/tier-1/1_a.sh", f"#!/bin/sh\n{kill}\n")
        supervised.repository.box(1, f"{sys.executable} -m runner -C {inner} run; exit 0")
        supervised.repository.box(2, "sleep 0.1")
        verdicts = supervised.repository.verdicts("-j", "2")

        assert verdicts == {1: "passed", 2: "passed"}
        assert not is_alive(supervised.left()["inner"])

    def test_a_run_whose_guard_was_killed_goes_on(self, supervised: Supervised, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "go")
        supervised.box(1, then=f"cat {tmp_path}/go")
        process = supervised.start()
        (guard,) = guards_of(process.pid)
        os.kill(guard, signal.SIGKILL)
        (tmp_path / "go").write_text("")
        process.communicate()

        assert process.returncode == 0

    def test_it_shows_neither_the_runners_environment_nor_its_files(self, supervised: Supervised) -> None:
        supervised.box(1)
        process = supervised.start(PLANTED="canary")
        (guard,) = guards_of(process.pid)
        assert b"canary" in Path(f"/proc/{process.pid}/environ").read_bytes()
        assert Path(f"/proc/{guard}/environ").read_bytes().strip(b"\0") == b""
        held = {str(fd.readlink()).partition(":")[0] for fd in Path(f"/proc/{guard}/fd").iterdir()}
        assert held == {"/dev/null", "pipe"}
        process.terminate()
        process.communicate()


LEAPING = """\
import itertools, sys, time
days, now = itertools.cycle((0, 1, -1, 400, -400)), time.time
time.time = lambda: now() + next(days) * 86400
from runner.cli import main
sys.exit(main())
"""


class TestTheClock:
    def test_a_clock_that_leaps_by_days_times_nothing_out_and_turns_no_time_back(
        self, supervised: Supervised, tmp_path: Path
    ) -> None:
        repository = supervised.repository
        repository.launch = ["-c", LEAPING]
        for number in (1, 2, 3):
            repository.box(number, "sleep 0.05", tier=number, block='timeout = "20s"')
        repository.write(".github/interlock.yml", "setup:\n  run: sleep 0.05\n")
        junit, history = tmp_path / "junit.xml", tmp_path / "history.json"
        events = repository.events("--junit", str(junit), "--history", str(history))

        finished = of("BoxFinished", events)
        assert [str(event.verdict) for event in finished] == ["passed"] * 3
        moments = [event.at for event in events]
        assert moments == sorted(moments)
        assert moments[-1] - moments[0] < 60
        spans = [event.seconds for event in [*finished, *of("TierFinished", events), *of("RunFinished", events)]]
        assert all(0.05 <= seconds < 60 for seconds in spans)
        assert all(0 <= float(text) < 60 for text in re.findall(r' time="([^"]*)"', junit.read_text()))
        durations = History.load(str(history)).durations()
        assert len(durations) == 3
        assert all(0.05 <= seconds < 60 for seconds in durations.values())

    @given(st.lists(st.floats(-1e9, 1e9), min_size=1), st.lists(st.floats(0, 1e6), min_size=2))
    def test_a_steady_clock_begins_with_the_machines_time_and_only_grows(
        self, leaps: list[float], steps: list[float]
    ) -> None:
        ticks = iter(accumulate(steps))
        said = [1.7e9, *leaps]
        clock = steady(lambda: said.pop(0), lambda: next(ticks))
        told = [clock() for _ in steps[1:]]

        assert told == sorted(told)
        assert told[0] == pytest.approx(1.7e9 + steps[1], abs=1e-3)
