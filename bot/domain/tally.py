"""Counts of things whose names strangers may choose: bounded in number and in length, whatever comes."""

from __future__ import annotations

from collections.abc import Mapping

from bot.domain.text import one_line

NAMES = 200
"""Different names that are told apart; what comes later is counted together."""

LENGTH = 100
"""Bytes of a name."""

OTHERS = "others"


class Tally:
    """How often what was seen, since the process began."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, name: str) -> None:
        """Count one more."""
        name = one_line(name, LENGTH) or "(empty)"
        if name not in self._counts and len(self._counts) >= NAMES:
            name = OTHERS
        self._counts[name] = self._counts.get(name, 0) + 1

    @property
    def counts(self) -> Mapping[str, int]:
        """By name, the most frequent first."""
        return dict(sorted(self._counts.items(), key=lambda item: (-item[1], item[0])))
