"""`runner compare`: says what the boxes here prove less than those of another tree. Nothing of either is run."""

from __future__ import annotations

import os
import sys

from runner.commands.ground import DEFAULT, check_places
from runner.commands.list_boxes import described, mistakes
from runner.compare import compare
from runner.discover import discover
from runner.errors import UserError
from runner.options import Option, refuse
from runner.report.text import encodable, one_line
from runner.suite_cache import plain_value
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
    DEFAULT,
    Option("--json", help="as JSON, schema runner.compare/1"),
    Option("--suites", help="in the JSON also what there was `before` and what there is `after`, with their mistakes"),
)


def main(root: str, given: Given) -> int:
    """Run the command; returns the exit code: 1 when something is weaker."""
    base, default = given.text("base"), given.text("default_config")
    if not base:
        refuse("compare needs --base DIR")
    check_places(base, default)
    if given.words:
        refuse(f"compare takes no selection, and {given.words[0]!r} was given")
    before, after = _Side(base, default), _Side(root, default)
    if "suites" not in given:
        for side in (before, after):
            side.must_be_read()
    changes = compare(before.suite, after.suite, digest=_digest) if before.suite and after.suite else ()
    if "json" in given:
        import json

        document: dict[str, object] = {"schema": SCHEMA, "changes": [_entry(change) for change in changes]}
        if "suites" in given:
            document |= {"before": before.described(), "after": after.described()}
        said = json.dumps(document, indent=None if "suites" in given else 2) + "\n"
    else:
        lines = [f"{change.file}:{change.line}: {one_line(change.says)}" for change in changes]
        said = "".join(f"{line}\n" for line in lines or ["nothing is weaker than before"])
    sys.stdout.write(encodable(said, sys.stdout.encoding))
    return EXIT_RED if changes else EXIT_GREEN


class _Side:
    """One of the two trees: its suite, or why it has none."""

    def __init__(self, root: str, default: str) -> None:
        self.suite: Suite | None = None
        self._wrong: UserError | None = None
        try:
            self.suite = discover(root, default=default)
        except UserError as wrong:
            self._wrong = wrong

    def must_be_read(self) -> None:
        """Raises what is wrong."""
        if self._wrong is not None:
            raise self._wrong

    def described(self) -> dict[str, object]:
        """It as JSON: boxes as in runner.list/1, setups, and settings with what counts where nothing is said."""
        if self.suite is None:
            assert self._wrong is not None
            return {"errors": mistakes(self._wrong)}
        from runner.config import in_force

        boxes = sorted(self.suite.boxes, key=lambda box: (box.tier, box.id))
        return {
            "config_hash": self.suite.config_hash,
            "boxes": [described(box) for box in boxes],
            "setups": {name: plain_value(setup) for name, setup in self.suite.setups.items()},
            "settings": in_force(self.suite.settings),
            "errors": [],
        }


def _entry(change: Change) -> dict[str, object]:
    return {
        "box": change.box,
        "now": change.now,
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
