"""`runner falsify`: the command line of `runner.falsify`."""

from __future__ import annotations

import os
import sys
from time import time

from runner.commands.ground import Ground, cpus, selected
from runner.errors import SetupFailed
from runner.events import SetupFinished
from runner.execute.files import remove_tree
from runner.execute.guard import Guard
from runner.execute.process import ProcessExecutor
from runner.options import Option, refuse
from runner.setup_phase import run_setups
from runner.state import scratch_directory
from runner.verdict import EXIT_RED
from runner.whole_file import check_writable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.events import Event
    from runner.options import Given

USAGE = """usage: runner falsify [SELECTION] [options]

Prove that boxes can fail: run each one healthy and under its own sabotage, which must turn it red."""
OPTIONS = (
    Option("-j", "--jobs", value="N", number=True, least=1, help="runs at once; the default is the number of CPUs"),
    Option("--json", value="FILE", help="write the answers, schema runner.falsify/1 (- is standard output)"),
    Option("--strict", help="a box without a control counts as not proven"),
    Option("--since", value="REF", help="only boxes that a change since REF concerns"),
    Option("--history", value="FILE", help="where durations and last verdicts are kept"),
    Option("--clean-env", help="boxes inherit nothing of this environment"),
)


def main(root: str, given: Given) -> int:
    """Run the command; returns the exit code."""
    from runner.falsify import main as falsify

    ground = Ground(root, history=given.text("history"))
    boxes = selected(ground, given.words, since=given.text("since"))
    answers = given.text("json")
    try:
        if answers not in {"", "-"}:
            check_writable(answers)  # refused now rather than after all the work
    except OSError as error:
        refuse(f"{answers} cannot be written: {error.strerror}")
    clean = "clean_env" in given
    scratch = scratch_directory(os.environ)
    guard = Guard(scratch)
    try:
        try:
            setup_dirs = _setup(ground, {box.id.suite for box in boxes}, scratch, clean=clean)
        except SetupFailed:
            return EXIT_RED
        return falsify(
            ground.suite,
            boxes,
            jobs=given.number("jobs", cpus()),
            json_path=answers,
            strict="strict" in given,
            clean_env=clean,
            setup_dirs=setup_dirs,
        )
    finally:
        remove_tree(scratch)
        guard.dismiss()


def _setup(ground: Ground, suites: set[str], scratch: str, *, clean: bool) -> dict[str, str]:
    """Run the setups, telling of them on standard error; returns $SETUP_DIR by suite."""
    executor = ProcessExecutor(run_id="falsify-setup", scratch=scratch, base_env=os.environ, isolate_env=clean)
    try:
        return run_setups(ground.suite, suites, executor=executor, directory=scratch, emit=_tell, clock=time)
    finally:
        executor.close()


def _tell(event: Event) -> None:
    if isinstance(event, SetupFinished) and not event.ok:
        sys.stderr.write(f"{event.output}\nrunner: setup failed: {event.reason}; no box was falsified\n")
