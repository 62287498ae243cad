"""Which branches' pushes run, as was read a moment ago: most pushes go to others, and need not cost a flow each."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta

Place = tuple[int, int]
"""The installation that a delivery names, and the repository."""

FRESH = timedelta(seconds=20)
"""How long what was read counts; a push to the default branch ends it at once."""

MOST = 10_000
"""Repositories that are remembered."""


class Listed:
    """What the default branches of repositories list.

    Args:
        now: the time, aware.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._known: dict[Place, tuple[datetime, frozenset[str]]] = {}
        self._changes: dict[Place, int] = {}

    def change(self, place: Place) -> int:
        """How often the repository's list may have changed; to be read before the list is."""
        return self._changes.get(place, 0)

    def note(self, place: Place, branches: Collection[str], *, change: int) -> None:
        """Remember a list, unless it may have changed since `change` was read."""
        if change == self.change(place):
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[place] = (self._now(), frozenset(branches))

    def forget(self, place: Place) -> None:
        """The default branch has moved."""
        self._known.pop(place, None)
        if len(self._changes) >= MOST:
            self._changes = {known: self._changes.get(known, 0) for known in self._known}
        self._changes[place] = self.change(place) + 1

    def lacks(self, place: Place, branch: str) -> bool:
        """Whether the branch was surely not listed a moment ago."""
        read_at, branches = self._known.get(place, (None, frozenset()))
        return read_at is not None and self._now() - read_at < FRESH and branch not in branches
