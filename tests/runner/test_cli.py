from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.cli import COMMANDS, GLOBAL, main
from runner.commands import compare, doctor, falsify, list_boxes, run, show
from runner.options import Option, UsageMistake, read
from tests.runner.command_line import SOURCE, Repository, of


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    repository = Repository(tmp_path)
    repository.box(1, "echo fine")
    return repository


class TestExitCodes:
    def test_0_when_all_are_green_and_1_when_one_is_red(self, repository: Repository) -> None:
        assert repository.runner("run").code == 0
        repository.box(2, "exit 1")
        assert repository.runner("run").code == 1

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            pytest.param(["rnu"], "unknown command 'rnu' (did you mean run?)", id="command"),
            pytest.param(["doctor", "9"], "takes no '9'", id="doctor"),
            pytest.param(
                ["run", "--base", "nowhere"], "--base: there is no directory and no commit nowhere", id="base"
            ),
            pytest.param(
                ["list", "--base", "nowhere"], "--base: there is no directory and no commit nowhere", id="list-base"
            ),
            pytest.param(["falsify", "--json", "no/such/dir"], "no/such/dir cannot be written", id="json"),
            pytest.param(["run", "--job", "2"], "unknown option --job (did you mean --jobs?)", id="option"),
            pytest.param(["run", "-j", "0"], "--jobs must be a whole number from 1, not '0'", id="number"),
            pytest.param(["run", "--flaky", "maybe"], "--flaky must be one of pass, fail, not 'maybe'", id="choice"),
            pytest.param(["run", "--jsonl"], "--jsonl needs a value: FILE", id="no-value"),
            pytest.param(["run", "--base", ""], "--base needs a value that is not empty", id="empty-value"),
            pytest.param(["run", "--junit="], "--junit needs a value that is not empty", id="empty-behind-equals"),
            pytest.param(["-C", "", "list"], "-C needs a value that is not empty", id="empty-directory"),
            pytest.param(
                ["run", "--logs", "boxes/tier-1/1_box.sh"], "1_box.sh cannot be written: File exists", id="logs"
            ),
            pytest.param(["run", "9"], "no box 9", id="unknown-box"),
            pytest.param(["run", "tier:"], "tier", id="selection"),
            pytest.param(["-C", "nowhere", "list"], "-C: there is no directory nowhere", id="directory"),
            pytest.param(["run", "--run-id", "../x"], "--run-id may hold letters", id="run-id"),
            pytest.param(["run", "--jsonl", "no/such/dir"], "no/such/dir cannot be written", id="jsonl"),
            pytest.param(["run", "--done", "nothing"], "--done nothing cannot be read", id="done"),
            pytest.param(["run", "--since", "main"], "is not in a git repository", id="no-repository"),
            pytest.param(["show"], "show needs one box", id="show-nothing"),
            pytest.param(["show", "all", "1"], "show needs one box", id="show-two"),
        ],
    )
    def test_2_when_the_command_line_is_wrong_with_one_line_that_says_how(
        self, repository: Repository, words: list[str], said: str
    ) -> None:
        ended = repository.runner(*words)

        assert (ended.code, ended.out) == (2, "")
        assert ended.err.startswith("runner: ")
        assert said in ended.err
        assert ended.err.count("\n") == 1

    def test_4_where_there_are_no_boxes_with_the_way_to_the_first_or_to_those_above(self, tmp_path: Path) -> None:
        empty = Repository(tmp_path)
        ended = empty.runner("run")
        assert ended.code == 4
        assert ended.err.startswith(f"runner: no boxes in {empty.root} (a box is a file boxes/tier-N/NUMBER_name; ")
        assert empty.runner("list").err == ended.err
        (empty.root / "boxes").mkdir()
        (empty.root / "src" / "deep").mkdir(parents=True)
        inside = empty.runner("-C", "src/deep", "run")
        assert f"there are some above: runner -C {empty.root} ..." in inside.err

    @pytest.mark.parametrize("command", ["run", "falsify"])
    def test_6_where_there_is_no_temporary_directory_with_the_way_out(
        self, repository: Repository, command: str
    ) -> None:
        ended = repository.runner(command, TMPDIR="/no/such")
        assert (ended.code, ended.out) == (6, "")
        assert "no temporary directory in /no/such: No such file or directory (free it, or set TMPDIR)" in ended.err

    def test_a_full_disk_is_not_called_a_bug(self, repository: Repository) -> None:
        for words in (["run"], ["list"], ["run", "--junit", "/dev/full"], ["falsify", "--json", "/dev/full"]):
            command = [sys.executable, "-m", "runner", *words]
            with Path("/dev/full").open("w") as full:
                process = subprocess.Popen(
                    command, cwd=repository.root, env=repository.env, stdout=full, stderr=subprocess.PIPE, text=True
                )
                _, err = process.communicate()
            assert process.returncode == 6
            assert err.startswith("runner: no space is left (free some; ")
            assert err.count("\n") == 1

    def test_help_is_a_command_too(self, repository: Repository) -> None:
        assert repository.runner("help").out == repository.runner("--help").out

    def test_3_when_the_repository_declares_something_wrong(self, repository: Repository) -> None:
        repository.box(2, "exit 0", block='timout = "5m"')
        ended = repository.runner("run")

        assert ended.code == 3
        assert re.search(r"boxes/tier-1/2_box.sh:\d+: .*timout", ended.err)

    def test_3_and_nothing_run_when_isolation_is_asked_for_that_this_machine_has_not(
        self, repository: Repository
    ) -> None:
        for words in (["--sandbox", "full"], ["--trust", "T2"]):
            ended = repository.runner("run", *words, PATH=str(repository.root))
            assert (ended.code, ended.out) == (3, "")
            assert "bubblewrap is not installed" in ended.err
            assert "install" in ended.err.splitlines()[-1]

    def test_3_when_strangers_shall_run_without_a_sandbox(self, repository: Repository) -> None:
        ended = repository.runner("run", "--trust", "T2", "--sandbox", "off")
        assert (ended.code, ended.out) == (3, "")
        assert "T2 never runs without a sandbox" in ended.err

    def test_4_when_nothing_is_selected(self, repository: Repository) -> None:
        assert repository.runner("run", "failed").code == 4

    def test_6_with_an_id_and_no_traceback_when_the_runner_itself_is_wrong(self, repository: Repository) -> None:
        bug = "from runner.history import History\nHistory.load = lambda *_: 1 / 0\n"
        repository.write("bug/sitecustomize.py", bug)
        path = f"{repository.root / 'bug'}{os.pathsep}{repository.env['PYTHONPATH']}"
        ended = repository.runner("run", PYTHONPATH=path)
        assert ended.code == 6
        assert re.match(r"runner: internal error [0-9a-f]{8}: ZeroDivisionError: ", ended.err)
        assert "Traceback" not in ended.err

        assert "Traceback" in repository.runner("--debug", "run", PYTHONPATH=path).err


