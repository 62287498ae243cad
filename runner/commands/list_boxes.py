"""`runner list`: the boxes, tier by tier, or as JSON."""

from __future__ import annotations

import sys
from itertools import groupby

from runner.commands.ground import BASE, DEFAULT, Ground, none_there, selected
from runner.errors import UserError
from runner.options import Option
from runner.verdict import EXIT_GREEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.model import Box
    from runner.options import Given

SCHEMA = "runner.list/1"
USAGE = """usage: runner list [SELECTION] [options]

Show the boxes, tier by tier: number, title, tags, and how each is controlled."""
OPTIONS = (
    Option("--json", help="as JSON, schema runner.list/1"),
    BASE,
    DEFAULT,
)


def main(root: str, given: Given) -> int:
    """Run the command; returns the exit code."""
    try:
        ground = Ground(root, base=given.text("base"), default=given.text("default_config"))
        chosen = selected(ground, given.words) if ground.suite.boxes or given.words else ()
    except UserError as error:
        if "json" in given:
            _write({"schema": SCHEMA, "boxes": [], "errors": mistakes(error)})
        raise
    boxes = sorted(chosen, key=lambda box: (box.tier, box.id))
    if "json" in given:
        hashed, report = ground.suite.config_hash, ground.suite.settings.get("report", {})
        listed = [described(box) for box in boxes]
        _write({"schema": SCHEMA, "config_hash": hashed, "boxes": listed, "report": report, "errors": []})
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines(boxes)))
        if not ground.suite.boxes:
            sys.stderr.write(f"runner: {none_there(root)}\n")
    return EXIT_GREEN


def mistakes(error: UserError) -> list[dict[str, object]]:
    """What the repository's owner can mend, as JSON; `place` is as in `UserError`."""
    return [
        {"message": one.message, "file": one.file, "line": one.line, "hint": one.hint, "place": one.place}
        for one in error.every
    ]


def _write(document: dict[str, object]) -> None:
    import json

    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")


def lines(boxes: Sequence[Box]) -> list[str]:
    """The boxes for people."""
    width = max((len(str(box.id)) for box in boxes), default=0)
    shown = []
    for tier, group in groupby(boxes, key=lambda box: box.tier):
        shown.append(f"tier {tier}")
        for box in group:
            marks = [f"#{tag}" for tag in box.tags]
            marks.append(f"control: {box.control.kind}" if box.control else "no control")
            marks += [f"quarantined until {box.quarantine.until}"] if box.quarantine else []
            marks += ["its file is missing"] if box.kind == "missing" else []
            shown.append(f"  {box.id!s:>{width}}  {box.title}  ({', '.join(marks)})")
    return shown


def described(box: Box) -> dict[str, object]:
    """A box as JSON: every key of its metadata, ids as text."""
    control = box.control
    return {
        "suite": box.id.suite,
        "box": box.id.number,
        "tier": box.tier,
        "title": box.title,
        "kind": box.kind,
        "source": box.source,
        "line": box.line,
        "file": box.file,
        "run": box.run,
        "tags": list(box.tags),
        "timeout": box.timeout,
        "slow": box.slow,
        "retries": box.retries,
        "flaky": box.flaky,
        "quarantine": {"until": box.quarantine.until, "reason": box.quarantine.reason} if box.quarantine else None,
        "after": [str(other) for other in box.after],
        "needs": list(box.needs),
        "locks": list(box.locks),
        "inputs": list(box.inputs),
        "outputs": list(box.outputs),
        "network": list(box.network),
        "secrets": list(box.secrets),
        "may_skip": box.may_skip,
        "min_asserts": box.min_asserts,
        "python": box.python,
        "control": None
        if control is None
        else {
            "kind": control.kind,
            "where": control.where,
            "also": [str(other) for other in control.also],
            "expect": None
            if control.expect is None
            else {"assertion": control.expect.assertion, "output": control.expect.output},
        },
    }
