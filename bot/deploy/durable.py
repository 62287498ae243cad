"""Small files that are either as they were or as they shall be, also after the machine lost its power."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def put(path: Path, text: str) -> None:
    """Replace a file's text, and be sure that it is on the disk."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    scratch.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def get(path: Path) -> str:
    """A file's text; "" when there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def get_json(path: Path) -> dict[str, Any]:
    """A file's JSON object; empty when there is none."""
    try:
        found = json.loads(get(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
