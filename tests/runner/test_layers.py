"""What only holds where a control is laid over the tree at the tree's own path."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.model import Box, BoxId, Control, Expect
from tests.conftest import MISSING
from tests.runner.falsifying import over_layers

if TYPE_CHECKING:
    from tests.runner.falsifying import Answered

ADDS = "def add(a, b):\n    return a + b\n"
CHECK = f'{sys.executable} -c "import calc; assert calc.add(2, 2) == 4" || {{ echo "not ok 1 - adds-up"; exit 1; }}'
ADDS_UP = Expect(assertion="adds-up")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    root = tmp_path / "re:po, with space"
    root.mkdir()
    (root / "calc.py").write_text(ADDS)
    return root


def edit(file: str = "calc.py", find: str = "a + b", replace: str = "a - b") -> Control:
    spec = {"file": file, "find": find, "replace": replace}
    return Control(kind="edit", spec=spec, expect=ADDS_UP, where="boxes/tier-1/21_adds.sh:5")


def command(line: str) -> Control:
    return Control(kind="run", spec={"command": line}, expect=ADDS_UP, where="boxes/tier-1/21_adds.sh:5")


def box(run: str, control: Control | None, number: int = 21, **fields: object) -> Box:
    return Box(
        id=BoxId("", number),
        tier=1,
        title="Adds",
        kind="command",
        source="interlock.yml",
        run=run,
        control=control,
        timeout=20.0,
        **fields,  # type: ignore[arg-type]
    )


def falsify(root: Path, *boxes: Box, **options: Any) -> Answered:
    answered = over_layers(root, boxes, **options)
    if answered is None:
        pytest.skip(f"{MISSING} the right to mount what one process alone sees")
    return answered


def only(root: Path, one: Box, **options: Any) -> tuple[str, str]:
    [answer] = falsify(root, one, **options).boxes
    return answer["answer"], answer["reason"]


def test_an_import_hook_that_leads_to_the_tree_leads_to_the_sabotage(repo: Path) -> None:
    """What makes a good box look blind over copies: an editable install that stands before the path."""
    site = repo.parent / "site"
    site.mkdir()
    hook = f"""\
import importlib.util, sys
class Hook:
    def find_spec(name, path=None, target=None):
        if name == "calc":
            return importlib.util.spec_from_file_location(name, {str(repo / "calc.py")!r})
