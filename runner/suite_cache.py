"""Keeps a parsed suite as one JSON file, so that a warm start parses neither TOML nor YAML. A cache: it may be lost."""

from __future__ import annotations

import json
import os

from runner.model import Box, BoxId, Control, Expect, Quarantine, Setup, Value
from runner.whole_file import write_whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = "interlock.suite/7"  # raise it when the meaning of what is stored changes.
TICK = 20_000_000  # nanoseconds: file systems stamp files with a clock this coarse.


class Remembered(Value):
    """What was parsed, and what the files looked like then.

    `trees`: the roots of the suites of each tree that was read, in order. `prints`: what `runner.discover` computed of
    the files. `notes`: what to say about them. `written`: when this was stored, in nanoseconds since the epoch.
    """

    __slots__ = ("boxes", "config_hash", "notes", "prints", "settings", "setups", "trees", "written")

    def __init__(
        self,
        *,
        trees: list[dict[str, str]],
        prints: str,
        boxes: tuple[Box, ...],
        setups: dict[str, Setup],
        settings: dict[str, object],
        config_hash: str,
        notes: tuple[str, ...] = (),
        written: int = 0,
    ) -> None:
        self.trees = trees
        self.prints = prints
        self.boxes = boxes
        self.setups = setups
        self.settings = settings
        self.config_hash = config_hash
        self.notes = notes
        self.written = written


def load(path: str, key: str) -> Remembered | None:
    """What was stored at `path` under the same `key`; None if there is nothing, or nothing that can be read."""
    try:
        with open(path, encoding="utf-8") as file:
            stored = json.load(file)
            written = os.fstat(file.fileno()).st_mtime_ns
        if stored["format"] != FORMAT or stored["key"] != key:
            return None
        return Remembered(
            trees=stored["trees"],
            prints=stored["prints"],
            boxes=tuple(_box(fields) for fields in stored["boxes"]),
            setups={suite: Setup(**fields) for suite, fields in stored["setups"].items()},
            settings=stored["settings"],
            config_hash=stored["config_hash"],
            notes=tuple(stored["notes"]),
            written=written,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def store(path: str, key: str, remembered: Remembered) -> None:
    """Store it atomically. A directory that cannot be written to only means that the next start parses again."""
    text = json.dumps(
        {
            "format": FORMAT,
            "key": key,
            "trees": remembered.trees,
            "prints": remembered.prints,
            "config_hash": remembered.config_hash,
            "notes": remembered.notes,
            **plain(remembered.boxes, remembered.setups, remembered.settings),
        },
        separators=(",", ":"),
    )
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_whole(path, [text])
    except OSError:
        return


def plain(boxes: tuple[Box, ...], setups: dict[str, Setup], settings: dict[str, object]) -> dict[str, object]:
    """A suite's content as JSON values, in a stable order."""
    return {
        "boxes": [plain_value(box) for box in boxes],
        "setups": {suite: plain_value(setup) for suite, setup in setups.items()},
        "settings": settings,
    }


def plain_value(value: object) -> Any:
    """A value of runner.model as JSON values."""
    if isinstance(value, BoxId):
        return [value.suite, value.number]
    if isinstance(value, Value):
        return {name: plain_value(getattr(value, name)) for name in value.__slots__}
    if isinstance(value, tuple):
        return [plain_value(item) for item in value]
    return value


def _box(fields: dict[str, Any]) -> Box:
    fields["id"] = BoxId(*fields["id"])
    fields["after"] = [BoxId(*earlier) for earlier in fields["after"]]
    if fields["quarantine"]:
        fields["quarantine"] = Quarantine(**fields["quarantine"])
    if control := fields["control"]:
        expect = control["expect"]
        also = [BoxId(*other) for other in control["also"]]
        fields["control"] = Control(**{**control, "expect": Expect(**expect) if expect else None, "also": also})
    return Box(**fields)