def test_a_reader_that_goes_away_is_no_error(repository: Repository) -> None:
    process = repository.start("list")
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate()

    assert (process.returncode, err) == (0, b"")


def test_with_its_standard_streams_closed_it_runs_all_the_same(repository: Repository, tmp_path: Path) -> None:
    repository.box(2, "echo heard; echo heard >&2")
    script = f'"{sys.executable}" -m runner run 2 --jsonl "{tmp_path}/record" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script], cwd=repository.root, env=repository.env, check=False)

    assert done.returncode == 0
    assert '"output":"heard\\nheard\\n"' in (tmp_path / "record").read_text()


def test_help_names_every_command_and_every_option(repository: Repository) -> None:
    told = repository.runner("--help").out
    assert all(re.search(rf"^  {name} ", told, re.MULTILINE) for name in COMMANDS)

    for name, module in (
        ("run", run),
        ("list", list_boxes),
        ("show", show),
        ("falsify", falsify),
        ("doctor", doctor),
        ("compare", compare),
    ):
        ended = repository.runner(name, "--help")
        assert (ended.code, ended.err) == (0, "")
        assert all(option.names[-1] in ended.out for option in module.OPTIONS)


def test_the_reference_names_every_command_and_every_option() -> None:
    page = (SOURCE / "docs" / "reference" / "cli-runner.md").read_text()
    missing = [f"`runner {name}`" for name in COMMANDS if f"runner {name}" not in page]
    for options in (
        GLOBAL,
        run.OPTIONS,
        list_boxes.OPTIONS,
        show.OPTIONS,
        falsify.OPTIONS,
        doctor.OPTIONS,
        compare.OPTIONS,
    ):
        missing += [option.names[-1] for option in options if f"`{option.names[-1]}" not in page]

    assert missing == []


