"""Trouble on order: the next matching call fails in a given way, the next delivery is lost, doubled or overtaken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What happens to one call instead of, or (with `after_commit`) after, its effect."""

    method: str
    path: re.Pattern[str]
    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    after_commit: bool = False
    delay: float = 0.0


class Faults:
    """A list of faults, each used up by the first call or delivery that it fits."""

    def __init__(self) -> None:
        self._calls: list[Fault] = []
        self._deliveries: list[tuple[str, str]] = []
        self._held: list[object] = []

    def next(
        self,
        method: str,
        path: str,
        *,
        status: int = 0,
        message: str = "Server Error",
        headers: dict[str, str] | None = None,
        reset: bool = False,
        after_commit: bool = False,
        delay: float = 0.0,
        times: int = 1,
    ) -> None:
        """Spoil the next `times` calls of `method` whose path matches the regular expression `path` somewhere.

        Args:
            method: `GET`, `POST`, …; `*` is any.
            path: searched in the path without the query.
            status: answered instead of the real answer; 0 leaves the answer alone (for a mere delay).
            message: the error body's sentence.
            headers: added to that answer (`retry-after`, …).
            reset: the connection closes in the middle of the answer.
            after_commit: the call has its full effect first, only its answer is lost.
            delay: seconds to wait before anything else.
            times: how many calls to spoil.
        """
        fault = Fault(
            method=method.upper(),
            path=re.compile(path),
            status=status,
            message=message,
            headers=headers or {},
            reset=reset,
            after_commit=after_commit,
            delay=delay,
        )
        self._calls.extend([fault] * times)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this call, now used up."""
        for index, fault in enumerate(self._calls):
            if fault.method in {method, "*"} and fault.path.search(path):
                return self._calls.pop(index)
        return None

    def drop_delivery(self, event: str = "") -> None:
        """Lose the next webhook (of this event)."""
        self._deliveries.append(("drop", event))

    def duplicate_delivery(self, event: str = "") -> None:
        """Send the next webhook (of this event) twice, with one id."""
        self._deliveries.append(("duplicate", event))

    def overtake_delivery(self, event: str = "") -> None:
        """Hold the next webhook (of this event) back until another one has gone ahead of it."""
        self._deliveries.append(("overtake", event))

    def deliver(self, event: str, outgoing: T) -> list[T]:
        """What really goes out, in this order, when `outgoing` is due."""
        for index, (kind, wanted) in enumerate(self._deliveries):
            if wanted in {"", event}:
                del self._deliveries[index]
                if kind == "overtake":
                    self._held.append(outgoing)
                    return []
                return [outgoing, outgoing] if kind == "duplicate" else []
        held: list[T] = self._held  # type: ignore[assignment]  # only T goes in, above.
        self._held = []
        return [outgoing, *held]
