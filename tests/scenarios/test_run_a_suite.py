"""A developer runs boxes, reads what is wrong, mends it, is interrupted, and goes on."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from inline_snapshot import snapshot

from runner.events import BoxFinished, read
from tests.runner.command_line import Repository, of

if TYPE_CHECKING:
    import subprocess

    from runner.events import Event

ADDS = """\
def test_adds():
    from calc import add
    assert add(2, 2) == 4
"""


def a_repository(tmp_path: Path) -> Repository:
    """With a box in each of three tiers; the second one is red."""
    repository = Repository(tmp_path)
    repository.write("calc.py", "def add(a, b):\n    return a - b\n")
    repository.box(1, '. "$BOX_LIB"\nok readable test -r calc.py\nis lines "$(wc -l <calc.py)" 2')
    repository.write("boxes/tier-2/12_adds.py", ADDS)
    repository.box(30, "echo deployed", tier=3)
    return repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return a_repository(tmp_path)


def told(text: str) -> str:
    """What a person read, without what differs from run to run."""
    text = re.sub(r"\d+\.\d+ ?s\b", "0.0s", text)
    text = re.sub(r"\d+ at a time", "2 at a time", text)
    text = re.sub(r"0x[0-9a-f]+", "0x0", text)
    return "".join(line for line in text.splitlines(keepends=True) if "│" not in line)


def test_a_red_box_blocks_the_next_tier_and_a_fix_makes_all_green(repository: Repository) -> None:
    red = repository.runner("run")
    assert red.code == 1
    assert told(red.out) == snapshot("""\
sandbox: off · 3 boxes in 3 tiers · 2 at a time
✓ 1 box  0.0s
tier 1 is green  0.0s
✗ 12 adds  failed  0.0s
    1 assertion failed: test_adds
    boxes/tier-2/12_adds.py:3  test_adds: assert 0 == 4 + where 0 = <function add at 0x0>(2, 2)
tier 2 is red  0.0s
○ 30 box  blocked by 12
tier 3 did not run

3 boxes: 1 passed, 1 failed, 1 blocked by 12 · 0.0s
runner run 12
""")

    repository.write("calc.py", "def add(a, b):\n    return a + b\n")
    mended = repository.runner("run", "failed")
    assert (mended.code, "12 adds" in mended.out) == (0, True)
    green = repository.runner("run")
    assert green.code == 0
    assert told(green.out) == snapshot("""\
sandbox: off · 3 boxes in 3 tiers · 2 at a time
✓ 1 box  0.0s
tier 1 is green  0.0s
✓ 12 adds  0.0s
tier 2 is green  0.0s
✓ 30 box  0.0s
tier 3 is green  0.0s

3 boxes: 3 passed · 0.0s
""")


def test_a_setup_prepares_what_boxes_use_and_its_failure_blocks_them(repository: Repository) -> None:
    repository.write(".github/interlock.yml", "setup:\n  run: echo prepared > $SETUP_DIR/it\n")
    repository.box(2, 'grep -q prepared "$SETUP_DIR/it"')
    assert repository.verdicts("2") == {2: "passed"}

    repository.write(".github/interlock.yml", "setup:\n  run: echo no network; exit 1\n")
    events = repository.events("tier:1")
    (setup,) = of("SetupFinished", events)
    assert (setup.ok, setup.output) == (False, "no network\n")
    assert {event.blocked_by for event in of("BoxFinished", events)} == {"setup"}
    assert of("BoxStarted", events) == []
    assert of("RunFinished", events)[0].exit_code == 1


def test_each_suite_of_a_monorepo_runs_in_its_own_directory(repository: Repository) -> None:
    repository.write(".github/interlock.yml", "suites: {api: services/api}\n")
    repository.write("services/api/boxes/tier-1/1_here.sh", '#!/bin/sh\ntest "$(basename "$PWD")" = api\n')
    (finished,) = of("BoxFinished", repository.events("api/1"))

    assert (str(finished.box), str(finished.verdict), finished.repro) == ("api/1", "passed", "runner run api/1")


class Follower:
    """Follows the event stream of a run that is going on."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.events: list[Event] = []

    def until(self, kind: str, number: int) -> None:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            self.events += read([line.decode()])
            if any(event.box.number == number for event in of(kind, self.events)):
                return
        pytest.fail(f"the run ended without a {kind} of box {number}")

    def rest(self) -> dict[int, str]:
        """Follow to the end; returns the verdicts."""
        out, err = self._process.communicate()
        assert b"Traceback" not in err
        self.events += read(out.decode().splitlines())
        return {event.box.number: str(event.verdict) for event in of("BoxFinished", self.events)}


