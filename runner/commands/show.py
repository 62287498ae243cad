"""`runner show ID`: all that is known about one box."""

from __future__ import annotations

import sys

from runner.commands.ground import Ground, selected
from runner.commands.list_boxes import described
from runner.options import Option, refuse
from runner.verdict import EXIT_GREEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.model import Box, BoxId
    from runner.options import Given

USAGE = """usage: runner show ID [options]

Show one box: what it declares, its control, its last verdict, and the commands that run and falsify it."""
OPTIONS = (Option("--history", value="FILE", help="where durations and last verdicts are kept"),)
_QUIET = frozenset({"suite", "box", "title", "control", "file"})


def main(root: str, given: Given) -> int:
    """Run the command; returns the exit code."""
    if len(given.words) != 1:
        refuse("show needs one box, such as 21 or api/21")
    ground = Ground(root, history=given.text("history"))
    boxes = selected(ground, given.words)
    if len(boxes) != 1:
        refuse(f"{given.words[0]} names {len(boxes)} boxes; show needs one")
    sys.stdout.write("".join(f"{line}\n" for line in lines(boxes[0], ground)))
    return EXIT_GREEN


def lines(box: Box, ground: Ground) -> list[str]:
    """The box for people: only what differs from nothing."""
    shown = [f"box {box.id}: {box.title}"]
    for key, value in described(box).items():
        if key in _QUIET or value in ("", None, [], 0, False):
            continue
        text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        shown.append(f"  {key + ':':<13}{text}")
    shown += [f"  {'env:':<13}{name}={value}" for name, value in sorted(box.env.items())]
    shown.append(f"  {'control:':<13}{_control(box)}")
    shown += _history(box.id, ground)
    return [*shown, f"  {'run it:':<13}runner run {box.id}", f"  {'prove it:':<13}runner falsify {box.id}"]


def _control(box: Box) -> str:
    if box.control is None:
        return "none: nothing shows that this box can fail"
    expect = box.control.expect
    if expect is None:
        return f"{box.control.kind} ({box.control.where}), expects nothing in particular"
    wanted = f"assertion {expect.assertion!r}" if expect.assertion else f"output that matches {expect.output!r}"
    return f"{box.control.kind} ({box.control.where}), expects {wanted} to turn red"


def _history(box_id: BoxId, ground: Ground) -> list[str]:
    seconds = ground.history.durations().get(box_id)
    if seconds is None:
        return [f"  {'last run:':<13}never"]
    state = "red" if box_id in ground.history.failed() else "green"
    return [f"  {'last run:':<13}{state}, usually {seconds:.2f} s"]
