"""A disk that is full, or may not be written: which verdicts stay true, and which exit code says what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.events import read
from tests.conftest import MISSING
from tests.runner.command_line import Ended, Repository, of
from tests.runner.test_process import is_alive

if TYPE_CHECKING:
    from typing import Any

_AS_ROOT = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
UNSHARE = ["unshare", "--mount", *_AS_ROOT, "sh", "-ec"]
# A disk of our own, in a mount namespace that ends with the command: 1 MiB, of which `room` bytes are left.
ON_A_SMALL_DISK = """\
disk=$1 room=$2; shift 2
mount -t tmpfs -o size=1m small "$disk"
head -c 2m /dev/zero >"$disk/filling" 2>/dev/null || true
truncate -s "-$room" "$disk/filling"
mkdir "$disk/inside"
exec "$@"
"""


def _can_mount() -> bool:
    try:
        return not subprocess.run([*UNSHARE, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode
    except FileNotFoundError:
        return False


needs_a_mount_namespace = pytest.mark.skipif(not _can_mount(), reason=f"{MISSING} a mount namespace (unshare --mount)")
pytestmark = needs_a_mount_namespace


class Full:
    """A repository, and beside it a disk on which a little room is left."""

    def __init__(self, tmp_path: Path) -> None:
        self.repository = Repository(tmp_path)
        self.disk = tmp_path / "disk"
        self.disk.mkdir()

    def run(self, *words: str, room: int = 0, after: str = "", **env: str) -> Ended:
        """`runner run`; what the shell text `after` prints about the disk is added to its output."""
        runner = [sys.executable, "-m", "runner", "run", *words]
        look = ["sh", "-c", f'"$@"; code=$?; cd {self.disk}; {after}; exit $code', "sh"] if after else []
        done = subprocess.run(
            [*UNSHARE, ON_A_SMALL_DISK, "sh", str(self.disk), str(room), *look, *runner],
            cwd=self.repository.root,
            env={**self.repository.env, **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def full(tmp_path: Path) -> Full:
    full = Full(tmp_path)
    full.repository.box(1, "echo fine")
    return full


class TestTheRecord:
    def test_a_run_whose_record_cannot_be_begun_runs_nothing_and_is_not_green(self, full: Full, tmp_path: Path) -> None:
        full.repository.box(2, f"touch {tmp_path}/ran")
        ended = full.run("--jsonl", f"{full.disk}/inside/record")

        assert ended.code == 6
        assert f"the record of the run cannot be written to {full.disk}/inside/record: No space left" in ended.err
        assert not (tmp_path / "ran").exists()

    def test_a_run_whose_record_breaks_off_ends_there_and_with_it_what_runs(self, full: Full, tmp_path: Path) -> None:
        full.repository.box(2, f"echo $$ >{tmp_path}/pid; exec sleep 98")
        full.repository.box(
            3, f"until test -s {tmp_path}/pid; do sleep 0.01; done; head -c 4000 /dev/zero | tr '\\0' x"
        )
        ended = full.run("-j", "3", "--jsonl", f"{full.disk}/record", room=4096, after="cat record")

        assert ended.code == 6
        assert f"the record of the run cannot be written to {full.disk}/record: No space left on device" in ended.err
        assert ended.err.count("\n") == 1
        assert not is_alive(int((tmp_path / "pid").read_text()))
        record = [line for line in ended.out.splitlines() if line.startswith("{")]
        events: list[Any] = list(read(record))
        assert [event.box.number for event in of("BoxFinished", events)] == [1]
        assert of("RunFinished", events) == []

    def test_a_reader_of_the_record_that_goes_away_is_no_success(self, full: Full, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "go")
        full.repository.box(2, f"cat {tmp_path}/go; exit 1", tier=2)
        process = full.repository.start("run", "--jsonl", "-")
        assert process.stdout is not None
        while b"box_started" not in (line := process.stdout.readline()) or b'"box":2' not in line:
            continue
        process.stdout.close()
        (tmp_path / "go").write_text("")
        assert process.stderr is not None
        err = process.stderr.read().decode()
        process.stderr.close()

        assert process.wait() == 6
        assert "the record of the run cannot be written to standard output: Broken pipe" in err


class TestReports:
    @pytest.mark.parametrize(
        ("words", "env"),
        [
            pytest.param(("--junit", "{disk}/inside/report"), {}, id="junit"),
            pytest.param((), {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": "{disk}/inside/report"}, id="summary"),
        ],
    )
    def test_one_that_cannot_be_written_is_named_and_the_others_are_whole(
        self, full: Full, tmp_path: Path, words: tuple[str, ...], env: dict[str, str]
    ) -> None:
        record = tmp_path / "record"
        told = [word.format(disk=full.disk) for word in words]
        full.repository.env |= {name: value.format(disk=full.disk) for name, value in env.items()}
        ended = full.run(*told, "--jsonl", str(record))

        assert ended.code == 6
        assert f"no space is left for {full.disk}/inside/report" in ended.err
        events = list(read(record.read_text().splitlines()))
        assert [(str(event.verdict), event.green) for event in of("BoxFinished", events)] == [("passed", True)]
        assert of("RunFinished", events)[0].exit_code == 0
        assert "1 box: 1 passed" in ended.out

    def test_logs_and_artifacts_are_lost_and_no_verdict_with_them(self, full: Full, tmp_path: Path) -> None:
        full.repository.box(2, "echo shot >$BOX_ARTIFACTS/page.png; echo said; exit 1")
        record = tmp_path / "record"
        ended = full.run("--logs", f"{full.disk}/inside", "--jsonl", str(record))

        finished = {event.box.number: event for event in of("BoxFinished", list(read(record.read_text().splitlines())))}
        assert ended.code == 1
        assert {number: str(event.verdict) for number, event in finished.items()} == {1: "passed", 2: "failed"}
        assert finished[2].output.splitlines() == [
            "said",
            "[log not kept: No space left on device]",
            "[artifact not kept: page.png: No space left on device]",
        ]
        assert (finished[2].log, finished[2].artifacts) == ("", ())

    def test_without_room_to_remember_it_runs_all_the_same(self, full: Full) -> None:
        ended = full.run(XDG_CACHE_HOME=f"{full.disk}/inside")

        assert (ended.code, ended.err) == (0, "")


class TestTheBoxesOwnDisk:
    def test_a_box_that_cannot_report_is_no_judge(self, full: Full) -> None:
        full.repository.box(1, '. "$BOX_LIB"\nok fine true')
        ended = full.run(TMPDIR=str(full.disk), room=0)

        assert ended.code == 1
        assert "1 box  errored" in ended.out
        assert "the report could not be written" in ended.out

    def test_a_box_that_fills_the_disk_leaves_room_for_the_next(self, full: Full) -> None:
        full.repository.box(
            1, "head -c 2m /dev/zero >$BOX_TMP/all; test $(stat -c %s $BOX_TMP/all) -gt 100000 && exit 3"
        )
        full.repository.box(2, "head -c 100000 /dev/zero >$BOX_TMP/some", block="after = []")
        ended = full.run("-j", "1", TMPDIR=str(full.disk), room=200_000)

        assert ended.code == 1
        assert "1 box  failed" in ended.out
        assert "✓ 2 box" in ended.out

    def test_where_no_place_for_a_box_can_be_made_the_run_says_so_and_is_not_green(self, full: Full) -> None:
        script = ON_A_SMALL_DISK.replace("size=1m", "size=1m,nr_inodes=4")
        words = [sys.executable, "-m", "runner", "run"]
        done = subprocess.run(
            [*UNSHARE, script, "sh", str(full.disk), "0", *words],
            cwd=full.repository.root,
            env={**full.repository.env, "TMPDIR": str(full.disk)},
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 6
        assert "no space is left" in done.stderr
        assert done.stderr.count("\n") == 1