@pytest.fixture
def going(repository: Repository, tmp_path: Path) -> tuple[subprocess.Popen[bytes], Follower]:
    """A run in which box 2 waits to be told to end; box 3 has not started."""
    os.mkfifo(tmp_path / "go")
    repository.box(1, "exit 0")
    repository.box(2, f"cat {tmp_path}/go", block="after = [1]")
    repository.box(3, "exit 0", block="after = [2]")
    process = repository.start("run", "tier:1", "--jsonl", "-")
    follower = Follower(process)
    follower.until("BoxStarted", 2)
    return process, follower


def test_an_interrupt_lets_running_boxes_end_and_starts_no_other(
    going: tuple[subprocess.Popen[bytes], Follower], tmp_path: Path
) -> None:
    process, follower = going
    process.send_signal(signal.SIGINT)
    follower.until("BoxFinished", 3)
    (tmp_path / "go").write_text("")

    assert follower.rest() == {1: "passed", 2: "passed", 3: "cancelled"}
    assert process.returncode == 5


@pytest.mark.parametrize("signals", [(signal.SIGTERM,), (signal.SIGINT, signal.SIGINT), (signal.SIGHUP,)])
def test_a_termination_or_a_second_interrupt_ends_running_boxes(
    going: tuple[subprocess.Popen[bytes], Follower], signals: tuple[signal.Signals, ...]
) -> None:
    process, follower = going
    process.send_signal(signals[0])
    if len(signals) > 1:
        follower.until("BoxFinished", 3)  # the first one has been heard
        process.send_signal(signals[1])

    assert follower.rest() == {1: "passed", 2: "cancelled", 3: "cancelled"}
    assert process.returncode == 5
    assert type(follower.events[-1]).__name__ == "RunFinished"


def test_a_killed_run_leaves_whole_lines_and_is_resumed_from_them(repository: Repository, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "go")
    record = tmp_path / "run.jsonl"
    ran = tmp_path / "ran"
    repository.box(1, f"echo 1 >> {ran}")
    repository.box(2, f'echo 2 >> {ran}; test -n "$GO" || cat {tmp_path}/go', block="after = [1]")
    process = repository.start("run", "tier:1", "--jsonl", str(record))
    assert process.stdout is not None
    while b"1 box" not in process.stdout.readline():
        continue
    with (tmp_path / "go").open("w"):  # box 2 has opened its end: it runs
        process.kill()
        process.communicate()

    schema, *lines = record.read_text().splitlines()
    assert json.loads(schema) == {"schema": "runner.events/1"}
    assert all(json.loads(line) for line in lines)
    assert [event.box.number for event in of("BoxFinished", list(read(lines)))] == [1]

    with record.open("a") as file:
        file.write('{"type":"box_fini')  # what a kill in the middle of a line leaves
    ended = repository.runner("run", "tier:1", "--jsonl", str(record), "--done", str(record), GO="1")
    assert ended.code == 0
    assert ran.read_text() == "1\n2\n2\n"
    finished = [event for event in read(record.read_text().splitlines()) if isinstance(event, BoxFinished)]
    assert [event.box.number for event in finished] == [1, 2]
    assert record.read_text().splitlines().count('{"schema":"runner.events/1"}') == 2


def test_boxes_of_one_lock_do_not_meet(repository: Repository, tmp_path: Path) -> None:
    for number in (2, 3, 4):
        script = f"mkdir {tmp_path}/held || exit 1; sleep 0.1; rmdir {tmp_path}/held"
        repository.box(number, script, block='locks = ["port"]')

    assert repository.verdicts("2-4", "-j", "3") == {2: "passed", 3: "passed", 4: "passed"}
