"""GitHub's primary rate limit: so many calls an hour for each user, installation and App."""

from __future__ import annotations

from dataclasses import dataclass

WINDOW = 3600


@dataclass(slots=True)
class Window:
    """One caller's present hour; `reset` is in seconds since the epoch."""

    limit: int
    used: int
    reset: int

    @property
    def remaining(self) -> int:
        """Calls that are left."""
        return max(0, self.limit - self.used)

    def headers(self) -> dict[str, str]:
        """What every response says about it."""
        facts = {"limit": self.limit, "remaining": self.remaining, "used": self.used, "reset": self.reset}
        return {**{f"x-ratelimit-{name}": str(value) for name, value in facts.items()}, "x-ratelimit-resource": "core"}


class Limits:
    """The windows of all callers. Lower `per_hour` to see what a client does when it runs out."""

    def __init__(self) -> None:
        self.per_hour = 5000
        self.anonymous_per_hour = 60
        self._windows: dict[str, Window] = {}

    def window(self, bucket: str, now: float) -> Window:
        """A caller's present window, a new one when the last is over."""
        limit = self.anonymous_per_hour if bucket == "anonymous" else self.per_hour
        window = self._windows.get(bucket)
        if window is None or window.reset <= now:
            window = self._windows[bucket] = Window(limit=limit, used=0, reset=int(now) + WINDOW)
        window.limit = limit
        return window
