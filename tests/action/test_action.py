"""The action in workflows that act runs: the whole way from `uses:` to the step that reads its outputs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from inline_snapshot import snapshot

from tests.action.workflow import ROOT, Workflow

if TYPE_CHECKING:
    from pathlib import Path

FORK = {"repository": {"id": 1}, "pull_request": {"head": {"repo": {"id": 2}}}}
NO_INDEX = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_NO_CACHE_DIR": "1"}

# All that a box can try to be taken for a step: both grammars of commands, and the file that later steps' variables are
# read from, which act keeps beside the event.
HOSTILE = """\
echo "::error file=src/good.py,line=1::look there instead"
echo "  ::set-output name=conclusion::success"
echo "and ##[error]somewhere in a line"
echo "::stop-commands::mine"
echo "::add-mask::boxes"
for name in envs pathcmd outputcmd; do
    printf 'INJECTED=1\\nconclusion=success\\n' >>"$(dirname "$GITHUB_EVENT_PATH")/$name.txt"
done
echo "::mine::"
exit 1"""

BLIND = """\
title = "Blind"
[control]
edit = {file = "product.txt", find = "good", replace = "bad"}
expect = "reads good"
"""


def test_a_green_suite_is_a_green_step(workflow: Workflow) -> None:
    workflow.repository.box(1, "exit 0")
    workflow.repository.box(2, "exit 0", tier=2)
    ran = workflow.run(junit="out/boxes.xml", env=NO_INDEX, before="mkdir out")
    assert ran.succeeded
    report, junit = ran.outputs.pop("report"), ran.outputs.pop("junit")
    assert ran.outputs == snapshot(
        {
            "conclusion": "success",
            "green": "2",
            "reason": "green",
            "red": "0",
            "total": "2",
            "OUTCOME": "success",
            "INJECTED": "",
        }
    )
    assert report.endswith("/report.jsonl")
    assert junit.endswith("/out/boxes.xml")
    assert ran.summary.startswith("### ✅ Interlock: 2 boxes: 2 passed")
    assert ran.commands == []


def test_a_red_suite_fails_the_step_and_its_boxes_give_github_no_orders(workflow: Workflow) -> None:
    workflow.repository.box(1, HOSTILE)
    workflow.repository.box(2, "exit 0", tier=2)
    ran = workflow.run()
    assert not ran.succeeded
    assert ran.errors == ["boxes/tier-1/1_box.sh:1 exit 1"]
    assert ran.warnings == [
        "a box wrote to envs.txt; that was discarded",
        "a box wrote to pathcmd.txt; that was discarded",
    ]
    assert ran.outputs.pop("report")
    assert ran.outputs == snapshot(
        {
            "conclusion": "failure",
            "green": "0",
            "junit": "",
            "reason": "red",
            "red": "2",
            "total": "2",
            "OUTCOME": "failure",
            "INJECTED": "",
        }
    )
    assert ran.summary.startswith("### ❌ Interlock: 2 boxes: 1 failed, 1 blocked by 1")


def test_inputs_reach_the_runner_and_annotations_name_paths_of_the_repository(workflow: Workflow) -> None:
    for number, tier in ((1, 1), (2, 2), (3, 2), (4, 3)):
        place = workflow.repository.write(f"services/api/boxes/tier-{tier}/{number}_box.sh", "#!/bin/sh\nexit 1\n")
        assert place.exists()
    ran = workflow.run(select="not 4", tier="2..", shard="2/2", jobs="1", working_directory="services/api")
    assert ran.errors == ["services/api/boxes/tier-2/3_box.sh:1 exit 1"]
    assert (ran.outputs["total"], ran.outputs["reason"]) == ("1", "red")
    assert ran.log.startswith("sandbox: off · 1 box · 1 at a time\n")


@pytest.mark.parametrize(
    ("falsify", "succeeded", "reason"),
    [
        pytest.param("tell", True, "green", id="tell"),
        pytest.param("require", False, "not_proven", id="require"),
    ],
)
def test_a_blind_box_is_told_or_fails_the_step_as_asked(
    workflow: Workflow, falsify: str, succeeded: bool, reason: str
) -> None:
    workflow.repository.write("product.txt", "good\n")
    workflow.repository.box(1, '. "$BOX_LIB"\nok "reads good" true', block=BLIND)
    ran = workflow.run(falsify=falsify)
    assert ran.succeeded is succeeded
    assert ran.outputs["reason"] == reason
    assert "blind" in ran.log
    assert "not every box proved that it can fail" in ran.warnings or not succeeded


@pytest.mark.requirement("S-10")
def test_a_fork_s_code_is_not_run_with_the_repository_s_rights(workflow: Workflow) -> None:
    workflow.repository.box(1, "touch ../ran")
    ran = workflow.run(event="pull_request_target", payload=FORK)
    assert not ran.succeeded
    (said,) = ran.errors
    assert said.split(". ") == snapshot(
        [
            (
                "nothing was run: a workflow on pull_request_target has this repository's rights,"
                " and the head of the pull request is in a fork"
            ),
            "Run boxes on pull_request instead; docs/how-to/run-boxes-in-a-workflow.md of Interlock says how",
        ]
    )
    assert (ran.outputs["reason"], ran.outputs["total"], ran.outputs["report"]) == ("fork_code", "0", "")


@pytest.mark.requirement("S-10")
def test_an_explicit_unsafe_input_lets_it_run_and_is_told(workflow: Workflow) -> None:
    workflow.repository.box(1, "exit 0")
    ran = workflow.run(event="pull_request_target", payload=FORK, allow_unsafe_fork_code="true")
    assert ran.succeeded
    assert ran.warnings == ["allow-unsafe-fork-code is set, and the head of the pull request is in a fork"]


@pytest.mark.requirement("S-16")
def test_what_an_input_says_never_reaches_a_shell(workflow: Workflow) -> None:
    workflow.repository.box(1, "exit 0")
    written = workflow.home / "written"
    ran = workflow.run(
        select=f"$(touch {written}) `touch {written}`\"; touch {written}; '\n::error::pwned\n1", python="python3"
    )
    assert not written.exists()
    assert ran.outputs["reason"] == "usage"
    assert len(ran.errors) == 1
    assert ran.errors[0].startswith("`select`: ")


def test_without_a_python_the_step_says_what_to_do(workflow: Workflow) -> None:
    workflow.repository.box(1, "exit 0")
    ran = workflow.run(python="/nonexistent/python3.13")
    assert ran.errors == ["the input `python` names no Python 3.11 or newer"]
    assert (ran.outputs["conclusion"], ran.outputs["reason"]) == ("failure", "no_python")


CONFIGURED = "boxes:\n  7: {tier: 1, title: Configured, run: 'true'}\n"


def pip_environment() -> dict[str, str]:
    """Where this machine's pip looks: the tests' own settings, in a home that is not theirs."""
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


@pytest.fixture
def index(tmp_path: Path) -> dict[str, str]:
    """An index that has the action's pins; what says where it is."""
    words = ["-m", "pip", "download", "-q", "--no-deps", "--require-hashes", "-d", str(tmp_path / "wheels")]
    environment = {**pip_environment(), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    asked = subprocess.run(
        [sys.executable, *words, "-r", ROOT / "action" / "requirements.txt"],
        env=environment,
        capture_output=True,
        check=False,
    )
    if asked.returncode:
        pytest.skip("missing component: a package index")
    return pip_environment()


def test_a_configuration_is_read_with_what_was_installed_for_this_run_alone(
    workflow: Workflow, index: dict[str, str]
) -> None:
    workflow.repository.write(".github/interlock.yml", CONFIGURED)
    ran = workflow.run(env=index)
    assert ran.succeeded, ran.log
    assert ran.outputs["total"] == "1"
    left = {path.name for path in workflow.home.rglob("interlock-*/*")}
    assert "python" not in left


def test_dependencies_that_cannot_be_had_are_named(workflow: Workflow) -> None:
    workflow.repository.write(".github/interlock.yml", CONFIGURED)
    ran = workflow.run(env=NO_INDEX)
    assert ran.errors == [
        "the runner's dependencies could not be installed, which it needs to read .github/interlock.yml"
    ]
    assert (ran.outputs["reason"], ran.outputs["OUTCOME"]) == ("no_dependencies", "failure")
    assert re.search(r"ERROR: (?:Could not find|No matching)", ran.log)
