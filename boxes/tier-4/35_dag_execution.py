# /// box
# title = "DAG Execution: boxes keep the order that `after` asks for, branches overlap, a cycle is refused"
# timeout = "40s"
#
# [control]
# expect = "nothing-starts-before-what-it-comes-after"
#
# [control.edit]
# file = "runner/line.py"
# find = "before = [other for other in set(box.after) if other in self._left]"
# replace = "before = []"
# ///
from math import inf

from boxes._interlock import TMP, box, events, run, runner, write

# Numbered against the order: 4 → (2, 3) → 1, and 5 by itself.
AFTER = {1: [2, 3], 2: [4], 3: [4], 4: [], 5: []}
BRANCHES = (2, 3)
CONFIGURATION_ERROR = 3


def text(number: int, after: list[int]) -> str:
    """A box that lasts a moment; each branch ends only when the other one has begun."""
    meet = "".join(f'until test -e "{TMP}/{other}"; do sleep 0.02; done\n' for other in BRANCHES if other != number)
    body = f'touch "{TMP}/{number}"\n' + (meet if number in BRANCHES else "sleep 0.2\n")
    return f'#!/bin/sh\n# /// box\n# timeout = "10s"\n# after = {after}\n# ///\n{body}'


def suite(name: str, after: dict[int, list[int]]) -> str:
    """A repository with these boxes, all in one tier."""
    files = {f"boxes/tier-1/{number}_box.sh": text(number, firsts) for number, firsts in after.items()}
    return str(write(TMP / name, files))


ended = run(*runner("-C", suite("graph", AFTER), "run", "-j", "5", "--jsonl", str(TMP / "record")))
moments = [(event["type"], event.get("box")) for event in events(TMP / "record")]


def moment(what: str, number: int) -> float:
    """Where in the record something happened to a box; infinity when it never did."""
    return moments.index((what, number)) if (what, number) in moments else inf


edges = [(later, first) for later, firsts in AFTER.items() for first in firsts]
too_early = [edge for edge in edges if moment("box_started", edge[0]) < moment("box_finished", edge[1])]

box.equal("all-are-green", ended.returncode, 0)
box.equal("nothing-starts-before-what-it-comes-after", too_early, [])
box.ok(
    "independent-branches-overlap",
    max(moment("box_started", number) for number in BRANCHES)
    < min(moment("box_finished", number) for number in BRANCHES),
    str(moments),
)
refused = run(*runner("-C", suite("circle", {**AFTER, 4: [1]}), "run"))
box.equal("a-cycle-is-refused", refused.returncode, CONFIGURATION_ERROR)
box.contains("a-cycle-is-named", refused.stdout + refused.stderr, "1 → 2 → 4 → 1")
