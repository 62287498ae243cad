"""What earlier runs of a repository's boxes said: how long each took, and whether its last verdict was red.

One JSON file. Two runs that end at the same time may lose one another's numbers, never the file.
"""

from __future__ import annotations

import json
import os

from runner.model import BoxId, Value, Verdict
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runner.events import BoxFinished

SCHEMA = "runner.history/1"
KEPT = 20  # durations of a box

# How long a box takes is learned only from attempts that did its work or filled its time.
_TIMED = frozenset({Verdict.PASSED, Verdict.FLAKY, Verdict.FAILED, Verdict.TIMED_OUT})


class _Past(Value):
    __slots__ = ("red", "seconds")

    def __init__(self, *, seconds: list[float], red: bool) -> None:
        self.seconds = seconds
        self.red = red


class History:
    """Load it, read it, record what finished, save it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._boxes: dict[BoxId, _Past] = {}

    @classmethod
    def load(cls, path: str) -> History:
        """The history kept at `path`; empty if there is none, or one that cannot be read."""
        history = cls(path)
        try:
            with open(path, encoding="utf-8") as file:
                stored = json.load(file)
            if stored["schema"] == SCHEMA:
                for text, fields in stored["boxes"].items():
                    history._read(text, fields)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            history._boxes.clear()
        return history

    def _read(self, text: str, fields: dict[str, object]) -> None:
        seconds = fields["seconds"]
        if not isinstance(seconds, list):
            return
        kept = [float(item) for item in seconds if isinstance(item, int | float) and 0 <= item < float("inf")]
        self._boxes[BoxId.read(text)] = _Past(seconds=kept[-KEPT:], red=fields["red"] is True)

    def durations(self) -> dict[BoxId, float]:
        """The median of each box's recent durations, in seconds; boxes that never ran are missing."""
        return {box_id: _median(past.seconds) for box_id, past in self._boxes.items() if past.seconds}

    def failed(self) -> set[BoxId]:
        """The boxes whose last verdict was not green: those that are red, and those that a red one held back."""
        return {box_id for box_id, past in self._boxes.items() if past.red}

    def record(self, event: BoxFinished) -> None:
        """Take note of a finished box."""
        known = self._boxes.get(event.box)
        seconds = known.seconds if known else []
        if event.verdict in _TIMED:
            seconds = [*seconds, round(event.seconds, 4)][-KEPT:]
        self._boxes[event.box] = _Past(seconds=seconds, red=not event.green)

    def save(self) -> bool:
        """Replace the file at once. False if it could not be written, which costs the next run only its foresight."""
        boxes = {str(box_id): {"seconds": past.seconds, "red": past.red} for box_id, past in self._boxes.items()}
        text = json.dumps({"schema": SCHEMA, "boxes": boxes}, separators=(",", ":"))
        try:
            os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
            write_whole(self._path, [text])
        except OSError:
            return False
        return True


def _median(seconds: list[float]) -> float:
    in_order = sorted(seconds)
    middle = len(in_order) // 2
    return in_order[middle] if len(in_order) % 2 else (in_order[middle - 1] + in_order[middle]) / 2
