from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.sandbox.outside import end

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are only on Linux")
PATIENCE_MS = 10_000


def alive_with(word: str) -> list[int]:
    """The processes that have a word in their command line; one that has ended has none."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += [int(path.parent.name)] if word.encode() in path.read_bytes() else []
        except OSError:
            continue
    return found


def test_who_is_starting_children_while_it_is_ended_leaves_none(tmp_path: Path) -> None:
    forks = (
        "import os, signal\nfor _ in range(600):\n    if not os.fork():\n        signal.pause()\n    os.write(1, b'.')"
    )
    command = [sys.executable, "-c", forks, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as outer:
        assert outer.stdout
        for _ in range(100):  # To end these takes so long that another is started meanwhile.
            assert os.read(outer.stdout.fileno(), 1) == b"."
        end(outer.pid)
        assert outer.wait() == -9
        poll = select.poll()
        poll.register(outer.stdout, 0)
        hung_up = poll.poll(PATIENCE_MS)
        left = alive_with(str(tmp_path))
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert hung_up, "somebody still holds its output"
    assert left == []


def test_to_end_who_has_ended_is_harmless() -> None:
    gone = subprocess.Popen(["/bin/true"])
    gone.wait()
    end(gone.pid)
