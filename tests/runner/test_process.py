from __future__ import annotations

import os
import re
import stat
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.execute.live import Limits
from runner.execute.process import ProcessExecutor
from runner.execute.tree import Probes, probe
from runner.executor import Finished, Job, Slow
from runner.model import Attempt, Box, BoxId, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

EVERYTHING = probe()
PORTABLE = Probes(pidfd=False, proc=False, subreaper=False)
NO_SUBREAPER = Probes(pidfd=True, proc=True, subreaper=False)

RUN_ID = f"run-{os.getpid()}"
"""Leaks are ended by the run that their environment names: two test processes may not share one."""


def box(number: int = 1, **keys: Any) -> Box:
    keys = {"kind": "command" if "run" in keys else "file", "timeout": 20.0, "slow": 20.0, **keys}
    return Box(id=BoxId("", number), tier=4, title=f"Box {number}", source=keys.get("file", "interlock.yml"), **keys)


class Lab:
    """A tree to put boxes in, and executors to run them."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "tree"
        self.scratch = tmp_path / "scratch"
        self.root.mkdir()
        self.scratch.mkdir()
        self.executors: list[ProcessExecutor] = []

    def executor(self, **options: Any) -> ProcessExecutor:
        # Without its installed plugins pytest starts in half the time.
        environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        options = {"run_id": RUN_ID, "scratch": str(self.scratch), "base_env": environ, **options}
        executor = ProcessExecutor(**options)
        self.executors.append(executor)
        return executor

    def file(self, name: str, text: str, *, executable: bool = True) -> Box:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(textwrap.dedent(text).encode())
        path.chmod(0o755 if executable else 0o644)
        kind = "pytest" if "def test_" in text else "file"
        return box(file=name, kind=kind)

    def run(self, box: Box, *, job: dict[str, Any] | None = None, **options: Any) -> Attempt:
        executor = self.executor(**options)
        executor.start(Job(box=box, root=str(self.root), **(job or {})))
        finished = finish(executor)
        executor.close()
        return finished

    def sh(
        self, script: str, *, job: dict[str, Any] | None = None, keys: dict[str, Any] | None = None, **options: Any
    ) -> Attempt:
        return self.run(box(run=textwrap.dedent(script), **(keys or {})), job=job, **options)


def finish(executor: ProcessExecutor) -> Attempt:
    """The next attempt that ends; slow marks are passed over."""
    while True:
        for thing in executor.wait(None):
            if isinstance(thing, Finished):
                return thing.attempt


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    for executor in lab.executors:
        executor.close()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


class TestTheVerdict:
    @pytest.mark.parametrize(
        ("script", "outcome", "reason"),
        [
            pytest.param("exit 0", Verdict.PASSED, "", id="0"),
            pytest.param("exit 3", Verdict.FAILED, "exit 3", id="3"),
            pytest.param("exit 77", Verdict.SKIPPED, "exit 77: the box skipped itself", id="77"),
            pytest.param("kill -SEGV $$", Verdict.ERRORED, "killed by SIGSEGV", id="a-signal"),
            pytest.param(
                "echo 1..2; echo ok 1", Verdict.FAILED, "ended early: 2 tests planned, 1 seen", id="tap-ends-early"
            ),
            pytest.param(
                "echo nonsense > $BOX_REPORT", Verdict.ERRORED, "report line 1: not JSON", id="malformed-report"
            ),
            pytest.param(
                "ln -s /etc/passwd $BOX_REPORT", Verdict.ERRORED, "$BOX_REPORT cannot be read, or is a link", id="link"
            ),
            pytest.param("mkfifo $BOX_JUNIT", Verdict.ERRORED, "$BOX_JUNIT is not a plain file", id="fifo"),
            pytest.param(
                "truncate -s 1T $BOX_REPORT", Verdict.ERRORED, "$BOX_REPORT is too large", id="sparse-terabyte"
            ),
        ],
    )
    def test_follows_the_protocol(self, lab: Lab, script: str, outcome: Verdict, reason: str) -> None:
        attempt = lab.sh(script)

        assert (attempt.outcome, attempt.reason) == (outcome, reason)

    def test_a_not_ok_is_not_hidden_by_an_unfinished_line_on_stderr(self, lab: Lab) -> None:
        attempt = lab.sh("printf 'working...' >&2; echo 'not ok 1 - it broke'; echo 1..1")

        assert attempt.outcome is Verdict.FAILED
        assert [failure.id for failure in attempt.failures] == ["it broke"]

    def test_tap_on_stderr_is_talk(self, lab: Lab) -> None:
        assert lab.sh("echo 'not ok 1 - just talking' >&2").outcome is Verdict.PASSED

    def test_the_place_of_a_failure_is_relative_to_the_tree(self, lab: Lab) -> None:
        (lab.root / "src").mkdir()
        (lab.root / "src" / "app.py").write_text("import os\n")
        attempt = lab.sh("echo src/app.py:1:8: F401 unused; exit 1")

        assert [(failure.file, failure.line, failure.message) for failure in attempt.failures] == [
            ("src/app.py", 1, "F401 unused")
        ]

    def test_no_link_in_the_tree_makes_us_tell_which_files_this_machine_has(self, lab: Lab) -> None:
        (lab.root.parent / "elsewhere.txt").touch()
        (lab.root / "away").symlink_to(lab.root.parent)
        attempt = lab.sh("echo away/elsewhere.txt:1: it is there; exit 1")

        assert not any(failure.file for failure in attempt.failures)

    def test_it_costs_are_measured(self, lab: Lab) -> None:
        attempt = lab.sh("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")

        assert 0 < attempt.cpu <= attempt.seconds * 2
        assert attempt.rss_kb > 100


class TestTheOutput:
    def test_both_streams_are_told_cleaned_and_logged(self, lab: Lab, tmp_path: Path) -> None:
        log = tmp_path / "logs" / "1.log"
        attempt = lab.sh(r"printf 'a\033[31mred\033[0m\007\n'; echo b >&2", job={"log": str(log)})

        assert sorted(attempt.output.split("\n")) == ["", "ared", "b"]
        assert (attempt.log, attempt.output_bytes) == (str(log), log.stat().st_size)
        assert b"\x1b[31m" in log.read_bytes()

    def test_half_a_gigabyte_leaves_its_two_ends(self, lab: Lab, tmp_path: Path) -> None:
        log = tmp_path / "1.log"
        attempt = lab.sh(
            "echo first; yes abcdefg | head -c 50000000; echo last",
            job={"log": str(log)},
            limits=Limits(head=4096, tail=8192, excerpt=2048),
        )

        assert attempt.output_bytes == 50_000_011
        assert attempt.output.startswith("first\nabcdefg\n")
        assert attempt.output.endswith("abcdefg\nlast\n")
        assert "[… 49997963 bytes left out …]" in attempt.output
        text = log.read_text()
        assert len(text) == 4096 + 8192 + len("\n[... 49987723 bytes left out ...]\n")
        assert text.endswith("abcdefg\nlast\n")

    def test_the_log_is_there_while_the_box_runs(self, lab: Lab, tmp_path: Path) -> None:
        log = tmp_path / "1.log"
        go_on = tmp_path / "go"
        os.mkfifo(go_on)
        executor = lab.executor()
        executor.start(Job(box=box(run=f"echo so far; cat {go_on}"), root=str(lab.root), log=str(log)))
        while not log.exists():
            assert executor.wait(0.01) == []
        assert log.read_text() == "so far\n"
        go_on.write_text("the rest\n")
        assert finish(executor).outcome is Verdict.PASSED
        assert log.read_text() == "so far\nthe rest\n"

    def test_a_log_that_cannot_be_written_is_no_verdict(self, lab: Lab) -> None:
        attempt = lab.sh("echo hi", job={"log": "/proc/nowhere/1.log"})

        said = "hi\n[log not kept: No such file or directory]\n"
        assert (attempt.outcome, attempt.output, attempt.log) == (Verdict.PASSED, said, "")


LEAKS = [
    pytest.param("sleep 99 & exit 0", id="background"),
    pytest.param("sleep 99 >/dev/null 2>&1 & exit 0", id="background-closed"),
    pytest.param("setsid sleep 99 >/dev/null 2>&1 & exit 0", id="own-session"),
    pytest.param("(setsid sh -c 'sleep 99 & exit 0' >/dev/null 2>&1 &) ; sleep 0.2; exit 0", id="double-fork"),
    pytest.param("env -i setsid sleep 99 >/dev/null 2>&1 & exit 0", id="own-session-and-no-environment"),
]


class TestLeaks:
    @pytest.mark.parametrize("script", LEAKS)
    def test_what_a_box_leaves_running_is_named_and_ended_and_changes_no_verdict(self, lab: Lab, script: str) -> None:
        attempt = lab.sh(script)

        assert attempt.outcome is Verdict.PASSED
        (leak,) = attempt.leaked
        assert leak.startswith("sleep 99 (pid ")
        assert not is_alive(int(leak.split("pid ")[1].rstrip(")")))

    def test_with_two_boxes_running_a_leak_is_its_own_boxs(self, lab: Lab, tmp_path: Path) -> None:
        go_on = tmp_path / "go"
        os.mkfifo(go_on)
        executor = lab.executor()
        executor.start(Job(box=box(1, run=f"setsid sleep 98 >/dev/null 2>&1 & cat {go_on}"), root=str(lab.root)))
        executor.start(Job(box=box(2, run="setsid sleep 97 >/dev/null 2>&1 & exit 0"), root=str(lab.root)))
        second = finish(executor)
        assert [leak.split(" (")[0] for leak in second.leaked] == ["sleep 97"]
        go_on.write_text("")
        first = finish(executor)
        assert [leak.split(" (")[0] for leak in first.leaked] == ["sleep 98"]

    def test_a_tree_that_keeps_forking_is_ended(self, lab: Lab) -> None:
        attempt = lab.sh("(setsid sh -c 'f() { sleep 0.01; f & }; f' >/dev/null 2>&1 &); sleep 0.2; exit 0")

        assert attempt.outcome is Verdict.PASSED
        assert not [
            pid
            for pid in map(int, filter(str.isdigit, [path.name for path in Path("/proc").iterdir()]))
            if _is_of_run(pid)
        ]

    def test_what_ends_by_itself_in_a_moment_is_no_leak_and_its_last_words_are_heard(self, lab: Lab) -> None:
        attempt = lab.sh("(sleep 0.02; echo flushed) & exit 0")

        assert (attempt.leaked, attempt.output) == ((), "flushed\n")

    @pytest.mark.parametrize("script", LEAKS[:4])
    def test_without_a_subreaper_leaks_are_found_by_their_environment(self, lab: Lab, script: str) -> None:
        attempt = lab.sh(script, probes=NO_SUBREAPER)

        assert [leak.split(" (")[0] for leak in attempt.leaked] == ["sleep 99"]

    def test_without_proc_leaks_in_the_group_are_ended(self, lab: Lab, tmp_path: Path) -> None:
        attempt = lab.sh(f"sleep 99 >/dev/null 2>&1 & echo $! > {tmp_path}/pid; exit 0", probes=PORTABLE)

        assert attempt.leaked[0].startswith("a process of its group")
        assert not is_alive(int((tmp_path / "pid").read_text()))


def _is_of_run(pid: int) -> bool:
    try:
        return f"BOX_RUN_ID={RUN_ID}".encode() in Path(f"/proc/{pid}/environ").read_bytes() and is_alive(pid)
    except OSError:
        return False


@pytest.mark.parametrize("probes", [pytest.param(EVERYTHING, id="linux"), pytest.param(PORTABLE, id="portable")])
class TestTimeouts:
    def test_the_whole_tree_is_ended_and_the_box_cannot_pass_any_more(
        self, lab: Lab, tmp_path: Path, probes: Probes
    ) -> None:
        script = f"trap 'exit 0' TERM; sleep 99 & echo $! > {tmp_path}/pid; wait"
        attempt = lab.sh(script, keys={"timeout": 0.3, "slow": 0.1}, probes=probes)

        assert (attempt.outcome, attempt.exit_code, attempt.reason) == (Verdict.TIMED_OUT, 0, "ran out of time")
        assert attempt.leaked == ()
        assert not is_alive(int((tmp_path / "pid").read_text()))

    def test_who_does_not_listen_is_killed_after_the_grace(self, lab: Lab, probes: Probes) -> None:
        attempt = lab.sh("trap '' TERM; while :; do sleep 0.05; done", keys={"timeout": 0.2}, grace=0.2, probes=probes)

        assert (attempt.outcome, attempt.exit_code) == (Verdict.TIMED_OUT, -9)

    def test_slow_is_told_once_and_is_no_verdict(self, lab: Lab, probes: Probes) -> None:
        executor = lab.executor(probes=probes)
        executor.start(Job(box=box(run="sleep 0.4", slow=0.1), root=str(lab.root)))
        told = [*executor.wait(None), *executor.wait(None)]

        assert [type(thing) for thing in told] == [Slow, Finished]
        assert isinstance(told[1], Finished)
        assert told[1].attempt.outcome is Verdict.PASSED

    def test_cancelling_one_leaves_the_other(self, lab: Lab, probes: Probes) -> None:
        executor = lab.executor(probes=probes)
        first = Job(box=box(1, run="sleep 99"), root=str(lab.root))
        executor.start(first)
        executor.start(Job(box=box(2, run="sleep 0.3"), root=str(lab.root)))
        executor.cancel(first)

        assert [finish(executor).outcome, finish(executor).outcome] == [Verdict.CANCELLED, Verdict.PASSED]
        assert executor.wait(None) == []


def test_a_timeout_says_what_the_box_was_doing(lab: Lab) -> None:
    attempt = lab.sh("sleep 98", keys={"timeout": 0.2})

    assert "[timed out after 0.2 s; it was doing this:]" in attempt.output
    assert "sleep 98" in attempt.output


def test_nothing_is_alive_after_close(lab: Lab, tmp_path: Path) -> None:
    executor = lab.executor()
    script = f"setsid sleep 99 >/dev/null 2>&1 & echo $! > {tmp_path}/pid; sleep 99"
    executor.start(Job(box=box(run=script), root=str(lab.root)))
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        executor.wait(0.01)
    executor.close()

    assert not is_alive(int((tmp_path / "pid").read_text()))
    assert list(lab.scratch.iterdir()) == []


class TestTheEnvironment:
    def test_a_box_is_told_who_it_is_and_where_its_files_go(self, lab: Lab) -> None:  # clause P-60
        attempt = lab.run(
            box(21, run="env; pwd; ls $BOX_LIB $BOX_LIB_PY; test -d $BOX_TMP -a -d $BOX_ARTIFACTS"), job={"attempt": 2}
        )

        told = dict(line.split("=", 1) for line in attempt.output.splitlines() if "=" in line)
        assert attempt.outcome is Verdict.PASSED
        assert (told["BOX_ID"], told["BOX_TIER"], told["BOX_ATTEMPT"], told["BOX_RUN_ID"]) == ("21", "4", "2", RUN_ID)
        assert (told["INTERLOCK"], told["PYTHONDONTWRITEBYTECODE"]) == ("1", "1")
        page = Path(__file__).parents[2] / "docs" / "reference" / "box-protocol.md"
        section = page.read_text(encoding="utf-8").partition("**P-60**")[2].partition("**P-61**")[0]
        documented = set(re.findall(r"`(BOX_[A-Z_]+|INTERLOCK)`(?=[^|]*\|[^|]*\|$)", section, re.MULTILINE))
        assert documented == {name for name in told if name.startswith("BOX_")} | {"INTERLOCK"}
        assert str(lab.root) in attempt.output.splitlines()

    def test_isolated_it_tells_nothing_of_the_callers(  # clause P-62
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
        attempt = lab.sh("env", isolate_env=True, keys={"env": {"MINE": "1"}})

        told = dict(line.split("=", 1) for line in attempt.output.splitlines())
        ours = {name for name in told if name.startswith("BOX_")}
        # PWD, OLDPWD, SHLVL and _ are the shell's own.
        assert told.keys() - ours - {"PWD", "OLDPWD", "SHLVL", "_"} == {
            *("PATH", "HOME", "TMPDIR", "LANG", "PYTHONDONTWRITEBYTECODE", "INTERLOCK", "MINE")
        }
        assert told["HOME"] == told["TMPDIR"] == told["BOX_TMP"]

    def test_a_box_in_a_box_does_not_inherit_the_outer_ones_files(self, lab: Lab) -> None:  # clause P-61
        outer = {**os.environ, "BOX_JUNIT": "/OUTER/junit.xml", "BOX_SECRET": "OUTER", "SETUP_DIR": "/OUTER"}
        attempt = lab.sh("env", base_env=outer)

        assert "OUTER" not in attempt.output

    @pytest.mark.parametrize("isolate", [False, True])
    def test_it_is_told_no_file_in_which_a_step_gives_orders(self, lab: Lab, isolate: bool) -> None:  # clause P-61
        step = dict.fromkeys(("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STATE"), "/ORDERS")
        attempt = lab.sh("env", base_env={**os.environ, **step, "GITHUB_STEP_SUMMARY": "/ORDERS"}, isolate_env=isolate)

        assert attempt.outcome is Verdict.PASSED
        assert "ORDERS" not in attempt.output

    def test_the_jobs_environment_wins_over_the_boxs_and_none_can_forge_an_identity(self, lab: Lab) -> None:
        attempt = lab.sh(
            "echo $A $B $BOX_ID", keys={"env": {"A": "box", "B": "box", "BOX_ID": "99"}}, job={"env": {"B": "job"}}
        )

        assert attempt.output == "box job 1\n"

    def test_no_descriptor_but_the_three_is_passed_on(self, lab: Lab) -> None:
        read, write = os.pipe()
        os.set_inheritable(write, True)
        try:
            attempt = lab.sh("ls /proc/self/fd; readlink /proc/self/fd/0")
        finally:
            os.close(read)
            os.close(write)

        # 3 is the listing's own.
        assert attempt.output == "0\n1\n2\n3\n/dev/null\n"

    def test_signals_that_the_runner_ignores_are_not_ignored_in_a_box(self, lab: Lab) -> None:
        attempt = lab.sh("grep -E 'Sig(Ign|Blk)' /proc/self/status")

        # Above 31 are the C library's own.
        assert [int(line.split()[1], 16) & 0x7FFFFFFF for line in attempt.output.splitlines()] == [0, 0]

    def test_a_suite_of_a_monorepo_runs_in_its_own_directory(self, lab: Lab) -> None:
        (lab.root / "services" / "api").mkdir(parents=True)

        assert lab.sh("pwd", job={"cwd": "services/api"}).output == f"{lab.root}/services/api\n"


class TestHowABoxIsStarted:
    def test_a_file_with_a_first_line_is_executed(self, lab: Lab) -> None:
        assert lab.run(lab.file("boxes/tier-1/1_a.rb", "#!/bin/sh\necho $0\n")).output.endswith(
            "/boxes/tier-1/1_a.rb\n"
        )

    def test_python_and_shell_files_need_no_execute_bit(self, lab: Lab) -> None:
        assert lab.run(lab.file("1_a.py", "print('python')\n", executable=False)).output == "python\n"
        assert lab.run(lab.file("2_b.sh", "echo shell\n", executable=False)).output == "shell\n"

    @pytest.mark.parametrize(
        ("text", "executable", "exit_code", "reason"),
        [
            pytest.param("print('x')\n", False, 126, "x.pl is not executable (chmod +x x.pl)", id="no-execute-bit"),
            pytest.param("say 1\n", True, 126, "x.pl has no first line that names its interpreter (#!...)", id="line"),
            pytest.param("#!/no/perl\n", True, 127, "x.pl: its interpreter /no/perl was not found", id="program"),
            pytest.param("#!/usr/bin/env nosuch\n", True, 127, "x.pl: its interpreter nosuch was not found", id="env"),
            pytest.param(
                "#!/bin/sh\r\necho hi\r\n", True, 126,
                "x.pl: the first line ends with a carriage return (save the file with LF line ends)", id="crlf",
            ),
        ],
    )  # fmt: skip
    def test_what_cannot_be_started_says_why(
        self, lab: Lab, text: str, executable: bool, exit_code: int, reason: str
    ) -> None:
        attempt = lab.run(lab.file("x.pl", text, executable=executable))

        assert (attempt.outcome, attempt.exit_code, attempt.reason) == (Verdict.ERRORED, exit_code, reason)

    def test_an_empty_file_is_vacuous(self, lab: Lab) -> None:
        attempt = lab.run(lab.file("1_a.sh", "\n"))

        assert (attempt.outcome, attempt.reason) == (Verdict.VACUOUS, "1_a.sh is empty")

    def test_a_missing_file_is_errored(self, lab: Lab) -> None:
        attempt = lab.run(box(file="gone.sh"))

        assert (attempt.outcome, attempt.exit_code, attempt.reason) == (Verdict.ERRORED, 127, "gone.sh does not exist")

    def test_a_missing_directory_is_errored(self, lab: Lab) -> None:
        attempt = lab.sh("exit 0", job={"cwd": "gone"})

        assert (attempt.outcome, attempt.reason) == (
            Verdict.ERRORED,
            "sh could not be started: No such file or directory",
        )


class TestPytestBoxes:
    def test_each_test_is_an_assertion_and_a_red_one_has_its_place(self, lab: Lab) -> None:
        attempt = lab.run(
            lab.file(
                "boxes/tier-1/1_adds.py",
                """\
                import pytest

                def test_fine():
                    assert True

                @pytest.mark.parametrize("n", [1, 2])
                def test_adds(n):
                    assert n + 1 == 2

                class TestMore:
                    def test_here(self):
                        pass
                """,
            )
        )

        assert (attempt.outcome, attempt.asserts) == (Verdict.FAILED, 4)
        (failure,) = attempt.failures
        assert (failure.id, failure.file, failure.line) == ("test_adds[2]", "boxes/tier-1/1_adds.py", 8)
        assert failure.message.startswith("assert (2 + 1) == 2") or "3 == 2" in failure.message

    def test_nothing_of_the_runner_is_on_its_import_path(self, lab: Lab) -> None:
        (lab.root / "runner").mkdir()
        (lab.root / "runner" / "__init__.py").write_text("WHOSE = 'the repository'\n")
        box = lab.file(
            "boxes/tier-1/1_path.py",
            """\
            import sys

            def test_path():
                import runner
                assert runner.WHOSE == "the repository"
                assert not [entry for entry in sys.path if entry.endswith("runner/execute")]
                assert "pytest_bootstrap" not in sys.modules
            """,
        )

        assert lab.run(box).outcome is Verdict.PASSED

    def test_an_exit_in_the_middle_is_a_failure_and_not_a_pass(self, lab: Lab) -> None:
        box = lab.file("1_exit.py", "import os\ndef test_a(): assert True\ndef test_b(): os._exit(0)\n")
        attempt = lab.run(box)

        assert attempt.outcome is Verdict.FAILED
        assert [failure.message for failure in attempt.failures] == ["the process ended before pytest had finished"]

    @pytest.mark.parametrize(
        ("body", "outcome"),
        [
            pytest.param("@pytest.mark.skip\ndef test_a(): assert 0", Verdict.VACUOUS, id="all-skipped"),
            pytest.param("if 0:\n    def test_a(): pass", Verdict.VACUOUS, id="none-collected"),
            pytest.param("import nosuchmodule\ndef test_a(): pass", Verdict.ERRORED, id="import-error"),
            pytest.param("@pytest.mark.xfail(strict=True)\ndef test_a(): pass", Verdict.FAILED, id="unexpected-pass"),
            pytest.param("@pytest.mark.xfail\ndef test_a(): assert 0", Verdict.PASSED, id="expected-to-fail"),
            pytest.param(
                "@pytest.fixture\ndef f():\n    yield\n    assert 0\ndef test_a(f): pass",
                Verdict.FAILED,
                id="tear-down",
            ),
        ],
    )
    def test_what_pytest_says_is_judged(self, lab: Lab, body: str, outcome: Verdict) -> None:
        assert lab.run(lab.file("1_x.py", f"import pytest\n{body}\n")).outcome is outcome

    def test_without_pytest_it_is_errored_with_the_way_out(self, lab: Lab, tmp_path: Path) -> None:
        bare = tmp_path / "python"
        bare.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
        bare.chmod(0o755)
        box = lab.file("1_x.py", f"#!{bare}\ndef test_a(): pass\n")
        attempt = lab.run(box)

        assert attempt.outcome is Verdict.ERRORED
        assert (
            attempt.reason == "pytest is not installed for this box's interpreter (install it there, or set `python`)"
        )

    def test_the_interpreter_is_the_boxs_then_the_first_lines_then_the_environments(
        self, lab: Lab, tmp_path: Path
    ) -> None:
        def interpreter(name: str) -> str:
            path = tmp_path / name / "bin" / "python"
            path.parent.mkdir(parents=True)
            path.write_text(f"#!/bin/sh\necho this is {name}; exit 3\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
            return str(path)

        keyed, shebang, venv = interpreter("keyed"), interpreter("shebang"), interpreter("venv")
        (lab.root / ".venv").symlink_to(Path(interpreter("dotvenv")).parent.parent)
        bare = {"PATH": os.environ["PATH"]}
        in_venv = {**bare, "VIRTUAL_ENV": str(Path(venv).parent.parent)}
        plain, with_line = "def test_a(): pass\n", f"#!{shebang}\ndef test_a(): pass\n"

        def says(text: str, env: dict[str, str], python: str = "") -> str:
            lab.file("1_x.py", text)
            return lab.run(box(file="1_x.py", kind="pytest", python=python), base_env=env).output.strip()

        assert says(with_line, in_venv, keyed) == "this is keyed"
        assert says(with_line, in_venv) == "this is shebang"
        assert says(plain, in_venv) == "this is venv"
        assert says(plain, bare) == "this is dotvenv"


def test_artifacts_are_collected(lab: Lab, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    attempt = lab.sh("echo shot > $BOX_ARTIFACTS/page.png", job={"artifacts": str(kept)})

    assert attempt.artifacts == ("page.png",)
    assert (kept / "page.png").read_text() == "shot\n"


def test_what_a_box_leaves_in_its_temporary_directory_is_removed(lab: Lab) -> None:
    lab.sh("mkdir -p $BOX_TMP/a/b; touch $BOX_TMP/a/b/c; chmod 0 $BOX_TMP/a/b $BOX_TMP/a; ln -s / $BOX_TMP/root")

    assert list(lab.scratch.iterdir()) == []
    assert Path("/etc").exists()


@pytest.mark.parametrize(
    "leaves",
    [
        pytest.param("touch $BOX_TMP/a $BOX_ARTIFACTS/b $BOX_REPORT; mkdir -p $BOX_TMP/c/d", id="files"),
        pytest.param("chmod 755 $BOX_TMP; touch $BOX_TMP/a", id="another-mode"),
        pytest.param("rm -r $BOX_TMP; ln -s $PWD $BOX_TMP", id="a-link-in-its-place"),
        pytest.param("rm -r $BOX_ARTIFACTS; touch $BOX_ARTIFACTS", id="a-file-in-its-place"),
        pytest.param("chmod 0 ${BOX_TMP%/*}", id="no-way-in"),
    ],
)
def test_the_next_box_finds_nothing_of_the_one_before(lab: Lab, leaves: str) -> None:
    (lab.root / "precious").write_text("the repository's")
    executor = lab.executor()
    executor.start(Job(box=box(1, run=leaves), root=str(lab.root)))
    finish(executor)
    looks = "cd $BOX_TMP/..; find . | sort; stat -c %a tmp artifacts; test ! -L tmp"
    executor.start(Job(box=box(2, run=looks), root=str(lab.root)))
    second = finish(executor)

    assert (second.outcome, second.output) == (Verdict.PASSED, ".\n./artifacts\n./tmp\n700\n700\n")
    assert (lab.root / "precious").exists()


def test_other_children_of_this_process_are_left_alone(lab: Lab, tmp_path: Path) -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "99"], os.environ)
    try:
        assert lab.sh("exit 0").leaked == ()
        assert is_alive(pid)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_many_boxes_at_once_each_get_their_own_output(lab: Lab) -> None:
    executor = lab.executor()
    for number in range(1, 9):
        executor.start(Job(box=box(number, run="echo $BOX_ID; echo $BOX_ID >&2"), root=str(lab.root), key=number))
    told: dict[object, str] = {}
    while len(told) < 8:
        for thing in executor.wait(None):
            assert isinstance(thing, Finished)
            told[thing.job.key] = thing.attempt.output

    assert told == {number: f"{number}\n{number}\n" for number in range(1, 9)}
