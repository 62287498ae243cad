"""`runner compare`: says what the boxes here prove less than those of another tree. Nothing of either is run."""

from __future__ import annotations

import os
import sys

from runner.compare import compare
from runner.discover import discover
from runner.options import Option, refuse
from runner.report.text import encodable, one_line
from runner.verdict import EXIT_GREEN, EXIT_RED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.compare import Change
    from runner.model import Suite
    from runner.options import Given

SCHEMA = "runner.compare/1"
LARGEST = 64 * 1024 * 1024  # bytes of a program; what is larger is not compared
USAGE = """usage: runner compare --base DIR [options]

Say what this tree's boxes prove less than the ones in DIR: boxes removed, renumbered or weakened, controls lost."""
OPTIONS = (
    Option("--base", value="DIR", help="the tree to compare with, such as the branch that this shall be merged into"),
    Option("--json", help="as JSON, schema runner.compare/1"),
)


def main(root: str, given: Given) -> int:
    """Run the command; returns the exit code: 1 when something is weaker."""
    base = given.text("base")
    if not base:
        refuse("compare needs --base DIR")
    if not os.path.isdir(base):
        refuse(f"--base: there is no directory {base}")
    if given.words:
        refuse(f"compare takes no selection, and {given.words[0]!r} was given")
    changes = compare(discover(base), discover(root), digest=_digest)
    if "json" in given:
        import json

        said = json.dumps({"schema": SCHEMA, "changes": [_entry(change) for change in changes]}, indent=2) + "\n"
    else:
        lines = [f"{change.file}:{change.line}: {one_line(change.says)}" for change in changes]
        said = "".join(f"{line}\n" for line in lines or ["nothing is weaker than before"])
    sys.stdout.write(encodable(said, sys.stdout.encoding))
    return EXIT_RED if changes else EXIT_GREEN


def _entry(change: Change) -> dict[str, object]:
    return {
        "box": change.box,
        "kind": change.kind,
        "says": one_line(change.says),
        "file": change.file,
        "line": change.line,
        "gone": change.gone,
    }


def _digest(suite: Suite, path: str) -> str:
    """What a file holds; "" for what is no regular file of the tree, or too large."""
    import hashlib
    import stat

    root = os.path.realpath(suite.root)
    real = os.path.realpath(os.path.join(root, path))
    if not real.startswith(root.rstrip(os.sep) + os.sep):
        return ""
    try:
        with open(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                return ""
            return hashlib.blake2b(file.read(LARGEST), digest_size=16).hexdigest()
    except OSError:
        return ""
