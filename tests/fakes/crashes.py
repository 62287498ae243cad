"""Controllers that are killed at one place of their journal: once, and by nothing that the product knows of.

The controller is the product's own; what starts it wraps the journal's `append`, and ends the process with SIGKILL
right before or right after the entry is on the disk. Between an intent and its end lies the call to the target, so
`after` an intent is before the call, and `before` its end is after it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bot.deploy.supervise import HOME
from bot.domain.deploy.states import State

_LAUNCH = """
import os, signal, sys
sys.path.insert(0, sys.argv.pop(1))
when, what, mark = sys.argv.pop(1), sys.argv.pop(1), sys.argv.pop(1)
from bot.deploy import journal, main

append, seen = journal.Journal.append, [0]

def named(kind, data):
    said = data.get("state") or data.get("call") or data.get("what") or data.get("wish") or ""
    back = data.get("weights", {}).get("blue") == 100
    return f"{kind} {said}{' back' if back and kind != 'seen' else ''}".strip()

def die():
    if not os.path.exists(mark):
        open(mark, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)

def killed(self, kind, **data):
    here = named(kind, data) == what
    if here and when == "before":
        die()
    entry = append(self, kind, **data)
    if here and when == "after":
        die()
    return entry

journal.Journal.append = killed
sys.exit(main.main(sys.argv[1:]))
"""


@dataclass(frozen=True, slots=True)
class Point:
    """A place of the journal, and where the deployment is to end all the same."""

    when: Literal["before", "after"]
    what: str
    end: State = State.SUCCEEDED

    def __str__(self) -> str:
        return f"{self.when} {self.what}"

    def argv(self, mark: Path) -> tuple[str, ...]:
        """The words that start a controller which is killed there; `mark` is a file that remembers that it was."""
        return (sys.executable, "-I", "-c", _LAUNCH, HOME, self.when, self.what, str(mark))


BACK = State.ROLLED_BACK

POINTS: tuple[Point, ...] = (
    Point("after", "state preparing"),
    Point("after", "intent start"),
    Point("before", "done start"),
    Point("before", "state smoking"),
    Point("after", "intent ask_gates"),
    Point("before", "done ask_gates"),
    Point("after", "state switching"),
    Point("after", "intent route"),
    Point("before", "done route"),
    Point("after", "done route"),
    Point("after", "state baking"),
    Point("after", "watch"),
    Point("after", "state retiring"),
    Point("after", "intent drain"),
    Point("after", "intent stop"),
    Point("before", "done stop"),
    Point("before", "state succeeded"),
    Point("before", "state rolling_back", BACK),
    Point("before", "wish rollback", BACK),
    Point("after", "state rolling_back", BACK),
    Point("after", "intent route back", BACK),
    Point("before", "done route back", BACK),
    Point("after", "intent stop", BACK),
    Point("before", "done stop", BACK),
    Point("before", "state rolled_back", BACK),
)
"""Before and after everything that a deployment does. The release before lives in blue: `back` is a route to blue."""
