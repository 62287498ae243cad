"""`runner doctor`: the command line of `runner.doctor`."""

from __future__ import annotations

from runner.options import Option, refuse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.options import Given

USAGE = """usage: runner doctor [options]

Look at this machine and this repository for what could go wrong, with the way out of each."""
OPTIONS = (Option("--json", help="as JSON"),)


def main(root: str, given: Given) -> int:
    """Run the command; returns the exit code."""
    from runner.doctor import main as doctor

    if given.words:
        refuse(f"doctor looks at everything, and takes no {given.words[0]!r}")

    return doctor(root, json="json" in given)
