"""What becomes of a sandbox that cannot be made ready."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import MISSING
from tests.runner.command_line import SOURCE

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux" or not shutil.which("bwrap"), reason=f"{MISSING} bubblewrap on Linux"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only for root a directory is shown at a second place first"),
]
# In a process of its own: it moves into other mounts, and does not come back.
OPENED = """
import os, subprocess, sys
from runner.execute.launch import Unlaunchable
from runner.executor import Job
from runner.isolation import limits_for
from runner.model import Box, BoxId
from runner.sandbox.launcher import Launcher

scratch, tree = sys.argv[1:]
launcher = Launcher(scratch=scratch, limits=limits_for("", {}), path="/usr/bin:/bin", own_choice=True)
box = Box(id=BoxId("", 1), tier=1, title="One", kind="command", run="true", source="interlock.yml")
"""
CANNOT_BE_SHOWN = """
job = Job(box=box, attempt=1, root=tree, cwd=".", binds={f"{tree}/gone": False})
for _ in range(2):
    cell = launcher.open(job)
    try:
        cell.command(("/bin/true",), {}, tree, {})
    except Unlaunchable as why:
        print(why, len(os.listdir("/proc/self/fd")), sep="; ")
    finally:
        cell.close()
launcher.close()
print(os.listdir(scratch))
"""
CANNOT_ENTER = """
cell = launcher.open(Job(box=box, attempt=1, root=tree, cwd="."))
if cell._group is None:
    sys.exit("no group")
command = cell.command(("/bin/echo", "the box ran"), {}, tree, {})
cell._group.remove()
done = subprocess.run(command.argv, env={}, cwd="/", pass_fds=command.fds, capture_output=True, text=True)
cell.spawned()
ending = cell.ended(done.returncode, done.stderr)
print(ending.problem, ending.unstarted, repr(done.stdout), sep="; ")
cell.close()
launcher.close()
"""


def opened(program: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    scratch, tree = tmp_path / "scratch", tmp_path / "tree"
    scratch.mkdir()
    tree.mkdir()
    env = {"PYTHONPATH": str(SOURCE), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    command = [sys.executable, "-c", OPENED + program, str(scratch), str(tree)]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_what_cannot_be_shown_to_a_box_is_that_boxs_problem_alone(tmp_path: Path) -> None:
    first, second, left = opened(CANNOT_BE_SHOWN, tmp_path).stdout.splitlines()
    assert first.startswith("the sandbox could not be made ready: ")
    assert "bind mount refused: No such file or directory" in first
    assert second.rpartition(";")[2] == first.rpartition(";")[2], "no descriptor is left open"
    assert left == "['tree-0']"


def test_a_box_outside_of_its_control_group_is_not_run_and_the_group_is_named(tmp_path: Path) -> None:
    done = opened(CANNOT_ENTER, tmp_path)
    if done.stderr == "no group\n":
        # Not counted as a missing component: nobody can install a machine's control groups.
        pytest.skip("this machine has no control group that may be divided")
    assert done.stdout == (
        "the sandbox failed: warden: the control group cannot be entered: No such device; True; ''\n"
    ), done.stderr
