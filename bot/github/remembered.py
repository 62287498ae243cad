"""Answers that GitHub may confirm instead of repeating: a 304 costs nothing of the rate limit.

Only a few kinds of reads are worth it (lists and pull requests that are looked at again and again); the caller says so.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

MOST = 500
"""Answers that are kept."""

LARGEST = 256 * 1024
"""Bytes of an answer that is kept."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it was, and the name that GitHub gave to this version of it."""

    etag: str
    json: Any
    headers: dict[str, str]


class Remembered:
    """The newest answers of one speaker, the least used forgotten first. Nobody changes what they hold."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Kept] = OrderedDict()

    def get(self, key: str) -> Kept | None:
        """What was answered last."""
        if (kept := self._answers.get(key)) is not None:
            self._answers.move_to_end(key)
        return kept

    def keep(self, key: str, kept: Kept, size: int) -> None:
        """Remember an answer of `size` bytes, if it can be asked for by name."""
        if not kept.etag or size > LARGEST:
            self._answers.pop(key, None)
            return
        self._answers[key] = kept
        self._answers.move_to_end(key)
        if len(self._answers) > MOST:
            self._answers.popitem(last=False)
