from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.execute.environment import LIBRARY

if TYPE_CHECKING:
    from typing import Any

SHELLS = [pytest.param(shell, id=shell) for shell in ("dash", "bash", "busybox", "mksh") if shutil.which(shell)]
LOAD_PY = """\
import importlib.util, os
spec = importlib.util.spec_from_file_location("box", os.environ["BOX_LIB_PY"])
box = importlib.util.module_from_spec(spec); spec.loader.exec_module(box)
"""


class Ran:
    def __init__(self, code: int, records: list[dict[str, Any]], stdout: str, artifacts: Path) -> None:
        self.code = code
        self.records = records
        self.stdout = stdout
        self.artifacts = artifacts

    @property
    def assertions(self) -> list[tuple[str, bool]]:
        return [(record["id"], record["ok"]) for record in self.records if record["type"] == "assertion"]


def run(command: list[str], tmp_path: Path, **env: str) -> Ran:
    report, artifacts = tmp_path / "report.jsonl", tmp_path / "artifacts"
    report.unlink(missing_ok=True)
    artifacts.mkdir(exist_ok=True)
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={
            "PATH": os.environ["PATH"],
            "BOX_LIB": f"{LIBRARY}/box.sh",
            "BOX_LIB_PY": f"{LIBRARY}/box.py",
            "BOX_REPORT": str(report),
            "BOX_ARTIFACTS": str(artifacts),
            **env,
        },
    )
    lines = report.read_bytes().decode().splitlines() if report.exists() else []
    return Ran(done.returncode, [json.loads(line) for line in lines], done.stdout.decode(), artifacts)


def sh(shell: str, script: str, tmp_path: Path, **env: str) -> Ran:
    words = [shell, "sh"] if shell == "busybox" else [shell]
    return run([*words, "-eu", "-c", f'. "$BOX_LIB"\n{script}'], tmp_path, **env)


@pytest.mark.parametrize("shell", SHELLS)
class TestShell:
    def test_assertions_are_recorded_and_a_red_one_ends_the_box_with_1_at_its_end(
        self, shell: str, tmp_path: Path
    ) -> None:
        ran = sh(shell, "ok a true; ok b false; is c x x; is d x y; contains e abc b; not_ok f why; echo end", tmp_path)

        assert ran.assertions == [("a", True), ("b", False), ("c", True), ("d", False), ("e", True), ("f", False)]
        assert [record["message"] for record in ran.records if not record["ok"]] == [
            "exit 1: false",
            "got 'x', want 'y'",
            "why",
        ]
        # Nothing on standard output but the box's own: an `ok` there would be counted as TAP.
        assert (ran.code, ran.stdout) == (1, "end\n")

    def test_all_green_exits_0_and_another_exit_code_stays(self, shell: str, tmp_path: Path) -> None:
        assert sh(shell, "ok a true", tmp_path).code == 0
        assert sh(shell, "ok a false; exit 99", tmp_path).code == 99
        assert sh(shell, "ok a false; finish; echo not reached", tmp_path).code == 1

    def test_a_skip_is_a_skip_unless_something_was_red(self, shell: str, tmp_path: Path) -> None:
        assert sh(shell, "skip 'no docker'", tmp_path).code == 77
        assert sh(shell, "ok a false; skip 'no docker'", tmp_path).code == 1

    @pytest.mark.parametrize(
        "text", ['"', "\\", 'a"b\\c\td\n\ne', "'; rm -rf /", "ümläut ✓", "$HOME `id` %s %n", "-n", "*", ""]
    )
    def test_any_text_survives_as_json(self, shell: str, tmp_path: Path, text: str) -> None:
        ran = sh(shell, 'not_ok id "$TEXT"; is "x$TEXT" 1 1', tmp_path, TEXT=text)

        assert [record.get("message", record["id"]) for record in ran.records] == [text or "failed", f"x{text}"]

    def test_control_characters_do_not_break_the_record(self, shell: str, tmp_path: Path) -> None:
        ran = sh(shell, r"""not_ok id "$(printf 'a\033[31mb\001c\177')" """, tmp_path)

        assert ran.records[0]["message"] == "a\ufffd[31mb\ufffdc\ufffd"

    def test_metrics_and_attachments(self, shell: str, tmp_path: Path) -> None:
        (tmp_path / "page.png").write_text("png")
        ran = sh(shell, "metric latency 12.5 ms; metric count 3; attach page.png 'The page'", tmp_path)

        assert ran.records == [
            {"type": "metric", "name": "latency", "value": 12.5, "unit": "ms"},
            {"type": "metric", "name": "count", "value": 3, "unit": ""},
            {"type": "attachment", "path": "page.png", "title": "The page"},
        ]
        assert (ran.artifacts / "page.png").read_text() == "png"

    def test_a_metric_that_is_no_number_and_a_file_that_is_not_there_are_red(self, shell: str, tmp_path: Path) -> None:
        ran = sh(shell, "metric latency fast; attach nothing.png", tmp_path)

        assert ran.assertions == [("metric latency", False), ("attach nothing.png", False)]

    def test_the_values_of_ok_keep_their_words(self, shell: str, tmp_path: Path) -> None:
        assert sh(shell, "ok words test 'a b' = 'a b'", tmp_path).assertions == [("words", True)]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1))
def test_every_printable_message_is_recorded_as_it_is(tmp_path: Path, text: str) -> None:
    ran = sh("dash", 'not_ok id "$TEXT"', tmp_path, TEXT=text)

    assert ran.records[0]["message"] == text


def py(script: str, tmp_path: Path) -> Ran:
    (tmp_path / "script.py").write_text(LOAD_PY + script)
    return run([sys.executable, "-I", "-S", "script.py"], tmp_path)


class TestPython:
    def test_assertions_are_recorded_with_their_place(self, tmp_path: Path) -> None:
        ran = py("box.ok('a', True)\nbox.equal('b', 1, 2)\nbox.contains('c', 'abc', 'b')\nprint('end')\n", tmp_path)

        assert ran.assertions == [("a", True), ("b", False), ("c", True)]
        assert ran.records[1]["message"] == "got 1, want 2"
        assert (Path(ran.records[1]["file"]).name, ran.records[1]["line"]) == ("script.py", 5)
        assert (ran.code, ran.stdout) == (1, "end\n")

    def test_all_green_exits_0(self, tmp_path: Path) -> None:
        assert py("box.ok('a', 1)\n", tmp_path).code == 0
        assert py("box.ok('a', 0)\nbox.finish()\n", tmp_path).code == 1

    def test_a_skip_is_a_skip_unless_something_was_red(self, tmp_path: Path) -> None:
        assert py("box.skip('no docker')\n", tmp_path).code == 77
        assert py("box.not_ok('a')\nbox.skip('no docker')\n", tmp_path).code == 1

    def test_metrics_and_attachments(self, tmp_path: Path) -> None:
        (tmp_path / "page.png").write_text("png")
        ran = py("box.metric('n', 3, 'ms')\nbox.metric('nan', float('nan'))\nbox.attach('page.png')\n", tmp_path)

        assert ran.records[0] == {"type": "metric", "name": "n", "value": 3, "unit": "ms"}
        assert (ran.records[1]["id"], ran.records[1]["ok"]) == ("metric nan", False)
        assert ran.records[2] == {"type": "attachment", "path": "page.png", "title": "page.png"}
        assert (ran.artifacts / "page.png").read_text() == "png"