sys.meta_path.insert(0, Hook)
"""
    (site / "sitecustomize.py").write_text(hook)
    elsewhere = "cd / && " + CHECK
    assert only(repo, box(elsewhere, edit()), env={**os.environ, "PYTHONPATH": str(site)})[0] == "proven"


def test_an_absolute_path_into_the_tree_leads_to_the_sabotage(repo: Path) -> None:
    check = f"cd /; grep -q 'a + b' '{repo}/calc.py' || {{ echo 'not ok 1 - adds-up'; exit 1; }}"
    assert only(repo, box(check, edit()))[0] == "proven"


def test_a_box_that_tests_an_installed_copy_is_told_so(repo: Path) -> None:
    site = repo.parent / "site-packages"
    site.mkdir()
    (site / "calc.py").write_text(ADDS)
    answer = only(repo, box("cd / && " + CHECK, edit()), env={**os.environ, "PYTHONPATH": str(site)})
    assert answer == (
        "unproven",
        f"calc.py was not imported, but {site}/calc.py was: what is tested is not this tree",
    )


def test_a_blind_box_that_imports_the_sabotage_is_blind(repo: Path) -> None:
    look = f'{sys.executable} -c "import calc; assert callable(calc.add)"'
    assert only(repo, box(look, edit())) == ("blind", "stayed green under its own sabotage")


def test_history_is_there(repo: Path) -> None:
    subprocess.run(["git", "init", "-q", str(repo)], check=True)
    assert only(repo, box("git rev-parse --git-dir && " + CHECK, edit()))[0] == "proven"


def test_a_patch_applies_in_a_worktree_whose_repository_is_elsewhere(repo: Path) -> None:
    (repo / ".git").write_text("gitdir: /nowhere\n")
    (repo / "p.patch").write_text(
        "--- a/calc.py\n+++ b/calc.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a + b\n+    return a - b\n"
    )
    control = Control(kind="patch", spec={"file": "p.patch"}, expect=ADDS_UP, where="x:1")
    assert only(repo, box(CHECK, control))[0] == "proven"


@pytest.mark.parametrize("file", [".venv/lib/app.py", "node_modules/app/index.js", ".git/config"])
def test_what_all_boxes_share_cannot_be_sabotaged(repo: Path, file: str) -> None:
    (repo / file).parent.mkdir(parents=True)
    (repo / file).write_text("a + b")
    (repo / ".venv").mkdir(exist_ok=True)
    (repo / ".venv/pyvenv.cfg").write_text("")
    assert only(repo, box("true", edit(file))) == ("stale", f"{file}: that is not a file of this tree")


def test_a_pipe_is_no_file_to_edit(repo: Path) -> None:
    os.mkfifo(repo / "pipe")
    assert only(repo, box("true", edit("pipe"))) == ("stale", "pipe: there is no such file")


def test_a_removed_file_is_gone_for_the_box_alone(repo: Path) -> None:
    check = "test -e calc.py || { echo 'not ok 1 - adds-up'; exit 1; }"
    assert only(repo, box(check, command("rm calc.py")))[0] == "proven"
    assert (repo / "calc.py").exists()


def test_a_command_that_changes_nothing_is_stale_and_the_box_not_blind(repo: Path) -> None:
    assert only(repo, box("true", command("true"))) == (
        "stale",
        "boxes/tier-1/21_adds.sh:5: its command changed nothing in the tree, and the box stayed green",
    )
    assert only(repo, box("true", command("echo > new")))[0] == "blind"


def test_an_edited_script_can_still_be_executed(repo: Path) -> None:
    (repo / "bin").mkdir(mode=0o750)
    tool = repo / "bin/tool"
    tool.write_text("#!/bin/sh\necho a + b\n")
    tool.chmod(0o755)
    check = "test $(stat -c %a bin) = 750 && test \"$(bin/tool)\" = 'a + b' || { echo 'not ok 1 - adds-up'; exit 1; }"
    assert only(repo, box(check, edit("bin/tool")))[0] == "proven"


def test_an_edit_goes_through_links_of_the_tree(repo: Path) -> None:
    (repo / "src").mkdir()
    (repo / "calc.py").rename(repo / "src/calc.py")
    (repo / "calc.py").symlink_to("src/calc.py")
    assert only(repo, box("cd src; " + CHECK, edit()))[0] == "proven"


def test_what_a_box_writes_nobody_else_sees(repo: Path) -> None:
    check = "test ! -e left && echo > left && " + CHECK
    answered = falsify(repo, *(box(check, edit(), number) for number in (1, 2, 3)), jobs=1)
    assert {each["answer"] for each in answered.boxes} == {"proven"}
    assert sorted(path.name for path in repo.iterdir()) == ["calc.py"]


@pytest.mark.parametrize("compiled", ["hash", "time"])
def test_bytecode_of_the_healthy_module_is_never_trusted(repo: Path, compiled: str) -> None:
    """Unchecked bytecode is used whatever the source says, and a second is as fine as a time in bytecode gets."""
    mode = "UNCHECKED_HASH" if compiled == "hash" else "TIMESTAMP"
    line = f"import py_compile as p; p.compile('calc.py', invalidation_mode=p.PycInvalidationMode.{mode})"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run([sys.executable, "-c", line], cwd=repo, env=env, check=True)
    assert list(repo.glob("__pycache__/*"))
    assert only(repo, box(CHECK, edit()))[0] == "proven"
    assert only(repo, box(CHECK, command("sed -i 's/a + b/a - b/' calc.py")))[0] == "proven"


def test_a_control_cannot_make_us_write_outside(repo: Path) -> None:
    """It changes a module, and leads the directory of its bytecode, where files are put afterwards, elsewhere."""
    outside = repo.parent / "outside"
    outside.mkdir()
    (repo / "__pycache__").mkdir()
    (repo / "__pycache__/calc.cpython-311.pyc").write_text("old")
    hostile = f"sed -i 's/a + b/a - b/' calc.py; rm -r __pycache__; ln -s '{outside}' __pycache__"
    falsify(repo, box(CHECK, command(hostile)))
    assert list(outside.iterdir()) == []
    assert (repo / "__pycache__/calc.cpython-311.pyc").read_text() == "old"


def test_a_link_in_the_tree_tells_no_box_what_lies_elsewhere(repo: Path) -> None:
    """Bytecode is hidden by files of its names, so a link in its place would show names of this machine's files."""
    outside = repo.parent / "outside"
    outside.mkdir()
    (outside / ".hidden-from-boxes").touch()
    (repo / "__pycache__").symlink_to(outside)
    (repo / ".py").touch()
    look = "ls -a __pycache__/ 2>&1 | grep -q hidden && exit 0; echo 'not ok 1 - adds-up'; exit 1"
    check = f"test ! -s .py || {{ {look}; }}"
    hostile = "echo x > .py; mkdir -p /tmp; rm __pycache__; mkdir __pycache__"
    assert only(repo, box(check, command(hostile)))[0] == "proven"


def test_nothing_is_left_behind(repo: Path) -> None:
    scratch = repo.parent / "scratch"
    scratch.mkdir()
    mounts = Path("/proc/self/mounts").read_text()
    environment = {**os.environ, "TMPDIR": str(scratch), "XDG_CACHE_HOME": str(repo.parent / "cache")}
    (repo / ".github").mkdir()
    (repo / ".github/interlock.yml").write_text('boxes: {1: {tier: 1, run: "mkdir -p a; chmod 0 a; test -s calc.py"}}')
    text = (repo / ".github/interlock.yml").read_text()
    control = ', control: {run: "rm calc.py", expect: {output: gone}}'
    (repo / ".github/interlock.yml").write_text(text.replace('"}', f' || ! echo gone"{control}}}'))
    done = subprocess.run(
        [sys.executable, "-m", "runner", "falsify"],
        cwd=repo,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "proven" in done.stdout) == (0, True), done.stdout + done.stderr
    assert list(scratch.iterdir()) == []
    assert Path("/proc/self/mounts").read_text() == mounts
