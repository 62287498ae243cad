"""Who was asked by GitHub to keep quiet, and until when. A restart is no excuse: calling on gets an App banned."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from bot.github.errors import RateLimited

LONGEST = timedelta(minutes=30)
"""Waits that we choose ourselves grow up to this."""


class Quiet:
    """The speakers that keep quiet.

    Args:
        now: the time, aware.
        keep: writes a speaker's end of silence down, under its name.
    """

    def __init__(
        self, now: Callable[[], datetime], keep: Callable[[str, str], Awaitable[object]] | None = None
    ) -> None:
        self._now = now
        self._keep = keep
        self._until: dict[str, datetime] = {}
        self._unadvised: dict[str, int] = {}

    def restore(self, kept: Mapping[str, str]) -> None:
        """Take over what an earlier process wrote down."""
        for name, text in kept.items():
            try:
                self._until[name] = datetime.fromisoformat(text)
            except ValueError:
                continue

    def until(self, name: str) -> datetime | None:
        """Until when a speaker keeps quiet; None when it may speak."""
        until = self._until.get(name)
        return until if until and self._now() < until else None

    def speakers(self) -> dict[str, datetime]:
        """All that keep quiet at this moment, and until when."""
        return {name: until for name in self._until if (until := self.until(name))}

    async def begin(self, name: str, limited: RateLimited) -> RateLimited:
        """GitHub asked a speaker to keep quiet. Returns what to tell its callers.

        Where GitHub does not say for how long, each further time doubles the wait, as it asks for.

        Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api
        """
        until = limited.until
        if not limited.advised:
            times = self._unadvised[name] = self._unadvised.get(name, 0) + 1
            now = self._now()
            until = now + min((limited.until - now) * 2 ** min(times - 1, 10), LONGEST)
        self._until[name] = until
        if self._keep:
            await self._keep(name, until.isoformat())
        return RateLimited(until, limited.advised)

    def end(self, name: str) -> None:
        """A call of the speaker was answered well."""
        self._unadvised.pop(name, None)
