"""Falsifies boxes for tests: in this process over copies, or in one of its own over layers.

A process that lays anything over a tree has mounts of its own from then on, which this one must not.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.copies import Copies
from runner.execute.launch import Unlaunchable
from runner.execute.process import ProcessExecutor
from runner.execute.stopping import Stopping
from runner.falsify import Work, main
from runner.layers import Layers
from runner.model import Box, Suite
from runner.report.proofs import Everyone
from runner.report.proofs_json import ProofsJson
from runner.report.proofs_text import ProofsText
from runner.sandbox.views import Views
from runner.scene import Grant, Jobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SOURCE = Path(__file__).parents[2]
NO_VIEWS = 42


class Answered:
    """What came out: the exit code, the JSON document, and what a person reads."""

    def __init__(self, code: int, document: dict[str, Any], said: str) -> None:
        self.code = code
        self.document = document
        self.boxes: list[dict[str, Any]] = document["boxes"]
        self.said = said


def falsify(
    root: Path,
    boxes: Sequence[Box],
    *,
    jobs: int = 2,
    strict: bool = False,
    overreach: bool = False,
    env: Mapping[str, str] | None = None,
    setup_dirs: Mapping[str, str] | None = None,
    roots: Mapping[str, str] | None = None,
    launcher: Views | None = None,
    clean_env: bool = False,
) -> Answered:
    """Falsify in this process: over copies, or over layers with a launcher that has them."""
    environment = dict(os.environ if env is None else env)
    suite = Suite(root=str(root), boxes=boxes, roots=roots or {"": "."})
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    written = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    report = Everyone([ProofsText(out, total=len(boxes)), ProofsJson("-", written)])
    prepared = dict(setup_dirs or {})

    def grant(box: Box) -> Grant:
        return Grant(env={"SETUP_DIR": prepared[box.id.suite]} if box.id.suite in prepared else {})

    with (
        Stopping() as stop,
        tempfile.TemporaryDirectory(prefix="falsify-", ignore_cleanup_errors=True) as scratch,
    ):
        Path(scratch, "boxes").mkdir()
        executor = ProcessExecutor(
            run_id=f"falsify-{os.getpid()}",
            scratch=f"{scratch}/boxes",
            base_env=environment,
            isolate_env=clean_env,
            launcher=launcher,
        )
        given = Jobs(suite, grant)
        ground: Layers | Copies
        if executor.layered:
            ground = Layers(suite, given, scratch=scratch)
        else:
            ground = Copies(suite, given, scratch=scratch, python_path=environment.get("PYTHONPATH", ""))
        work = Work(ground, executor, report, jobs=jobs, stop=stop.asked)
        try:
            code = main(boxes, work, strict=strict, overreach_of=boxes if overreach else None)
        finally:
            executor.close()
            ground.close()
    out.seek(0)
    written.seek(0)
    return Answered(code, json.loads(written.read()), out.read())


def over_layers(root: Path, boxes: Sequence[Box], *, source: Path = SOURCE, **options: Any) -> Answered | None:
    """The same in a process of its own, over layers; None where this machine has none."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.runner.falsifying"],
        input=pickle.dumps((root, boxes, options)),
        cwd=SOURCE,
        env={**os.environ, "PYTHONPATH": f"{source}:{SOURCE}", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode == NO_VIEWS:
        return None
    assert done.returncode == 0
    code, document, said = json.loads(done.stdout)
    return Answered(code, document, said)


if __name__ == "__main__":
    its_root, its_boxes, its_options = pickle.load(sys.stdin.buffer)
    with tempfile.TemporaryDirectory(prefix="views-", ignore_cleanup_errors=True) as its_scratch:
        try:
            views = Views(scratch=its_scratch)
        except Unlaunchable:
            sys.exit(NO_VIEWS)
        os.chdir(its_root)
        answered = falsify(its_root, its_boxes, launcher=views, **its_options)
    json.dump([answered.code, answered.document, answered.said], sys.stdout)
