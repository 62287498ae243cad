"""Boxes in the best sandbox, run by the real `runner run`: as root, and as somebody without any right."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.events import BoxFinished, RunStarted, Warned, read
from runner.sandbox.launcher import Cell
from tests.conftest import MISSING
from tests.runner.command_line import SOURCE, of

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("bwrap"), reason=f"{MISSING} bubblewrap on Linux"
)
STRANGER = 54_321
AS_ROOT = pytest.param(
    "root", id="as-root", marks=pytest.mark.skipif(os.geteuid() != 0, reason="root can be tried by root alone")
)
AS_USER = pytest.param("user", id="as-a-user")


def python_for(who: str) -> str:
    """An interpreter that this user can reach; ours may be in a home that nobody else enters."""
    return sys.executable if who == "root" or os.geteuid() != 0 else "/usr/bin/python3"


class Place:
    """A repository that its user can reach, and that user's `runner run --sandbox full`."""

    def __init__(self, who: str, name: str = "suite") -> None:
        self.who = who
        self.base = Path(tempfile.mkdtemp(prefix="interlock-sandboxed-", dir="/tmp"))
        self.base.chmod(0o755)
        self.root = self.base / name
        self.root.mkdir()
        self.drops = who == "user" and os.geteuid() == 0
        self.env = {
            "PATH": f"{Path(python_for(who)).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(SOURCE),
            "XDG_CACHE_HOME": str(self.base / "cache"),
            "TMPDIR": str(self.base),
            "A_TOKEN": "canary",
        }

    def box(self, number: int, script: str, *, block: str = "", shell: str = "/bin/sh") -> None:
        lines = [f"# {line}" for line in block.splitlines()]
        header = ["# /// box", *lines, "# ///"] if block else []
        path = self.root / "boxes/tier-1" / f"{number}_box.{'py' if 'python' in shell else 'sh'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([f"#!{shell}", *header, script, ""]))
        path.chmod(0o755)

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        before: list[str] = []
        if self.drops:
            subprocess.run(["chown", "-R", f"{STRANGER}:{STRANGER}", self.base], check=True)
            before = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", "--"]
        return subprocess.Popen(
            [*before, python_for(self.who), "-m", "runner", "run", *words],
            cwd=self.root,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def events(self, *words: str, **env: str) -> list[Any]:
        process = self.start("--sandbox", "full", "--jsonl", "-", *words, **env)
        out, err = process.communicate()
        assert out, err
        return list(read(out.splitlines()[1:]))

    def finished(self, *words: str, **env: str) -> dict[int, BoxFinished]:
        return {event.box.number: event for event in of("BoxFinished", self.events(*words, **env))}

    def only(self, *words: str, **env: str) -> BoxFinished:
        (event,) = self.finished(*words, **env).values()
        return event


@pytest.fixture(params=[AS_ROOT, AS_USER])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    place = Place(request.param)
    yield place
    shutil.rmtree(place.base)


class TestTheView:
    def test_it_lies_at_the_path_of_the_tree_and_can_be_written(self, place: Place) -> None:
        place.box(1, f'[ "$PWD" = "{place.root}" ] && echo 2 > data && rm boxes/tier-1/2_box.sh && cat data')
        place.box(2, "exit 0")
        (place.root / "data").write_text("1\n")
        assert [str(event.verdict) for event in place.finished().values()] == ["passed", "passed"]
        assert (place.root / "data").read_text() == "1\n"
        assert (place.root / "boxes/tier-1/2_box.sh").exists()

    def test_what_one_box_writes_no_other_sees(self, place: Place) -> None:  # clause P-64
        spread = "for at in . /tmp /dev/shm /var/tmp $HOME; do echo $BOX_ID > $at/left; done"
        found = "for at in . /tmp /dev/shm /var/tmp $HOME; do [ ! -e $at/left ] || exit 1; done"
        for number in range(1, 5):
            place.box(number, f"{found}; {spread}; [ -e left ]")
        verdicts = {str(event.verdict) for event in place.finished("-j", "1").values()}
        assert verdicts == {"passed"}

    @pytest.mark.parametrize("name", ["a b", "a:b,c\\d", "ä'\"$(x)"])
    def test_the_trees_path_may_hold_anything(self, place: Place, name: str) -> None:
        place.root = place.root.rename(place.base / name)
        place.box(1, "echo x > new && cat new boxes/tier-1/1_box.sh >/dev/null")
        assert str(place.only().verdict) == "passed"

    def test_the_tree_may_lie_where_nobody_else_gets(self, place: Place) -> None:
        place.box(1, "cat boxes/tier-1/1_box.sh >/dev/null && echo x > new")
        place.root.chmod(0o700)
        if not place.drops:
            place.base.chmod(0o700)
        assert str(place.only().verdict) == "passed"

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts something for others to see")
    def test_something_may_be_mounted_in_the_tree(self, place: Place) -> None:
        place.box(1, "cat volume/there && echo x > volume/new")
        (place.root / "volume").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "volume", place.root / "volume"], check=True)
        try:
            (place.root / "volume/there").write_text("content\n")
            event = place.only()
            assert (str(event.verdict), event.output) == ("passed", "content\n")
            assert [path.name for path in (place.root / "volume").iterdir()] == ["there"]
        finally:
            subprocess.run(["umount", place.root / "volume"], check=True)

    def test_environments_and_packages_in_the_tree_are_seen(self, place: Place) -> None:  # clause P-64
        place.box(1, "cat node_modules/m/index.js .venv/pyvenv.cfg && git log --format=%s")
        (place.root / "node_modules/m").mkdir(parents=True)
        (place.root / "node_modules/m/index.js").write_text("1")
        (place.root / ".venv").mkdir()
        (place.root / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", "init", "-q", place.root], env=environ, check=True)
        commit = ["git", *identity, "-C", str(place.root), "commit", "-q", "--allow-empty", "-m", "A first commit"]
        subprocess.run(commit, env=environ, check=True)
        event = place.only()
        assert (str(event.verdict), event.output.splitlines()[-1]) == ("passed", "A first commit")


class TestWhatABoxGets:
    def test_its_environment_tells_nothing_of_the_callers(self, place: Place) -> None:  # clause P-67
        place.box(1, "env; cat /proc/*/environ | tr '\\0' '\\n'; exit 1")
        event = place.only()
        assert "canary" not in event.output
        assert "BOX_ID=1" in event.output

    def test_the_first_process_of_its_sandbox_has_an_empty_environment(self, place: Place) -> None:
        """What bubblewrap was started with can be read in there, whatever it is told to clear."""
        place.box(1, "tr '\\0' '\\n' < /proc/1/environ | grep -v ^PWD=/; ls /proc/1/environ")
        assert place.only().output == "/proc/1/environ\n"

    def test_it_is_another_user_where_we_are_root(self, place: Place) -> None:  # clause P-66
        place.box(1, "id -u; id -un; id -G | wc -w; exit 1")
        uid, name, groups = place.only().output.split()
        assert int(uid) not in {0, os.geteuid() or -1} or place.who == "user"
        assert (name, groups) == ("box", "1")

    def test_it_has_no_network_but_a_loopback_of_its_own(self, place: Place) -> None:  # clause P-66
        place.box(1, "cat /proc/net/route | tail -n +2; grep -c : /proc/net/dev; exit 1")
        assert place.only().output == "1\n"

    def test_pytest_boxes_run_and_report(self, place: Place) -> None:
        if place.drops:
            pytest.skip("the interpreter that has pytest is not for other users to reach")
        place.box(1, "def test_it():\n    assert 1 == 2", shell="/usr/bin/env python3")
        event = place.only()
        assert (str(event.verdict), event.failures[0].id, event.failures[0].line) == ("failed", "test_it", 3)
        assert event.failures[0].file == "boxes/tier-1/1_box.py"

    def test_reports_and_artifacts_come_out(self, place: Place) -> None:
        place.box(1, '. "$BOX_LIB"; echo made > "$BOX_ARTIFACTS/made.txt"; ok yes true; is two 1 2')
        event = place.only("--logs", str(place.base / "logs"))
        assert (str(event.verdict), event.asserts, event.artifacts) == ("failed", 2, ("made.txt",))
        assert (place.base / "logs/1.1.artifacts/made.txt").read_text() == "made\n"


class TestHowItEnds:
    @pytest.mark.parametrize(
        ("script", "code"),
        [
            pytest.param("exit 3", 3, id="exit-code"),
            pytest.param("exit 137", 137, id="a-number-that-looks-like-a-signal"),
            pytest.param("kill -9 $$", -9, id="a-signal"),
            pytest.param("kill -15 $$", -15, id="a-polite-signal"),
        ],
    )
    def test_its_exit_code_is_exact(self, place: Place, script: str, code: int) -> None:  # clause P-69
        place.box(1, script)
        assert place.only().exit_code == code

    def test_what_it_left_is_named_and_ended(self, place: Place) -> None:
        place.box(1, "setsid sleep 3141 & (sleep 2718 <&- >&- 2>&- &) ; exit 0")
        event = place.only()
        assert str(event.verdict) == "passed"
        assert sorted(name.partition(" (")[0] for name in event.leaked) == ["sleep 2718", "sleep 3141"]

    def test_at_its_deadline_it_is_asked_first_and_what_it_did_is_told(self, place: Place) -> None:
        place.box(1, 'trap "echo asked; exit 0" TERM; sleep 2718 & wait', block="timeout = 0.5")
        event = place.only()
        assert str(event.verdict) == "timed_out"
        assert "sleep 2718" in event.output
        assert event.output.endswith("asked\n")
        assert "bwrap" not in event.output
        assert "warden" not in event.output

    def test_one_that_will_not_listen_is_ended_all_the_same(self, place: Place) -> None:
        place.box(1, 'trap "" TERM; while :; do sleep 0.1; done', block="timeout = 0.3")
        assert str(place.only().verdict) == "timed_out"

    def test_a_box_that_ends_its_own_warden_is_errored(self, place: Place) -> None:  # clause P-69
        place.box(1, "kill -9 2; sleep 2718")
        event = place.only()
        assert str(event.verdict) == "errored"
        assert event.reason.startswith("the sandbox failed")

    def test_without_a_word_of_the_warden_not_even_zero_is_a_pass(self) -> None:
        cell = object.__new__(Cell)
        cell._group = None
        cell._status, writing = os.pipe()
        os.close(writing)
        ending = cell.ended(0, "")
        os.close(cell._status)
        assert (ending.unstarted, ending.problem) == (True, "the sandbox failed: it ended with 0")

    def test_a_box_cannot_say_how_it_ended(self, place: Place) -> None:
        place.box(1, 'for fd in /proc/2/fd/*; do printf "ended\\t0\\t0.0\\t0\\tx\\n" > $fd; done 2>/dev/null; exit 1')
        assert str(place.only().verdict) in {"failed", "errored"}

    def test_a_program_that_is_not_in_the_sandbox_is_said_to_be_missing(self, place: Place) -> None:  # clause P-65
        (place.base / "elsewhere").mkdir()
        shutil.copy("/bin/sh", place.base / "elsewhere/sh")
        place.box(1, "exit 0", shell=f"{place.base}/elsewhere/sh")
        event = place.only("--trust", "T1")
        assert (str(event.verdict), event.exit_code) == ("errored", 127)


class TestLimits:
    def test_each_process_is_held_to_them_also_where_groups_can_be_made(self, place: Place) -> None:
        """Where none can be made, these are all that there is."""
        place.box(1, "sed -n 's/^Max //p' /proc/self/limits; exit 1")
        words = {line[:20].strip(): line[20:].split()[:2] for line in place.only("--trust", "T2").output.splitlines()}
        held = {name: words[name] for name in ("processes", "file size", "core file size")}
        assert held == {"processes": ["256"] * 2, "file size": [str(256 << 20)] * 2, "core file size": ["0"] * 2}
        assert int(words["open files"][1]) <= 65536

    def test_a_box_that_used_more_memory_than_it_may_is_told_so(self, place: Place) -> None:  # clause P-68
        place.box(1, "x = bytearray(1200 << 20)\nprint(len(x))", shell="/usr/bin/env python3")
        event = place.only("--trust", "T2")
        assert str(event.verdict) in {"errored", "failed"}
        if place.who == "root":  # where groups can be made: otherwise each process is refused more, and says so itself.
            assert event.reason == "used more than its 1 GiB of memory"
        else:
            assert "MemoryError" in event.output or "1 GiB" in event.reason

    def test_a_full_disk_is_the_boxs_own_affair_and_nobody_elses(self, place: Place) -> None:
        place.box(1, r"dd if=/dev/zero of=big bs=1M count=2000 2>&1 | grep -c 'No space\|limit exceeded'; exit 1")
        place.box(2, "exit 0")
        events = place.finished("-j", "1", "--trust", "T2")
        assert [str(event.verdict) for _, event in sorted(events.items())] == ["failed", "passed"]


class TestWhatStays:
    def test_nothing_is_left_of_a_run(self, place: Place) -> None:
        place.box(1, "chmod 000 .; mkdir -p /tmp/a/b; chmod 000 /tmp/a; mkdir $BOX_TMP/x; chmod 000 $BOX_TMP/x")
        place.finished()
        assert [path.name for path in place.base.iterdir() if path.name.startswith("interlock-")] == []
        assert str(place.base) not in Path("/proc/mounts").read_text()

    def test_nothing_is_left_running_or_mounted_of_a_run_that_was_killed(self, place: Place) -> None:
        unique = f"{os.getpid()}{len(place.who)}"
        place.box(1, f"(setsid sleep 1{unique} <&- &); sleep 2{unique} & echo started; wait", block="timeout = 100")
        process = place.start("--sandbox", "full", "--logs", str(place.base / "logs"))
        follow = ["timeout", "20", "tail", "-n", "+1", "--follow=name", "--retry", "-q", f"{place.base}/logs/1.1.log"]
        with subprocess.Popen(follow, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as log:
            assert log.stdout
            assert log.stdout.readline() == b"started\n"
            log.kill()
        theirs = [os.pidfd_open(pid) for number in (1, 2) for pid in running(f"sleep {number}{unique}")]
        assert len(theirs) == 2
        process.kill()
        process.communicate()
        for fd in theirs:
            assert select.select([fd], [], [], 20)[0], "it outlived the run"
            os.close(fd)
        assert str(place.base) not in Path("/proc/mounts").read_text()


def running(command: str) -> list[int]:
    """The processes of this machine that were started with this command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes().decode(errors="replace").split("\0")[:-1] == command.split():
                found.append(int(place.parent.name))
        except OSError:
            continue  # It has ended by now.
    return found


class TestWhoGetsWhat:
    def test_the_level_stands_in_the_record_and_on_the_first_line(self, place: Place) -> None:
        place.box(1, "exit 0")
        (started,) = of("RunStarted", place.events("--trust", "T2"))
        assert isinstance(started, RunStarted)
        assert (started.sandbox, started.trust) == ("bubblewrap", "T2")
        out, _ = place.start("--sandbox", "full").communicate()
        assert out.startswith("sandbox: bubblewrap · ")

    def test_a_trust_level_alone_brings_the_sandbox(self, place: Place) -> None:
        place.box(1, "[ ! -e /etc/shadow ]")
        process = place.start("--trust", "T1")
        out, _ = process.communicate()
        assert process.returncode == 0
        assert out.startswith("sandbox: bubblewrap · trust T1 · ")

    def test_hosts_that_a_trust_level_denies_are_told(self, place: Place) -> None:
        place.box(1, "exit 0", block='network = ["example.org"]')
        warnings = [event.message for event in place.events("--trust", "T2") if isinstance(event, Warned)]
        assert warnings == ["box 1 is not to reach example.org at trust level T2"]

    def test_a_host_that_is_no_host_is_refused_before_anything_runs(self, place: Place) -> None:
        place.box(1, "exit 0", block='network = ["the-internet"]')
        process = place.start("--sandbox", "full")
        out, err = process.communicate()
        assert (process.returncode, out) == (3, "")
        assert "boxes/tier-1/1_box.sh:" in err
        assert "'the-internet' is neither a rule" in err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives boxes users of their own")
class TestSlots:
    def test_boxes_that_run_together_are_different_users_and_cannot_touch_each_other(self) -> None:
        place = Place("root")
        try:
            for number in (1, 2):
                place.box(number, "id -u; exit 1")
            users = [event.output for event in place.finished("-j", "2").values()]
            assert len(set(users)) == 2
        finally:
            shutil.rmtree(place.base)


def test_a_record_of_a_sandboxed_run_is_json_all_through() -> None:
    place = Place("user")
    try:
        place.box(1, "printf '\\377\\000\\033[31m'; exit 1")
        out, _ = place.start("--sandbox", "full", "--jsonl", "-").communicate()
        assert [json.loads(line)["type"] for line in out.splitlines()[1:]][-1] == "run_finished"
    finally:
        shutil.rmtree(place.base)
