"""The boxes of one tier that have not started, and which of them may. Pure.

They start in the plan's order, after what they come after, and never two with one lock. Each box is looked at when
something changes for it and not otherwise, so that ten thousand of them take ten times as long as a thousand.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runner.model import Box, BoxId

_FIRST = -1


class Line:
    """Made of a tier's boxes in the plan's order, those that need not run left out."""

    def __init__(self, boxes: Iterable[Box]) -> None:
        self._left = {box.id: box for box in boxes}
        self._rank = {box_id: rank for rank, box_id in enumerate(self._left)}
        self._later: dict[BoxId, list[BoxId]] = {}
        self._missing: dict[BoxId, int] = {}  # how many boxes of this line must have ended before it
        self._ready: list[tuple[int, BoxId]] = []
        self._held: set[str] = set()
        self._parked: dict[str, list[tuple[int, BoxId]]] = {}  # by the lock that each waits for
        self._behind_red: deque[BoxId] = deque()
        self._started: dict[BoxId, Box] = {}
        for box in self._left.values():
            before = [other for other in set(box.after) if other in self._left]
            for other in before:
                self._later.setdefault(other, []).append(box.id)
            self._missing[box.id] = len(before)
            if not before:
                self._ready.append((self._rank[box.id], box.id))

    def __bool__(self) -> bool:
        """Whether there is a box left that has neither started nor left the line."""
        return bool(self._left)

    def __iter__(self) -> Iterator[Box]:
        """Those that are left, in order."""
        return iter(tuple(self._left.values()))

    def __contains__(self, box_id: object) -> bool:
        """Whether a box is left."""
        return box_id in self._left

    def start(self) -> Box | None:
        """The first box that may start now. It is not left any more, and has its locks."""
        while self._ready:
            place = heappop(self._ready)
            box = self._left.get(place[1])
            if box is None:
                continue  # it has left the line
            lock = next((lock for lock in box.locks if lock in self._held), "")
            if not lock:
                self._held.update(box.locks)
                self._started[box.id] = self._left.pop(box.id)
                return box
            heappush(self._parked.setdefault(lock, []), place)
            for other in box.locks:
                if other not in self._held:
                    self._wake(other)  # it was to take this lock, and does not
        return None

    def again(self, box: Box) -> None:
        """A box that has started is to start once more, before all others."""
        self._let_go(box)
        self._left[box.id] = box
        heappush(self._ready, (_FIRST, box.id))

    def leave(self, box_id: BoxId, *, green: bool) -> None:
        """A box has its verdict, started or not. What comes after a box that is not green will not start."""
        self._left.pop(box_id, None)
        if (started := self._started.get(box_id)) is not None:
            self._let_go(started)
        for later in self._later.pop(box_id, ()):
            self._missing[later] -= 1
            if not green:
                self._behind_red.append(later)
            elif not self._missing[later]:
                heappush(self._ready, (self._rank[later], later))

    def behind_red(self) -> Box | None:
        """The next box that comes after one that is not green; it is still left."""
        while self._behind_red:
            box = self._left.get(self._behind_red.popleft())
            if box is not None:
                return box
        return None

    def _let_go(self, box: Box) -> None:
        del self._started[box.id]
        self._held.difference_update(box.locks)
        for lock in box.locks:
            self._wake(lock)

    def _wake(self, lock: str) -> None:
        """Let the first of those that wait for a lock try again."""
        if waiting := self._parked.get(lock):
            heappush(self._ready, heappop(waiting))
