"""When a branch is frozen, and how that reads. Pure: freezes and the moment come in as arguments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from bot.domain.text import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """One `/freeze`. `branch` "" is every branch; `until` None is until somebody lifts it; moments are aware."""

    id: str
    repo_id: int
    branch: str
    by: str
    because: str
    since: datetime
    until: datetime | None = None
    lifted_by: str = ""
    lifted_at: datetime | None = None

    def holds(self, branch: str, now: datetime) -> bool:
        """Whether nothing may go into `branch` at this moment. Its first moment counts, its last does not."""
        begun = self.since <= now and self.branch in {"", branch}
        return begun and self.lifted_at is None and (self.until is None or now < self.until)


def holding(freezes: Iterable[Freeze], *, branch: str, now: datetime) -> Freeze | None:
    """The freeze that decides over a branch: of those that hold, the one that holds longest.

    Of two that end together the one that names the branch decides, then the older one: so what people read does not
    depend on the order in which a database answers.
    """
    standing = [freeze for freeze in freezes if freeze.holds(branch, now)]
    return min(standing, key=_rank, default=None)


def over(freezes: Iterable[Freeze], now: datetime) -> tuple[Freeze, ...]:
    """Those that nobody lifted and whose end has come."""
    return tuple(freeze for freeze in freezes if freeze.lifted_at is None and freeze.until and freeze.until <= now)


def sentence(freeze: Freeze) -> str:
    """Plain text on one line, for a check's title: `frozen until 2026-12-24 17:00 UTC: why (by @mona)`."""
    until = f" until {moment(freeze.until)}" if freeze.until else ""
    return one_line(f"frozen{until}: {freeze.because} (by @{freeze.by})", 400)


def moment(at: datetime) -> str:
    """To the minute, in UTC; seconds only where there are some."""
    at = at.astimezone(UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC" if at.second else "%Y-%m-%d %H:%M UTC")


def _rank(freeze: Freeze) -> tuple[float, bool, datetime, str]:
    longest = -freeze.until.timestamp() if freeze.until else float("-inf")
    return longest, not freeze.branch, freeze.since, freeze.id
