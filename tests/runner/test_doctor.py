from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path

import pytest

from runner.doctor import Finding, isolation, ladder, machine, main, repository
from runner.isolation import Level, Rung


def levels(root: Path) -> list[tuple[str, str, str]]:
    return [(f.name, f.level, f.found) for f in repository(str(root))]


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


PLAIN = "#!/bin/sh\ntrue\n"
MUTE = "#!/bin/sh\n# /// box\n# control = {env = {A = '1'}}\n# ///\ntrue\n"
SOUND = "#!/bin/sh\n# /// box\n# network = ['x.example']\n# control = {env = {A = '1'}, expect = 'x'}\n# ///\ntrue\n"


def test_an_empty_repository_is_told_how_to_begin(tmp_path: Path) -> None:
    (finding,) = repository(str(tmp_path))
    assert (finding.level, finding.found, finding.fix) == ("warning", "none", 'runner new "Title" writes the first one')


def test_boxes_that_cannot_prove_themselves_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "boxes/tier-1/01_plain.sh", PLAIN)
    write(tmp_path, "boxes/tier-1/02_mute.sh", MUTE)
    write(tmp_path, "boxes/tier-2/03_sound.sh", SOUND)
    assert levels(tmp_path) == [
        ("boxes", "ok", "3 boxes in 2 tiers"),
        ("controls", "warning", "none in 1"),
        ("controls", "warning", "no `expect` in 2"),
    ]


def test_a_setup_that_runs_every_time_is_told(tmp_path: Path) -> None:
    write(tmp_path, ".github/interlock.yml", "setup: {run: make deps}\n")
    assert ("setup", "warning", "setup names no inputs and runs every time") in levels(tmp_path)
    write(tmp_path, ".github/interlock.yml", "setup: {run: make deps, inputs: [Makefile]}\n")
    assert "setup" not in [name for name, _, _ in levels(tmp_path)]


def test_a_mistake_is_an_error_with_its_place(tmp_path: Path) -> None:
    write(tmp_path, ".github/interlock.yml", "boxen: {}\n")
    out = io.StringIO()
    assert main(str(tmp_path), json=True, out=out) == 1
    errors = [f for f in json.loads(out.getvalue())["findings"] if f["level"] == "error"]
    assert [error["name"] for error in errors] == ["boxes"]
    assert errors[0]["found"].startswith(".github/interlock.yml:1: ")


@pytest.mark.parametrize("path", ["bot/__init__.py", "runner.py"])
def test_a_package_of_our_name_is_warned_of(tmp_path: Path, path: str) -> None:
    write(tmp_path, path, "")
    assert ("names", "warning", f"this repository has a top-level {path}") in levels(tmp_path)


def test_our_own_source_tree_is_no_clash() -> None:
    root = Path(__file__).parent.parent.parent
    assert "names" not in [name for name, _, _ in levels(root)]


def test_a_machine_without_git_is_told_what_that_costs() -> None:
    findings = {f.name: f for f in machine({"PATH": "/nowhere", "HOME": "/nowhere"}, io.StringIO())}
    assert (findings["git"].level, findings["sandbox"].level) == ("warning", "warning")
    assert "patch controls need it" in findings["git"].fix


NO_BUBBLEWRAP = Rung(Level.BUBBLEWRAP, why="bubblewrap is not installed", fix="apt-get install -y bubblewrap")
NO_IMAGE = Rung(Level.CONTAINER, why="no image is named", fix="export INTERLOCK_SANDBOX_IMAGE=...")
BOTH = "bubblewrap: bubblewrap is not installed; container: no image is named"
NO_LANDLOCK = Rung(Level.LANDLOCK, why="this kernel has no Landlock")


@pytest.mark.parametrize(
    ("rungs", "told"),
    [
        pytest.param(
            [Rung(Level.BUBBLEWRAP), NO_IMAGE, Rung(Level.LANDLOCK)], ("ok", "bubblewrap: full", ""), id="the-best"
        ),
        pytest.param(
            [NO_BUBBLEWRAP, Rung(Level.CONTAINER), NO_LANDLOCK],
            ("ok", "container: full (bubblewrap: bubblewrap is not installed)", ""),
            id="full-by-another-way",
        ),
        pytest.param(
            [NO_BUBBLEWRAP, NO_IMAGE, Rung(Level.LANDLOCK)],
            (
                "warning",
                f"landlock only: not for the code of strangers ({BOTH})",
                "apt-get install -y bubblewrap",
            ),
            id="less",
        ),
        pytest.param(
            [Rung(Level.BUBBLEWRAP, why="only on Linux"), Rung(Level.LANDLOCK, why="only on Linux")],
            (
                "warning",
                "none (bubblewrap: only on Linux; landlock: only on Linux)",
                "see docs/how-to/get-a-full-sandbox.md",
            ),
            id="none",
        ),
    ],
)
def test_the_rung_is_told_with_what_keeps_a_better_one_away(rungs: list[Rung], told: tuple[str, str, str]) -> None:
    (finding,) = ladder(rungs)
    assert (finding.level, finding.found, finding.fix) == told


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has them")
def test_what_isolation_is_made_of_is_looked_at_piece_by_piece() -> None:
    names = [finding.name for finding in isolation(os.environ)]
    assert [name for name in names if name != "landlock"] == ["sandbox", "users", "cgroups", "syscalls", "views"]


def test_a_cache_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    findings = {f.name: f for f in machine({"XDG_CACHE_HOME": str(tmp_path / "file")}, io.StringIO())}
    assert findings["cache"].level == "warning"
    assert "no history" in findings["cache"].fix


def test_each_warning_has_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        Finding("x", "warning", "bad")
    out = io.StringIO()
    main(str(tmp_path), json=True, out=out)
    document = json.loads(out.getvalue())
    assert document["schema"] == "runner.doctor/1"
    assert all(f["fix"] for f in document["findings"] if f["level"] in {"warning", "error"})


def test_lines_for_people_have_the_fix_below(tmp_path: Path) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert main(str(tmp_path), out=out) == 0
    out.seek(0)
    assert '! boxes      none\n             runner new "Title" writes the first one\n' in out.read()
