"""A team asks whether its green boxes can fail at all; and we ask the same of falsification itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import runner
from runner.controls import Stale, apply
from runner.model import Control
from tests.conftest import MISSING

SUBJECT = "def add(a, b):\n    return a + b\n"
LOOK = f'{sys.executable} -c "import calc; assert calc.add(2, 2) == 4"'

# What each box does, whether it is right to do so, and what must be said of it.
BOXES = {
    1: (f"{LOOK} || {{ echo 'not ok 1 - adds-up'; exit 1; }}", "proven"),
    2: ("test -s calc.py", "blind"),
    3: ("grep -q 'return a + b' calc.py || { echo 'not ok 1 - formatted'; exit 1; }", "wrong_reason"),
    4: (f"{LOOK} || {{ echo 'not ok 1 - adds-up'; exit 1; }}", "stale"),
    5: ("grep -q 'a + b' calc.py || exit 77", "unproven"),
    6: ("grep -q 'a + b' calc.py || kill -ABRT $$", "unproven"),
    7: ("grep -q 'a + b' calc.py || sleep 100", "unproven"),
    8: ("exit 1", "unproven"),
    9: ("true", "no_control"),
}


def configuration() -> str:
    """The boxes as entries, each with the same sabotage; JSON is YAML."""
    spec = {"file": "calc.py", "find": "a + b", "replace": "a - b"}
    entries = {}
    for number, (run, answer) in BOXES.items():
        entry: dict[str, object] = {"tier": 1, "title": f"Box {number}", "run": run, "may_skip": True}
        entry["timeout"] = "1s" if "sleep" in run else "20s"
        if answer != "no_control":
            edit = {**spec, "find": "a * b"} if answer == "stale" else spec
            entry["control"] = {"edit": edit, "expect": "adds-up"}
        entries[number] = entry
    return json.dumps({"boxes": entries})


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    (root / "calc.py").write_text(SUBJECT)
    (root / ".github").mkdir()
    (root / ".github/interlock.yml").write_text(configuration())
    return root


def falsify(repo: Path, product: Path, *words: str) -> tuple[int, dict[int, str], str]:
    """Falsify the boxes above with the runner at `product`; the exit code, the answers, and what a person reads."""
    done = subprocess.run(
        [sys.executable, "-m", "runner", "falsify", "-j", "2", "--json", "-", *words],
        cwd=repo,
        env={
            **os.environ,
            "PYTHONPATH": str(product),
            "PYTHONDONTWRITEBYTECODE": "1",
            "XDG_CACHE_HOME": str(repo.parent / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    assert document["schema"] == "runner.falsify/1"
    return done.returncode, {entry["box"]: entry["answer"] for entry in document["boxes"]}, done.stderr


@pytest.mark.parametrize("sandbox", ["off", "full"])
def test_every_kind_of_box_is_told_what_it_is(repo: Path, sandbox: str) -> None:
    if sandbox == "full" and not shutil.which("bwrap"):
        pytest.skip(f"{MISSING} bwrap")
    code, answers, said = falsify(repo, product(), "--sandbox", sandbox)
    assert answers == {number: answer for number, (_, answer) in BOXES.items()}
    assert code == 1
    last = said.splitlines()[-1]
    assert last.startswith(
        "9 boxes, 1 proved capable of failing: 1 blind, 1 wrong reason, 1 stale, 4 unproven, 1 without control"
    )
    assert (repo / "calc.py").read_text() == SUBJECT


def edit(file: str, find: str, replace: str) -> dict[str, str]:
    return {"file": f"runner/{file}", "find": find, "replace": replace}


# A sabotage of falsification, and the box that must then be answered wrongly.
SABOTAGES = [
    pytest.param(
        edit("proof.py", "sabotaged.outcome is Verdict.PASSED", "sabotaged.outcome is Verdict.CACHED"),
        2,
        id="green-is-fine",
    ),
    pytest.param(edit("proof.py", "if wanted_id in red:", "if red:"), 3, id="any-red-will-do"),
    pytest.param(edit("controls.py", "    if found != 1:\n", "    if found > 1:\n"), 4, id="stale-is-applied"),
    pytest.param(
        edit("proof.py", "sabotaged.outcome is not Verdict.FAILED", "not sabotaged.outcome"), 5, id="skip-will-do"
    ),
    pytest.param(
        edit("proof.py", "if baseline.outcome is Verdict.PASSED:", "if baseline.outcome:"), 8, id="red-baseline"
    ),
]


@pytest.mark.parametrize(("spec", "box"), SABOTAGES)
def test_broken_falsification_answers_wrongly(repo: Path, tmp_path: Path, spec: dict[str, str], box: int) -> None:
    """The test above can fail: with this broken, the named box gets another answer."""
    copy = tmp_path / "product"
    shutil.copytree(product() / "runner", copy / "runner", ignore=shutil.ignore_patterns("__pycache__"))
    try:
        apply(Control(kind="edit", spec=spec, expect=None, where="here"), str(copy))
    except Stale as stale:
        pytest.fail(f"this sabotage is stale: {stale}")
    _, answers, _ = falsify(repo, copy)
    assert answers[box] != BOXES[box][1]


def product() -> Path:
    return Path(runner.__file__).parent.parent
