"""The step by itself: action/start.sh as a workflow starts it, without the workflow."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from action import machine
from action.outcome import Reason, outcome
from runner.events import Event, RunStarted, SetupFinished
from tests.action.workflow import bare_python
from tests.runner.command_line import Repository

ROOT = Path(__file__).parents[2]
FILES = ("GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH")


class Step:
    """The environment of one step, and what it leaves."""

    def __init__(self, tmp_path: Path) -> None:
        self.repository = Repository(tmp_path)
        self.tools = tmp_path / "bin"
        self.tools.mkdir()
        self.python = bare_python(tmp_path / "python") / "python3"
        (self.tools / "python3").symlink_to(self.python)
        self.files = {name: tmp_path / name.lower() for name in FILES}
        for path in self.files.values():
            path.write_text("")
        self.temporary = tmp_path / "temporary"
        self.temporary.mkdir()
        self.environ = {
            "PATH": f"{self.tools}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "RUNNER_TEMP": str(self.temporary),
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "push",
            "GITHUB_WORKSPACE": str(self.repository.root),
            "CI": "true",
            **{name: str(path) for name, path in self.files.items()},
        }

    def program(self, name: str, body: str) -> None:
        path = self.tools / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def start(self, **inputs: str) -> subprocess.Popen[str]:
        given = {f"INPUT_{name.upper()}": text for name, text in inputs.items()}
        return subprocess.Popen(
            ["/bin/sh", ROOT / "action" / "start.sh"],
            cwd=self.repository.root,
            env={**self.environ, **given},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **inputs: str) -> tuple[int, str]:
        """Its exit code and its log."""
        process = self.start(**inputs)
        log, _ = process.communicate()
        return process.returncode, log

    @property
    def outputs(self) -> dict[str, str]:
        """What a runner of GitHub reads: `name=value`, and `name<<MARK` until a line that is MARK."""
        found = {}
        lines = iter(self.files["GITHUB_OUTPUT"].read_text().splitlines())
        for line in lines:
            name, heredoc, mark = line.partition("<<")
            if heredoc:
                found[name] = "\n".join(iter(lines.__next__, mark))
            else:
                name, _, found[name] = line.partition("=")
        return found


@pytest.fixture
def step(tmp_path: Path) -> Step:
    return Step(tmp_path)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        pytest.param({"select": "nonsense"}, "`select`: cannot read `nonsense`", id="select"),
        pytest.param({"select": "all) or (1"}, "`select`: `)` without its `(`", id="select-that-ends-a-parenthesis"),
        pytest.param({"tier": "two"}, "`tier` must be such as 2, 1-3, ..3 or 2..", id="tier"),
        pytest.param({"tier": "1) or (2"}, "`tier` must be such as 2, 1-3, ..3 or 2..", id="tier-with-more-in-it"),
        pytest.param({"tier": "3-1"}, "`tier`: the range 3-1 ends before it begins (1-3)", id="tier-backwards"),
        pytest.param({"shard": "3/2"}, "`shard` must be such as 2/5", id="shard"),
        pytest.param({"falsify": "yes"}, "`falsify` must be one of off, tell, require", id="falsify"),
        pytest.param({"sandbox": "on"}, "`sandbox` must be one of off, auto, full", id="sandbox"),
        pytest.param({"jobs": "0"}, "`jobs` must be a whole number from 1", id="jobs"),
        pytest.param({"jobs": "²"}, "`jobs` must be a whole number from 1", id="jobs-in-other-digits"),
        pytest.param(
            {"working_directory": "nowhere"},
            "`working-directory` names no directory; was the repository checked out?",
            id="working-directory",
        ),
        pytest.param(
            {"allow_unsafe_fork_code": "TRUE"},
            "`allow-unsafe-fork-code` must be one of true, false",
            id="allow-unsafe-fork-code",
        ),
    ],
)
def test_an_input_that_means_nothing_is_refused_before_anything_runs(
    step: Step, inputs: dict[str, str], said: str
) -> None:
    step.repository.box(1, "touch ../ran")
    code, log = step.run(**inputs)
    assert log.startswith(f"::error title=Interlock::{said}")
    assert (code, step.outputs["reason"], step.outputs["conclusion"]) == (2, "usage", "failure")
    assert not (step.repository.root.parent / "ran").exists()


def test_no_input_at_all_runs_everything(step: Step) -> None:
    step.repository.box(1, "exit 0")
    code, _ = step.run()
    assert (code, step.outputs["reason"], step.outputs["total"]) == (0, "green", "1")


def test_a_full_sandbox_is_asked_for_and_named(step: Step) -> None:
    if shutil.which("bwrap") is None:
        pytest.skip("missing component: bubblewrap")
    step.repository.root.parent.chmod(0o755)
    step.repository.box(1, "exit 0")
    code, log = step.run(sandbox="full")
    assert code == 0, log
    assert log.splitlines()[0].startswith("sandbox: bubblewrap · ")
    assert "sandbox: bubblewrap" in step.files["GITHUB_STEP_SUMMARY"].read_text()


def test_a_setup_that_fails_has_a_reason_of_its_own() -> None:
    events: list[Event] = [
        RunStarted(run_id="1", at=0.0, jobs=1, boxes=[]),
        SetupFinished(suite="", ok=False, seconds=1.0, reason="exit 1", output="", at=1.0),
    ]
    assert outcome(1, events).reason is Reason.SETUP_FAILED
    assert outcome(5, events).reason is Reason.INTERRUPTED


@pytest.mark.parametrize(
    ("box", "code", "reason", "annotation"),
    [
        pytest.param("", 4, "nothing_selected", "::error title=Interlock::no boxes in ", id="nothing-there"),
        pytest.param(
            "# /// box\n# titel = 'x'\n# ///",
            3,
            "configuration",
            "::error file=boxes/tier-1/1_box.sh,line=3,title=Interlock::unknown key",
            id="a-key-that-is-unknown",
        ),
    ],
)
def test_what_kept_boxes_from_running_is_an_annotation_and_a_reason(
    step: Step, box: str, code: int, reason: str, annotation: str
) -> None:
    if box:
        step.repository.box(1, box)
    ended, log = step.run()
    assert (ended, step.outputs["reason"]) == (code, reason)
    assert annotation in log


def test_a_box_knows_nothing_of_the_step(step: Step) -> None:
    step.repository.box(
        1, "env | grep -E '^(INPUT_|GITHUB_(OUTPUT|ENV|PATH|STATE|STEP_SUMMARY)|ACTIONS_)' && exit 1; :"
    )
    step.environ |= {"ACTIONS_ID_TOKEN_REQUEST_TOKEN": "key", "ACTIONS_RUNTIME_TOKEN": "key"}
    code, log = step.run(select="all")
    assert code == 0, log


def test_outputs_are_the_step_s_own_whatever_a_box_wrote_there(step: Step) -> None:
    output = step.files["GITHUB_OUTPUT"]
    step.repository.box(1, f"printf 'conclusion=success\\nreason<<END\\ngreen\\n' >{output}; exit 1")
    code, _ = step.run()
    assert code == 1
    assert (step.outputs["conclusion"], step.outputs["reason"]) == ("failure", "red")


def test_what_an_earlier_step_said_is_kept_when_a_box_s_is_discarded(step: Step) -> None:
    variables = step.files["GITHUB_ENV"]
    variables.write_text("EARLIER=1\n")
    step.repository.box(1, f"echo INJECTED=1 >>{variables}")
    _, log = step.run()
    assert variables.read_text() == "EARLIER=1\n"
    assert "::warning title=Interlock::a box wrote to github_env; that was discarded" in log


def test_a_module_of_the_repository_is_not_taken_for_the_runner_s(step: Step) -> None:
    for name in ("json.py", "runner/__init__.py", "action/__init__.py"):
        step.repository.write(name, "raise SystemExit('hijacked')\n")
    step.environ["PYTHONPATH"] = str(step.repository.root)
    step.repository.box(1, "exit 0")
    code, log = step.run()
    assert code == 0, log


def test_a_python_that_is_too_old_is_passed_over(step: Step) -> None:
    step.repository.box(1, "exit 0")
    (step.tools / "python3").rename(step.tools / "python3.13")
    step.program("python3", "exit 1")
    assert step.run()[0] == 0


def test_no_python_at_all_is_an_error_with_a_way_out(step: Step) -> None:
    step.program("python3", "exit 1")
    (step.tools / "dirname").symlink_to("/usr/bin/dirname")
    step.environ["PATH"] = str(step.tools)
    code, log = step.run()
    assert code == 3
    assert log.removeprefix("::error title=Interlock::").split("; ") == snapshot(
        [
            "there is no Python 3.11 or newer on PATH",
            "run actions/setup-python before, or name one with the input `python`\n",
        ]
    )
    assert step.outputs == {"conclusion": "failure", "reason": "no_python"}


def test_a_cancelled_workflow_ends_the_boxes_and_says_so(step: Step) -> None:
    os.mkfifo(step.repository.root.parent / "begun")
    step.repository.box(1, "echo begun >../begun; sleep 60")
    process = step.start()
    with (step.repository.root.parent / "begun").open() as begun:
        begun.read()
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert (process.returncode, step.outputs["reason"]) == (5, "interrupted")
    assert step.outputs["total"] == "1"


@pytest.mark.requirement("S-10")
def test_an_event_that_cannot_be_read_is_a_stranger_s(step: Step) -> None:
    step.repository.box(1, "exit 0")
    step.environ["GITHUB_EVENT_NAME"] = "workflow_run"
    for text in ("", "[" * 100_000, json.dumps([])):
        step.files["GITHUB_EVENT_PATH"].write_text(text)
        assert step.run()[0] == 3
        assert step.outputs["reason"] == "fork_code"


class Ubuntu:
    """What stands for a hosted runner: its kernel's setting, and a sudo that writes down what it is asked for."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked = tmp_path / "asked"
        self.tools = tmp_path / "ubuntu"
        self.tools.mkdir()
        setting = tmp_path / "proc" / machine.RESTRICTION
        setting.parent.mkdir(parents=True)
        setting.write_text("1\n")
        self.proc = str(tmp_path / "proc")
        monkeypatch.setenv("PATH", str(self.tools))
        monkeypatch.setattr(os, "geteuid", lambda: 1001)

    def has(self, name: str, body: str = ":") -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.tools / name).chmod(0o755)

    def has_sudo(self, answer: str = ":") -> None:
        self.has("sudo", f'echo "$*" >>{self.asked}; {answer}')

    def open_sandbox(self, environment: str = "github-hosted") -> list[str]:
        said: list[str] = []
        machine.open_sandbox({"RUNNER_ENVIRONMENT": environment}, said.append, proc=self.proc)
        return said


