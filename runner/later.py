"""Regular expressions that are compiled when they are first used.

Most runs need few of those that their modules know, and to compile one takes a start up to 0.8 ms.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def later(text: str, flags: int = 0) -> re.Pattern[str]:
    """What `re.compile` makes, at its first use. A text that is none is noticed no earlier."""
    return _Later(text, flags)  # type: ignore[return-value]


class _Later:
    """Becomes the pattern, one method after the other."""

    def __init__(self, text: str, flags: int) -> None:
        self._text = text
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        found = getattr(re.compile(self._text, self._flags), name)  # `re` remembers what it has compiled.
        setattr(self, name, found)
        return found
