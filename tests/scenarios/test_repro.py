"""What a check says about running a box at home is pasted into a clone here, as it stands."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.fakes.world import REPO, PullRequest, World, box

SUM = 'test "$(cat sum)" = "$(cat expected)" || { echo "sum:1: $(cat sum) is not $(cat expected)"; exit 1; }'
BOXES = {
    "boxes/tier-1/1_steady.sh": box("exit 0", title="Steady"),
    "boxes/tier-1/2_sum.sh": box(SUM, title="Sum", timeout='"60s"'),
    "sum": "4\n",
    "expected": "4\n",
}


async def shell(script: str, *, cwd: Path, home: Path) -> tuple[int, str]:
    """Run what somebody pastes, in an environment of their own in which `runner` is installed."""
    programs = home / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    launcher = programs / "runner"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    launcher.chmod(0o755)
    person = {f"GIT_{role}_{what}": "mona" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environ = {**person, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(home), "PYTHONPATH": str(Path.cwd())}
    process = await asyncio.create_subprocess_shell(
        script, cwd=cwd, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


def pasted(text: str) -> str:
    """The block that makes the place, and the line of the red box."""
    [place] = re.findall(r"```sh\n(.*?)\n```", text, re.DOTALL)
    [line] = re.findall(r"Run it yourself: `(runner run [^`]*)`", text)
    return f"set -e\n{place}\n{line}\n"


async def clone(world: World, directory: Path) -> Path:
    code, said = await shell(f"git clone -q {world.hub.url}/{REPO}.git clone", cwd=directory, home=directory / "home")
    assert code == 0, said
    return directory / "clone"


async def test_what_is_pasted_in_a_clone_runs_the_box_as_the_bot_ran_it(world: World, tmp_path: Path) -> None:
    world.repository(BOXES)
    pr = await world.open_pull_request({"sum": "5\n", "boxes/tier-1/2_sum.sh": box(SUM, title="Mine", timeout='"1s"')})
    # Only merged into the base of now it is `5 is not 6`.
    world.hub.commit(REPO, "main", {"expected": "6\n"}, "Expect six", "mona")
    pr.say("/boxes run all")
    await world.settle()
    assert pr.conclusion == "failure"
    script = pasted(pr.check("Interlock / tier 1").text or "")
    code, said = await shell(script, cwd=await clone(world, tmp_path), home=tmp_path / "home")
    assert "sum:1" in said, said
    assert "5 is not 6" in said, said
    assert code == 1, "the box is red there, too"
    assert "Sum" in said, "its title is the base's"
    assert "Mine" not in said


async def test_the_same_lines_are_green_where_the_change_is_mended(world: World, tmp_path: Path) -> None:
    pr = await _red(world)
    script = pasted(pr.check("Interlock / tier 1").text or "")
    mended = script.replace("runner run 2", "echo 4 > sum && runner run 2")
    code, said = await shell(mended, cwd=await clone(world, tmp_path), home=tmp_path / "home")
    assert code == 0, said


async def _red(world: World) -> PullRequest:
    world.repository(BOXES)
    await world.settle()
    pr = await world.open_pull_request({"sum": "5\n"})
    await world.settle()
    assert pr.conclusion == "failure"
    return pr
