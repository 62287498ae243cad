"""The one question that a controller has for the bot: do the gates still pass, right before the switch?

Gates need GitHub and the database, which the controller does not have. It asks by a file, and takes the answer from
another. Nobody has seen the release yet, so it can wait; a way back never asks.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot.deploy.files import DeployFiles
from bot.domain.deploy.answers import Answer, Word, word_of


@dataclass(frozen=True, slots=True)
class Answered:
    """What the gates say."""

    word: Word
    because: str


def ask(files: DeployFiles, number: int) -> None:
    """Ask. `number` tells this question from an earlier one; asking the same once more changes nothing."""
    _put(_question(files), {"number": number})


def question(files: DeployFiles) -> int | None:
    """The number of the question that has no answer yet; None when there is none."""
    asked, answered = _get(_question(files)), _get(_answer(files))
    if asked is None or (answered is not None and answered["number"] == asked["number"]):
        return None
    return int(asked["number"])


def answer(files: DeployFiles, number: int, gates: Answer) -> None:
    """Answer a question."""
    _put(_answer(files), {"number": number, "word": word_of(gates), "because": gates.because})


def answered(files: DeployFiles, number: int) -> Answered | None:
    """The answer to a question; None while there is none."""
    found = _get(_answer(files))
    if found is None or found["number"] != number:
        return None
    return Answered(found["word"], found["because"])


def _question(files: DeployFiles) -> Path:
    return files.directory / "gates.question"


def _answer(files: DeployFiles) -> Path:
    return files.directory / "gates.answer"


def _put(path: Path, value: dict[str, Any]) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(json.dumps(value), encoding="utf-8")
    scratch.replace(path)


def _get(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "number" in found else None
