from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from runner.doctor import Finding, machine, main, repository


def levels(root: Path) -> list[tuple[str, str, str]]:
    return [(f.name, f.level, f.found) for f in repository(str(root))]


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


PLAIN = "#!/bin/sh\ntrue\n"
MUTE = "#!/bin/sh\n# /// box\n# control = {env = {A = '1'}}\n# ///\ntrue\n"
NEEDY = "#!/bin/sh\n# /// box\n# needs = ['postgres']\n# control = {env = {A = '1'}, expect = 'x'}\n# ///\ntrue\n"


def test_an_empty_repository_is_told_how_to_begin(tmp_path: Path) -> None:
    (finding,) = repository(str(tmp_path))
    assert (finding.level, finding.found, finding.fix) == ("warning", "none", 'runner new "Title" writes the first one')


def test_boxes_that_cannot_prove_themselves_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "boxes/tier-1/01_plain.sh", PLAIN)
    write(tmp_path, "boxes/tier-1/02_mute.sh", MUTE)
    write(tmp_path, "boxes/tier-2/03_needy.sh", NEEDY)
    assert levels(tmp_path) == [
        ("boxes", "ok", "3 boxes in 2 tiers"),
        ("controls", "warning", "none in 1"),
        ("controls", "warning", "no `expect` in 2"),
        ("boxes", "warning", "`needs` is not in this version: 3"),
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
    assert (findings["git"].level, findings["sandbox"].level) == ("warning", "note")
    assert "patch controls need it" in findings["git"].fix


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
