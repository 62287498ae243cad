from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.controls import (
    Applied,
    Stale,
    apply,
    check_changed,
    import_path,
    imported_from,
)
from runner.model import Control
from runner.tree_copy import copy_tree


def control(kind: str, **spec: str) -> Control:
    return Control(kind=kind, spec=spec, expect=None, where="boxes/tier-1/01_x.sh:4")


def edit(find: str, replace: str = "new", file: str = "app.py") -> Control:
    return control("edit", file=file, find=find, replace=replace)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "src" / "app").mkdir(parents=True)
    (tree / "src" / "app" / "__init__.py").write_text("")
    (tree / "src" / "app" / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    (tree / "app.py").write_text("x = 1\ny = 1\n")
    return tree


def copied(tree: Path) -> Path:
    copy_tree(str(tree), str(tree.parent / "copy"))
    return tree.parent / "copy"


def test_a_copy_has_the_same_files_modes_and_times(tree: Path) -> None:
    script = tree / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    os.utime(script, ns=(1, 1_000_000_000_000_000_007))
    copy = copied(tree)
    assert {str(p.relative_to(copy)) for p in copy.rglob("*")} == {str(p.relative_to(tree)) for p in tree.rglob("*")}
    assert stat.S_IMODE((copy / "run.sh").stat().st_mode) == 0o755
    assert (copy / "run.sh").stat().st_mtime_ns == 1_000_000_000_000_000_007


def test_writing_into_the_copy_never_reaches_the_original(tree: Path) -> None:
    os.link(tree / "app.py", tree / "hard.py")
    copy = copied(tree)
    for file in copy.rglob("*.py"):
        assert file.stat().st_nlink == 1
        file.write_text("broken")
    assert (tree / "app.py").read_text() == "x = 1\ny = 1\n"


def test_history_and_bytecode_are_left_out(tree: Path) -> None:
    for path in (".git/config", "src/app/__pycache__/calc.cpython-311.pyc", "src/app/calc.pyc", "only.pyc"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("stale")
    copy = copied(tree)
    assert [str(p.relative_to(copy)) for p in copy.rglob("*.pyc")] == ["only.pyc"]
    assert not (copy / ".git").exists()


def test_environments_are_linked_and_named(tree: Path) -> None:
    for path in ("node_modules/x/index.js", "env/pyvenv.cfg", "env/bin/python"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text("big")
    linked = copy_tree(str(tree), str(tree.parent / "copy"))
    assert sorted(linked) == ["env", "node_modules"]
    assert (tree.parent / "copy" / "node_modules").is_symlink()


def test_links_stay_links_only_inside_the_tree(tree: Path) -> None:
    (tree.parent / "secret").write_text("outside")
    (tree / "relative").symlink_to("src/app/calc.py")
    (tree / "absolute").symlink_to(tree / "app.py")
    (tree / "leaves").symlink_to("../secret")
    (tree / "leaves-too").symlink_to(tree.parent)
    (tree / "dangling").symlink_to("nowhere")
    copy = copied(tree)
    assert (copy / "relative").readlink() == Path("src/app/calc.py")
    assert (copy / "absolute").resolve() == copy / "app.py"
    assert (copy / "dangling").readlink() == Path("nowhere")
    assert not os.path.lexists(copy / "leaves")
    assert not os.path.lexists(copy / "leaves-too")


def test_what_is_no_file_is_left_out(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert not (copied(tree) / "pipe").exists()


def test_a_copy_inside_the_tree_does_not_copy_itself(tree: Path) -> None:
    target = tree / "scratch"
    copy_tree(str(tree), str(target))
    assert not (target / "scratch").exists()
    assert (target / "app.py").exists()


def test_an_edit_that_fits_changes_the_copy_alone(tree: Path) -> None:
    copy = copied(tree)
    applied = apply(edit("x = 1", "x = 2"), str(copy))
    check_changed(applied, str(copy))
    assert (copy / "app.py").read_text() == "x = 2\ny = 1\n"
    assert (tree / "app.py").read_text() == "x = 1\ny = 1\n"
    assert list(applied.edited) == ["app.py"]


def test_an_edit_is_relative_to_the_suite(tree: Path) -> None:
    copy = copied(tree)
    applied = apply(edit("a + b", "a - b", file="app/calc.py"), str(copy), "src")
    assert list(applied.edited) == ["src/app/calc.py"]
    assert "a - b" in (copy / "src/app/calc.py").read_text()


@pytest.mark.parametrize(
    ("sabotage", "why"),
    [
        pytest.param(edit("gone"), "app.py: the text to find is there 0 times, not once", id="gone"),
        pytest.param(edit(" = 1"), "app.py: the text to find is there 2 times, not once", id="twice"),
        pytest.param(edit(""), "app.py: the text to find is there 0 times, not once", id="empty"),
        pytest.param(edit("x = 1", "x = 1"), "app.py: the replacement changes nothing", id="same"),
        pytest.param(edit("x", file="no.py"), "no.py: there is no such file", id="no-file"),
        pytest.param(edit("x", file="src"), "src: there is no such file", id="a-directory"),
        pytest.param(edit("x", file="../secret"), "../secret: that is not a file of this tree", id="leaves"),
        pytest.param(edit("x", file="/etc/hosts"), "/etc/hosts: that is not a file of this tree", id="absolute"),
        pytest.param(edit("b", file="env/x"), "env/x: that is not a file of this tree", id="in-a-linked-directory"),
        pytest.param(control("patch", file="no.patch"), "no.patch: there is no such patch", id="no-patch"),
        pytest.param(control("patch", file="app.py"), "app.py: it names no file", id="not-a-patch"),
        pytest.param(
            control("patch", file="evil.patch"), "../secret: that is not a file of this tree", id="evil-patch"
        ),
    ],
)
def test_what_does_not_fit_is_stale(tree: Path, sabotage: Control, why: str) -> None:
    (tree.parent / "secret").write_text("x")
    (tree / "env").mkdir()
    (tree / "env" / "pyvenv.cfg").write_text("")
    (tree / "env" / "x").write_text("b")
    (tree / "evil.patch").write_text("--- a/../secret\n+++ b/../secret\n@@ -1 +1 @@\n-x\n+y\n")
    copy = copied(tree)
    with pytest.raises(Stale) as stale:
        apply(sabotage, str(copy))
    assert str(stale.value) == why


def test_line_ends_are_named_as_the_reason(tree: Path) -> None:
    (tree / "app.py").write_bytes(b"x = 1\r\ny = 1\r\n")
    with pytest.raises(Stale, match="its lines end in CR LF"):
        apply(edit("x = 1\ny"), str(copied(tree)))


def test_overlapping_matches_are_two(tree: Path) -> None:
    (tree / "app.py").write_text("aaa")
    with pytest.raises(Stale, match="2 times"):
        apply(edit("aa"), str(copied(tree)))


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_an_edit_changes_exactly_one_place_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, before: str, find: str, replace: str
) -> None:
    tree = tmp_path_factory.mktemp("edit")
    file = tree / "app.py"
    file.write_bytes(before.encode())
    try:
        apply(edit(find, replace), str(tree))
    except Stale:
        assert file.read_bytes() == before.encode()
    else:
        head, _, tail = before.partition(find)
        assert file.read_bytes() == (head + replace + tail).encode()
        assert find != replace


def run_step(applied: Applied, copy: Path) -> subprocess.CompletedProcess[str]:
    assert applied.step is not None
    return subprocess.run(
        ["sh", "-c", applied.step.command],
        cwd=copy / applied.step.cwd,
        env={**os.environ, **applied.step.env},
        capture_output=True,
        text=True,
        check=False,
    )


PATCH = """\
--- a/src/app/calc.py\t2026-01-01
+++ b/src/app/calc.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a + b
+    return a - b
"""


def test_a_patch_is_applied_even_inside_another_repository(tree: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tree.parent)], check=True)
    (tree / "control.patch").write_text(PATCH)
    copy = copied(tree)
    applied = apply(control("patch", file="control.patch"), str(copy))
    with pytest.raises(Stale, match="changed nothing"):
        check_changed(applied, str(copy))
    done = run_step(applied, copy)
    assert (done.returncode, done.stderr) == (0, "")
    check_changed(applied, str(copy))
    assert "a - b" in (copy / "src/app/calc.py").read_text()


def test_a_patch_whose_context_moved_on_exits_non_zero(tree: Path) -> None:
    (tree / "control.patch").write_text(PATCH.replace("a + b", "b + a"))
    copy = copied(tree)
    assert run_step(apply(control("patch", file="control.patch"), str(copy)), copy).returncode == 1


def test_a_removed_line_that_looks_like_a_header_names_no_file(tree: Path) -> None:
    (tree / "control.patch").write_text(PATCH + "--- ../../etc/passwd\n")
    applied = apply(control("patch", file="control.patch"), str(copied(tree)))
    assert list(applied.edited) == ["src/app/calc.py"]


def test_env_and_run_say_what_is_to_be_done(tree: Path) -> None:
    assert apply(control("env", LIMIT="0"), str(tree)).env == {"LIMIT": "0"}
    step = apply(control("run", command="rm app.py"), str(tree), "src").step
    assert step is not None
    assert (step.command, step.cwd) == ("rm app.py", "src")


@pytest.mark.parametrize("kind", ["fault", "target"])
def test_what_becomes_of_a_service_or_the_target_is_for_those_who_provide_them(tree: Path, kind: str) -> None:
    assert apply(control(kind, service="redis", **{"is": "down"}), str(tree)).faults == {
        "kind": kind,
        "service": "redis",
        "is": "down",
    }


@pytest.mark.parametrize(
    ("edited", "roots"),
    [
        pytest.param(["src/app/calc.py"], ["src"], id="package"),
        pytest.param(["src/app/data/page.html"], ["src"], id="data-of-a-package"),
        pytest.param(["app.py"], ["."], id="top-level-module"),
        pytest.param(["src/loose/mod.py"], ["src/loose", "src", "."], id="namespace-or-script"),
        pytest.param(["README.md"], [], id="no-python"),
    ],
)
def test_only_what_the_edit_needs_goes_on_the_import_path(tree: Path, edited: list[str], roots: list[str]) -> None:
    for file in edited:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
    path = import_path(str(tree), ".", edited=edited, anything=False, inherited="", original="/elsewhere")
    assert [os.path.relpath(root, tree) for root in filter(None, path.split(":"))] == roots


def test_the_inherited_path_follows_and_is_moved_into_the_copy(tree: Path) -> None:
    path = import_path(
        "/copy", "api", edited=[], anything=False, inherited=f"{tree}/lib:rel:/usr/x", original=str(tree)
    )
    assert path == "/copy/lib:/copy/api/rel:/usr/x"


def test_where_a_module_came_from_is_seen_without_touching_the_box(tree: Path) -> None:
    copy = copied(tree)
    cache = tree.parent / "cache"
    # What an editable install does: the original on the path, and nothing of the copy.
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONPYCACHEPREFIX": str(cache)}
    environment["PYTHONDONTWRITEBYTECODE"] = ""
    subprocess.run([sys.executable, "-c", "import app.calc"], env=environment, cwd=tree.parent, check=True)
    assert imported_from(str(cache), str(tree), "src/app/calc.py")
    assert not imported_from(str(cache), str(copy), "src/app/calc.py")
    assert not imported_from(str(cache), str(tree), "src/app/cal.py")
