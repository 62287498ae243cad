"""`interlock demo`, for real: processes, git and HTTP, read through its JSON document."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

import bot
from bot.commands.demo_child import processes_of

HOME = str(Path(bot.__file__).resolve().parent.parent)
LAUNCH = f"import sys; sys.path.insert(0, {HOME!r}); from bot.cli import main; sys.exit(main())"
STEPS = ["stand_in", "bot", "repository", "live", "bug", "fix", "proof", "crash"]
STEPS += ["merge", "switch", "bad_release", "clear"]

Demo = Callable[..., subprocess.Popen[str]]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    """Start a demo whose files are all below this test's directory; `changes` are made to the product before."""

    def start(*arguments: str, changes: str = "", path: str | None = None) -> subprocess.Popen[str]:
        program = LAUNCH.replace("; sys.exit(", f"; {changes}; sys.exit(") if changes else LAUNCH
        argv = [sys.executable, "-I", "-c", program, "demo", *arguments]
        env = {"PATH": path or os.environ["PATH"], "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "LANG": "C.UTF-8"}
        return subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)

    return start


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The document on standard output, which must be all that is there."""
    out, errors = process.communicate()
    assert not errors
    document: dict[str, Any] = json.loads(out)
    assert document["schema"] == "interlock.demo/1"
    return document


def evidence(document: dict[str, Any]) -> dict[str, Any]:
    return {step["name"]: step["evidence"] for step in document["steps"]}


def nothing_left(directory: Path) -> bool:
    return not processes_of(directory) and not list(directory.glob("interlock-demo-*"))


def test_the_demo_shows_the_whole_product(demo: Demo, tmp_path: Path) -> None:
    process = demo("--json")
    document = told(process)
    assert process.returncode == 0, document
    assert document["ok"]
    assert [step["name"] for step in document["steps"]] == STEPS
    assert all(step["ok"] for step in document["steps"])

    seen = evidence(document)
    assert set(seen["repository"]["checks"].values()) == {"success"}
    assert seen["bug"]["checks"] == {
        "Interlock": "failure",
        "Interlock / tier 1": "success",
        "Interlock / tier 2": "failure",
        "Interlock / tier 3": "failure",
    }
    source = (Path(bot.__file__).parent / "commands/sample/shorty/web.py").read_text().splitlines()
    assert seen["bug"]["annotation"]["path"] == "shorty/web.py"
    assert "self._answer(302," in source[seen["bug"]["annotation"]["line"] - 1]
    assert seen["fix"]["checks"].pop("Interlock / preview") == "neutral"  # it changes where releases go.
    assert set(seen["fix"]["checks"].values()) == {"success"}
    assert len({seen[step]["comment"]["id"] for step in ("bug", "fix", "crash")}) == 1
    assert len(seen["proof"]["boxes"]) == 15
    assert set(seen["proof"]["boxes"].values()) == {"proven"}
    assert seen["crash"]["killed_pid"] != seen["crash"]["new_pid"]
    assert seen["crash"]["finished_before_the_kill"]
    assert set(seen["crash"]["verdicts_recorded"].values()) == {1}
    assert seen["live"]["pages"] == {"staging": 200, "production": 200}
    assert "/approve production" in seen["merge"]["comment"]
    assert (seen["switch"]["lost"], seen["switch"]["requests"] >= 200) == (0, True)
    assert "rolled back" in seen["bad_release"]["because"]
    assert (seen["bad_release"]["lost_before"] > 0, seen["bad_release"]["lost_after"]) == (True, 0)
    assert "production" in seen["bad_release"]["incident"]
    assert "15 boxes in 3 tiers are green" in document["comment"]
    assert nothing_left(tmp_path)


def test_without_git_the_demo_says_so_and_fails(demo: Demo, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    process = demo("--json", path=str(empty))
    document = told(process)
    assert process.returncode == 1
    assert not document["ok"]
    assert [step["name"] for step in document["steps"]] == ["stand_in", "clear"]
    assert "git is not installed" in document["steps"][0]["evidence"]["because"]
    assert nothing_left(tmp_path)


def test_a_bug_that_is_none_fails_the_demo(demo: Demo, tmp_path: Path) -> None:
    """The demo itself can turn red: here the boxes rightly find nothing wrong, so what was announced did not happen."""
    harmless = "import bot.commands.demo_story as s; s.BAD = s.GOOD.replace('302', '300 + 2')"
    process = demo("--json", changes=harmless)
    document = told(process)
    assert process.returncode == 1
    assert [step["name"] for step in document["steps"]] == [*STEPS[:5], "clear"]
    assert document["steps"][4]["evidence"]["because"] == "expected the check 'Interlock' to be failure, it is success"
    assert document["steps"][5]["ok"]
    assert nothing_left(tmp_path)


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([signal.SIGINT], id="ctrl-c"),
        pytest.param([signal.SIGINT, signal.SIGINT], id="ctrl-c-twice"),
        pytest.param([signal.SIGTERM], id="sigterm"),
    ],
)
def test_an_interrupted_demo_leaves_nothing(demo: Demo, tmp_path: Path, numbers: list[signal.Signals]) -> None:
    process = demo()
    assert process.stdout
    while "is ready" not in (line := process.stdout.readline()):  # the bot is up, and a push is about to come.
        assert line, "the demo ended before the bot was ready"
    for number in numbers:
        process.send_signal(number)
    out, errors = process.communicate()
    assert process.returncode == 130
    assert "interrupted; everything was ended" in out
    assert not errors
    assert nothing_left(tmp_path)


def test_what_is_kept_answers_until_it_is_ended(demo: Demo, tmp_path: Path) -> None:
    process = demo("--json", "--keep", changes="import bot.commands.demo as d; d.STORY = d.STORY[:4]")
    document = told(process)
    assert process.returncode == 0
    seen, where = evidence(document), document["where"]
    assert list(seen) == STEPS[:4]  # a bot, its releases, and their router, which is told nothing of the directory.
    assert httpx.get(where["all runs"], trust_env=False).status_code == 200
    assert httpx.get(seen["stand_in"]["url"], trust_env=False).status_code == 200

    subprocess.run(where["end it"].split(), check=True)
    assert nothing_left(tmp_path)
