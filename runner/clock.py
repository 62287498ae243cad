"""The time of day for a run, which never goes back and never leaps."""

from __future__ import annotations

from time import monotonic, time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def steady(wall: Callable[[], float] = time, ticks: Callable[[], float] = monotonic) -> Callable[[], float]:
    """A clock of Unix seconds that asks the machine's once, and then counts on by itself.

    Somebody may set the machine's clock while a run goes on, by a second or by a day. What such a clock says of the run
    still fits together: nothing ends before it began, and a duration is the difference of two times. While a machine is
    suspended it stands still, as the boxes do.

    Args:
        wall: the time of day.
        ticks: seconds that only grow.
    """
    offset = wall() - ticks()
    return lambda: offset + ticks()