class TestOptions:
    TABLE = (Option("-j", "--jobs", value="N", number=True, help=""), Option("--strict", help=""))

    @pytest.mark.parametrize("words", [["-j4"], ["-j", "4"], ["--jobs=4"], ["--jobs", "4"], ["-j1", "--jobs", "4"]])
    def test_a_value_may_be_written_in_each_usual_way(self, words: list[str]) -> None:
        given, _ = read([*words, "21"], self.TABLE)

        assert (given.number("jobs", 1), given.words) == (4, ("21",))

    def test_after_two_dashes_all_are_words(self) -> None:
        assert read(["--", "--jobs", "-"], self.TABLE)[0].words == ("--jobs", "-")

    def test_a_switch_takes_no_value(self) -> None:
        with pytest.raises(UsageMistake, match="--strict takes no value"):
            read(["--strict=yes"], self.TABLE)


def test_list_and_show_say_what_is_declared(repository: Repository) -> None:
    repository.box(
        21,
        "test -f app",
        tier=2,
        block="""\
        title = "The app is there"
        tags = ["smoke"]
        [control]
        run = "rm app"
        expect = {output = "gone"}
        """,
    )

    assert repository.runner("list").out == (
        "tier 1\n   1  box  (no control)\ntier 2\n  21  The app is there  (#smoke, control: run)\n"
    )
    document = json.loads(repository.runner("list", "--json", "tier:2").out)
    assert document["schema"] == "runner.list/1"
    assert [(box["box"], box["tier"], box["control"]["kind"]) for box in document["boxes"]] == [(21, 2, "run")]

    shown = repository.runner("show", "21").out
    assert shown.startswith("box 21: The app is there\n")
    assert "run (boxes/tier-2/21_box.sh:" in shown
    assert "expects output that matches 'gone' to turn red" in shown
    assert "last run:    never" in shown


def test_nothing_is_written_into_the_repository(repository: Repository) -> None:
    repository.box(2, 'echo x > "$BOX_ARTIFACTS/x"')
    before = sorted(repository.root.rglob("*"))
    repository.runner("run")

    assert sorted(repository.root.rglob("*")) == before
    assert list(repository.cache.rglob("2.1.artifacts/x"))


def test_without_a_place_to_remember_it_runs_all_the_same(repository: Repository) -> None:
    assert repository.runner("run", XDG_CACHE_HOME="/proc/nowhere").code == 0


def test_the_event_stream_on_standard_output_has_it_for_itself(repository: Repository) -> None:
    ended = repository.runner("run", "--jsonl", "-")

    assert all(json.loads(line) for line in ended.out.splitlines())
    assert "sandbox: off" in ended.err.splitlines()[0]


def test_the_first_line_names_the_isolation(repository: Repository) -> None:
    assert repository.runner("run").out.startswith("sandbox: off")


def test_clean_env_passes_nothing_on(repository: Repository) -> None:
    repository.box(2, 'test -z "$SECRET"')

    assert repository.verdicts("2", SECRET="x") == {2: "failed"}
    assert repository.verdicts("2", "--clean-env", SECRET="x") == {2: "passed"}
    assert repository.verdicts("2", "--trust", "T1", SECRET="x") == {2: "passed"}


def test_in_ci_a_flaky_box_is_red_unless_told_otherwise(repository: Repository) -> None:
    repository.box(2, "test $BOX_ATTEMPT = 2", block="retries = 1")

    assert repository.runner("run", "2").code == 0
    assert repository.runner("run", "2", CI="true").code == 1
    assert repository.runner("run", "2", "--flaky", "pass", CI="true").code == 0


def test_logs_and_artifacts_go_where_they_are_asked_to(repository: Repository, tmp_path: Path) -> None:
    repository.box(2, 'echo printed; echo kept > "$BOX_ARTIFACTS/a.txt"')
    (finished,) = of("BoxFinished", repository.events("2", "--logs", str(tmp_path / "logs")))

    assert finished.artifacts == ("a.txt",)
    assert (tmp_path / "logs" / "2.1.log").read_text() == "printed\n"
    assert (tmp_path / "logs" / "2.1.artifacts" / "a.txt").read_text() == "kept\n"


