"""Our own boxes are what they say they are. That each can turn red is proved by `make boxes`, which takes a minute."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from runner.discover import discover
from runner.model import Box

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "runner" / "lib" / "box.py"

BOXES = {
    2: (1, "Code Freeze"),
    5: (1, "Release Candidate"),
    9: (2, "Demo Generation"),
    21: (4, "API Failure"),
    25: (4, "Timeout"),
    26: (4, "Deadlock Prevention"),
    27: (4, "Concurrent Requests"),
    28: (4, "Resource Limits"),
    31: (4, "State Transitions"),
    32: (4, "Rollback Recovery"),
    34: (4, "Message Delivery"),
    35: (4, "DAG Execution"),
    36: (4, "Quality Gates"),
    37: (4, "Memory Leak"),
    38: (4, "CPU Efficiency"),
    39: (4, "Input Validation"),
    40: (4, "Secret Handling"),
    41: (4, "Full Integration"),
    47: (5, "Webhook dedupe & redelivery"),
    71: (7, "Command authorisation"),
    74: (8, "Blue-green, canary, auto-rollback"),
}
"""Number → tier and name. Both are quoted elsewhere, so they do not change."""

SWITCH = re.compile(r"sabotage|falsif|chaos|cheat|break_?(?:it|me)", re.IGNORECASE)


SUITE = discover(str(ROOT))

each_box = pytest.mark.parametrize("box", [pytest.param(box, id=str(box.id)) for box in SUITE.boxes])


def text_of(box: Box) -> str:
    return (ROOT / box.source).read_text()


def test_the_runner_lists_exactly_the_boxes_of_the_table() -> None:
    command = [sys.executable, "-m", "runner", "-C", str(ROOT), "list", "--json"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows = json.loads(said.stdout)["boxes"]
    assert {row["box"]: (row["tier"], row["title"].partition(":")[0]) for row in rows} == BOXES


@each_box
def test_a_control_says_which_assertion_must_notice(box: Box) -> None:
    assert box.control
    assert box.control.expect
    expected = box.control.expect.assertion
    assert expected
    assert re.search(rf'box\.(ok|equal|contains)\(\s*"{expected}"', text_of(box))


@each_box
def test_a_control_edits_the_product_and_fits_it(box: Box) -> None:
    assert box.control
    assert box.control.kind == "edit"
    edit = box.control.spec
    assert edit["file"].startswith(("bot/", "runner/"))
    assert not edit["file"].startswith("bot/localhub/"), "GitHub's stand-in is not what a box tests"
    assert (ROOT / edit["file"]).read_text().count(edit["find"]) == 1


@each_box
def test_a_box_runs_the_product_of_the_tree_it_stands_in(box: Box) -> None:
    text = text_of(box)
    assert "from boxes._interlock import" in text
    assert not re.search(r"^(?:from|import) (?:bot|runner)\b", text, re.MULTILINE), "boxes talk to processes"


@each_box
def test_a_box_knows_no_sabotage_switch(box: Box) -> None:
    assert not SWITCH.search(text_of(box))


def test_the_product_reads_no_sabotage_switch() -> None:
    product = [*(ROOT / "bot").rglob("*.py"), *(ROOT / "runner").rglob("*.py")]
    asked = {
        (path.name, name)
        for path in product
        for name in re.findall(r"""(?:environ(?:\.get)?[\[(]|getenv\()\s*f?["']([^"']+)""", path.read_text())
    }
    assert asked, "the pattern finds what is read from the environment"
    assert not [found for found in asked if SWITCH.search(found[1])]


def preamble(directory: Path, tmp_path: Path) -> list[tuple[str, bool]]:
    """The assertions that the helper makes in a box that is started in a directory."""
    report = tmp_path / "report.jsonl"
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "BOX_LIB_PY": str(LIBRARY),
        "BOX_REPORT": str(report),
        "BOX_TMP": str(tmp_path),
    }
    subprocess.run([sys.executable, "-c", "import boxes._interlock"], cwd=directory, env=environ, check=False)
    return [(line["id"], line["ok"]) for line in map(json.loads, report.read_text().splitlines())]


def test_a_box_is_red_when_it_would_start_another_tree(tmp_path: Path) -> None:
    assert preamble(ROOT, tmp_path) == [("this-tree-is-started", True)]
    (tmp_path / "report.jsonl").unlink()
    assert preamble(tmp_path, tmp_path) == [("this-tree-is-started", False)]
