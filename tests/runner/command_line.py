"""Runs `runner` as people do: another process, in a repository of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from runner.events import read

if TYPE_CHECKING:
    from typing import Any

    from runner.events import Event

SOURCE = Path(__file__).parents[2]


LACKING = """\
import sys
from runner.execute import tree
found = tree.probe()
tree.probe = lambda: tree.Probes(**{{name: name not in {lacks} and getattr(found, name) for name in found.__slots__}})
from runner.cli import main
sys.exit(main())
"""


class Ended:
    """A command that has ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err


class Repository:
    """A directory with boxes in it, and a home of its own for what the runner remembers."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "repository"
        self.root.mkdir()
        self.cache = tmp_path / "cache"
        self.launch = ["-m", "runner"]
        self.env = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCE),
            "XDG_CACHE_HOME": str(self.cache),
            "TMPDIR": str(tmp_path),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        if text.startswith("#!"):
            path.chmod(0o755)
        return path

    def without(self, *probes: str) -> None:
        """From now on, run as on a machine that lacks these: pidfd, proc, subreaper."""
        self.launch = ["-c", LACKING.format(lacks=set(probes))]

    def box(self, number: int, script: str, *, tier: int = 1, block: str = "") -> Path:
        """A shell box; `block` is its metadata."""
        lines = [f"# {line}" for line in textwrap.dedent(block).splitlines()]
        header = ["# /// box", *lines, "# ///"] if block else []
        text = "\n".join(["#!/bin/sh", *header, script, ""])
        return self.write(f"boxes/tier-{tier}/{number}_box.sh", text)

    def start(self, *words: str, **env: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *self.launch, *words],
            cwd=self.root,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def runner(self, *words: str, **env: str) -> Ended:
        process = self.start(*words, **env)
        out, err = process.communicate()
        return Ended(process.returncode, out.decode(), err.decode())

    def events(self, *words: str, **env: str) -> list[Event]:
        """The event stream of a run."""
        ended = self.runner("run", *words, "--jsonl", "-", **env)
        first, *lines = ended.out.splitlines()
        assert json.loads(first) == {"schema": "runner.events/1"}
        events = list(read(lines))
        assert len(events) == len(lines)
        return events

    def verdicts(self, *words: str, **env: str) -> dict[int, str]:
        """The verdict of each box of a run."""
        return {event.box.number: str(event.verdict) for event in of("BoxFinished", self.events(*words, **env))}

    def git(self, *words: str) -> None:
        config = ["-c", "user.name=mona", "-c", "user.email=mona@example.org", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *config, *words], cwd=self.root, check=True, capture_output=True)


def of(kind: str, events: list[Event]) -> list[Any]:
    """The events of one class."""
    return [event for event in events if type(event).__name__ == kind]