class TestSince:
    @pytest.fixture
    def changed(self, repository: Repository) -> Repository:
        repository.box(2, "exit 0", block='inputs = ["src/**"]')
        repository.box(3, "exit 0", block='inputs = ["docs/*.md"]')
        repository.write("src/app.py", "one")
        repository.write("docs/a.md", "one")
        repository.git("init")
        repository.git("add", "-A")
        repository.git("commit", "-m", "one")
        return repository

    def test_boxes_without_inputs_always_count_as_changed(self, changed: Repository) -> None:
        assert changed.verdicts("--since", "HEAD").keys() == {1}

    def test_a_changed_input_an_untracked_one_and_the_box_itself_count(self, changed: Repository) -> None:
        changed.write("src/app.py", "two")
        assert changed.verdicts("changed:HEAD").keys() == {1, 2}
        changed.write("docs/deep/b.md", "not matched: a star stays within its directory")
        assert changed.verdicts("changed:HEAD").keys() == {1, 2}
        changed.write("docs/b.md", "untracked")
        assert changed.verdicts("changed:HEAD").keys() == {1, 2, 3}
        assert changed.verdicts("3", "--since", "HEAD").keys() == {3}

    def test_the_box_itself_counts(self, changed: Repository) -> None:
        changed.box(3, "exit 0 # changed", block='inputs = ["docs/*.md"]')
        assert changed.verdicts("changed:HEAD").keys() == {1, 3}

    @pytest.mark.parametrize("ref", ["nosuch", "--output=x", "HEAD:src"])
    def test_a_reference_that_git_does_not_know_is_a_usage_error(self, changed: Repository, ref: str) -> None:
        ended = changed.runner("run", f"--since={ref}")
        assert ended.code == 2
        assert not (changed.root / "x").exists()


HEAVY = {
    *("argparse", "asyncio", "concurrent.futures", "contextlib", "dataclasses", "hashlib", "logging", "pathlib"),
    *("pydantic", "rich", "ruamel", "shutil", "subprocess", "tempfile", "threading", "tomllib", "typing"),
}


def test_a_warm_run_imports_the_standard_library_only_and_nothing_heavy_of_it(repository: Repository) -> None:
    repository.runner("run", "1")
    # As the console script does it; -S, because what a site's .pth files import is not ours.
    done = subprocess.run(
        [sys.executable, "-S", "-X", "importtime", "-c", "from runner.cli import main; main(['run', '1'])"],
        cwd=repository.root,
        env=repository.env,
        check=True,
        capture_output=True,
        text=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "runner.schedule" in imported
    outside = (
        {name.partition(".")[0] for name in imported} - set(sys.stdlib_module_names) - {"runner", "imported package"}
    )

    assert outside == set()
    assert imported & HEAVY == set()


def test_the_version_is_told_without_looking_at_boxes(repository: Repository) -> None:
    repository.write(".github/interlock.yml", "nonsense: [")
    assert repository.runner("--version").out == "runner 0.1.0\n"


def test_python_m_runner_and_main_agree(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == "runner 0.1.0\n"
    assert main(["nonsense"]) == 2


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028"])
def test_a_file_s_name_cannot_begin_a_line_that_github_takes_for_an_order(repository: Repository, end: str) -> None:
    repository.write(f"boxes/tier-1/1_a{end}::error::##[error]x.sh", "#!/bin/sh\n")
    ended = repository.runner("run", GITHUB_ACTIONS="true")
    assert ended.code == 3
    assert ended.err.startswith("runner: boxes/tier-1/1_a ::error::#")
    assert len(ended.err.splitlines()) == 1
    assert "##[" not in ended.err


def test_a_failed_setup_of_a_falsification_gives_github_no_orders(repository: Repository) -> None:
    repository.box(1, "exit 0")
    orders = "setup: {run: \"echo '::error::pwned'; echo 'x ##[error]pwned'; exit 1\"}\n"
    repository.write(".github/interlock.yml", orders)
    ended = repository.runner("falsify", GITHUB_ACTIONS="true")
    assert ended.code == 1
    said = ended.err.splitlines()
    assert "pwned" in ended.err
    assert not [line for line in said if line.lstrip().startswith("::") or "##[" in line]
