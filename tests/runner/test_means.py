"""What is left when the means of a run cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runner.command_line import Repository

# A machine that takes no more processes; root's it always takes.
NO_MORE_PROCESSES = """\
import sys
from runner.errors import NoRoom
from runner.execute import guard
def refuse(*_):
    raise NoRoom("no process could be started: Resource temporarily unavailable")
guard._spawn = refuse
from runner.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize("command", ["run", "falsify"])
def test_a_run_that_cannot_begin_leaves_nothing_behind(tmp_path: Path, command: str) -> None:
    repository = Repository(tmp_path)
    repository.box(1, "exit 0")
    repository.launch = ["-c", NO_MORE_PROCESSES]
    ended = repository.runner(command)
    assert (ended.code, ended.err) == (6, "runner: no process could be started: Resource temporarily unavailable\n")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("interlock-")] == []
