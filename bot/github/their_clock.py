"""How far this machine's clock is from GitHub's, as the `Date` of its answers shows it.

The App's assertion is refused when the two differ by a few minutes, and a token's end is told in GitHub's time. So both
are judged by GitHub's clock once it is known to differ.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

NOTED = timedelta(seconds=30)
"""Below this it is the way of the answer, not the clock."""

MENDED = timedelta(hours=1)
"""Up to here calls are dated by GitHub's clock. A clock that is further off is for its owner to set."""

_SECOND = timedelta(seconds=1)


class TheirClock:
    """GitHub's clock, seen from here.

    Args:
        now: this machine's time, aware.

    Attributes:
        skew: how far this machine is ahead; negative when it is behind; zero while nothing is known.
        heard_at: when GitHub last answered, by this machine's clock; None before the first answer.
    """

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.skew = timedelta()
        self.heard_at: datetime | None = None

    def observe(self, date: str, asked_at: datetime) -> None:
        """Take note of an answer's `Date`; one that cannot be read says nothing.

        The answer was dated somewhere between the question and now. The skew is the smallest that explains its date,
        so that a slow answer is not taken for a slow clock.
        """
        self.heard_at = now = self._now()
        if (theirs := date_of(date)) is None:
            return
        if theirs + _SECOND < asked_at:  # it has whole seconds.
            self.skew = asked_at - theirs
        elif theirs > now:
            self.skew = now - theirs
        else:
            self.skew = timedelta()

    @property
    def differs(self) -> bool:
        """Whether the two clocks differ by more than an answer takes."""
        return abs(self.skew) > NOTED

    @property
    def can_be_mended(self) -> bool:
        """Whether dating calls by GitHub's clock is sensible."""
        return self.differs and abs(self.skew) <= MENDED

    def now(self) -> datetime:
        """The time by GitHub's clock, as far as it is known and believable; else by this machine's."""
        return self._now() - self.skew if self.can_be_mended else self._now()


def date_of(text: str) -> datetime | None:
    """An HTTP date (RFC 9110 §5.6.7), aware; None when the text is none."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
