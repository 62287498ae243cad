"""What surrounds the action: its pins, its reference page, and the workflows of this repository."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from action.outcome import Reason
from tests.action.workflow import ACT

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(path)
    return loaded


ACTION = load(ROOT / "action.yml")
PAGE = (ROOT / "docs" / "reference" / "action.md").read_text("utf-8")


def test_the_action_s_pins_are_those_of_the_lock() -> None:
    command = [sys.executable, str(ROOT / "tools" / "cut_requirements.py")]
    cut = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (ROOT / "action" / "requirements.txt").read_text("utf-8") == cut
    assert {"rich", "ruamel-yaml"} <= set(re.findall(r"^([a-z0-9-]+)==", cut, re.MULTILINE))
    assert len(re.findall(r"^[a-z0-9-]+==.*(?:\\\n    --hash=sha256:[0-9a-f]{64} ?)+$", cut, re.MULTILINE)) == 5


def rows(heading: str) -> list[list[str]]:
    """The rows of the first table under a heading of the reference page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_the_reference_page_has_every_input_with_its_default() -> None:
    told = {row[0].strip("`"): row[1].strip("`") for row in rows("Inputs")}
    assert told == {name: str(one["default"]) for name, one in ACTION["inputs"].items()}


def test_the_reference_page_has_every_output() -> None:
    assert [row[0].strip("`") for row in rows("Outputs")] == list(ACTION["outputs"])


def test_the_reference_page_has_every_reason() -> None:
    assert [row[0].strip("`") for row in rows("Reasons")] == [reason.value for reason in Reason]


def test_no_script_of_the_action_has_an_expression_in_it() -> None:
    (step,) = ACTION["runs"]["steps"]
    assert "${{" not in step["run"]
    asked = {text[len("${{ inputs.") : -len(" }}")]: name for name, text in step["env"].items()}
    assert asked == {name: f"INPUT_{name.upper().replace('-', '_')}" for name in ACTION["inputs"]}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_of_ours_has_few_rights_a_time_limit_and_pinned_actions(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(workflow["on"])
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert job.get("permissions", {}) in ({}, {"contents": "read"})
        for step in job["steps"]:
            assert "uses" not in step or step["uses"] == "./" or PINNED.fullmatch(step["uses"]), step
            assert "${{" not in step.get("run", "") or "matrix." in step["run"], step
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def linter(name: str) -> str:
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        pytest.skip(f"missing component: {name}")
    return found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param(
            "check-jsonschema", ["--builtin-schema", "vendor.github-actions", "action.yml"], id="schema-of-actions"
        ),
        pytest.param(
            "check-jsonschema",
            ["--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)],
            id="schema-of-workflows",
        ),
        pytest.param("zizmor", ["--offline", "--quiet", "action.yml", ".github"], id="zizmor"),
    ],
)
def test_linters_find_nothing(name: str, words: list[str]) -> None:
    answer = subprocess.run([linter(name), *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_of_ours_is_understood_with_all_its_jobs(path: Path, tmp_path: Path) -> None:
    if ACT is None:
        pytest.skip("missing component: act")
    words = [ACT, "--list", "--strict", "--no-cache-server", "-P", "ubuntu-24.04=-self-hosted", "-W", str(path)]
    answer = subprocess.run(
        words,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert all(job in answer.stdout for job in load(path)["jobs"])
