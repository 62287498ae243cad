"""Looks for a pattern that somebody else wrote in what somebody else printed, and gives up in time."""

from __future__ import annotations

import re
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

SECONDS = 2.0


class TooLong(Exception):
    """Nobody knows whether it is there: to look takes longer than anybody waits."""


def is_found(pattern: str, text: str, *, seconds: float = SECONDS) -> bool:
    """Whether a pattern is in a text; `^` and `$` are those of a line.

    `(a+)+$` takes longer than the universe has existed on a line of a hundred letters, and a signal ends it: so in a
    second thread, which gets none, it is not bounded.

    Raises:
        TooLong: that was not found out in time.
    """

    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TooLong

    try:
        before = signal.signal(signal.SIGALRM, give_up)
    except ValueError:  # not in the first thread.
        return re.search(pattern, text, re.MULTILINE) is not None
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return re.search(pattern, text, re.MULTILINE) is not None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