@pytest.fixture
def ubuntu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ubuntu:
    return Ubuntu(tmp_path, monkeypatch)


def test_a_hosted_runner_gets_what_a_sandbox_needs_and_the_log_says_what_was_done(ubuntu: Ubuntu) -> None:
    ubuntu.has_sudo()
    said = ubuntu.open_sandbox()
    assert said == [
        "for the sandbox: sudo apt-get install -qq -y --no-install-recommends bubblewrap",
        "for the sandbox: sudo sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0",
    ]
    assert ubuntu.asked.read_text().splitlines() == [line.replace("for the sandbox: sudo", "-n") for line in said]


def test_only_what_is_missing_is_done(ubuntu: Ubuntu) -> None:
    ubuntu.has_sudo()
    ubuntu.has("bwrap")
    assert ubuntu.open_sandbox() == [
        "for the sandbox: sudo sysctl -q -w kernel.apparmor_restrict_unprivileged_userns=0"
    ]


def test_a_machine_that_stays_is_left_as_it_is(ubuntu: Ubuntu) -> None:
    ubuntu.has_sudo()
    (said,) = ubuntu.open_sandbox("self-hosted")
    assert said.startswith("AppArmor restricts user namespaces here; `sudo sysctl -w kernel.apparmor_restrict")
    assert not ubuntu.asked.exists()


def test_a_sudo_that_refuses_is_told(ubuntu: Ubuntu) -> None:
    ubuntu.has("bwrap")
    ubuntu.has_sudo("echo 'sudo: a password is required' >&2; exit 1")
    (said,) = ubuntu.open_sandbox()
    assert said.endswith("userns=0 (failed: sudo: a password is required)")


def test_without_sudo_the_runner_judges_what_is_left(ubuntu: Ubuntu) -> None:
    assert ubuntu.open_sandbox() == ["there is no sudo to prepare a sandbox with"]
