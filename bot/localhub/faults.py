"""Trouble on order: calls fail in a given way, deliveries fail or are lost, doubled or overtaken, GitHub is down."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, TypeVar

T = TypeVar("T")

Garbled = Literal["", "half", "page"]
"""What an answer is in place of GitHub's JSON: the first half of it, or a page of HTML."""


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
    garbled: Garbled = ""
    drip: float = 0.0


class Faults:
    """A list of faults, each used up by the first call or delivery that it fits.

    Attributes:
        down: while true, every call of the API and of git is answered 503 with a page, as GitHub does on a bad day.
    """

    def __init__(self) -> None:
        self.down = False
        self._calls: list[Fault] = []
        self._each: list[tuple[Fault, set[tuple[str, str]]]] = []
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
        garbled: Garbled = "",
        drip: float = 0.0,
        times: int = 1,
        each: bool = False,
    ) -> None:
        """Spoil the next `times` calls of `method` whose path matches the regular expression `path` somewhere.

        Args:
            method: `GET`, `POST`, …; `*` is any.
            path: searched in the path without the query.
            status: answered instead of the real answer; 0 leaves the answer alone (for a mere delay, or garbling).
            message: the error body's sentence.
            headers: added to that answer (`retry-after`, …).
            reset: the connection closes in the middle of the answer.
            after_commit: the call has its full effect first, only its answer is lost.
            delay: seconds to wait before anything else.
            garbled: the answer is no JSON, or not all of it.
            drip: the answer comes a piece at a time, with so many seconds between two pieces, eight in all.
            times: how many calls to spoil.
            each: spoil the first call of every method and path that matches, for as long as the hub lives.
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
            garbled=garbled,
            drip=drip,
        )
        if each:
            self._each.append((fault, set()))
        else:
            self._calls.extend([fault] * times)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault for this call, now used up."""
        for index, fault in enumerate(self._calls):
            if fault.method in {method, "*"} and fault.path.search(path):
                return self._calls.pop(index)
        for fault, spoiled in self._each:
            if fault.method in {method, "*"} and fault.path.search(path) and (method, path) not in spoiled:
                spoiled.add((method, path))
                return fault
        return None

    def drop_delivery(self, event: str = "") -> None:
        """Lose the next webhook (of this event)."""
        self._deliveries.append(("drop", event))

    def duplicate_delivery(self, event: str = "") -> None:
        """Send the next webhook (of this event) twice, with one id."""
        self._deliveries.append(("duplicate", event))

    def fail_delivery(self, event: str = "") -> None:
        """Let the next webhook (of this event) not arrive: it is listed as failed, and can be asked for again."""
        self._deliveries.append(("fail", event))

    def fails(self, event: str) -> bool:
        """Whether this webhook, which is on its way, does not arrive; used up by asking."""
        for index, (kind, wanted) in enumerate(self._deliveries):
            if kind == "fail" and wanted in {"", event}:
                del self._deliveries[index]
                return True
        return False

    def overtake_delivery(self, event: str = "") -> None:
        """Hold the next webhook (of this event) back until another one has gone ahead of it."""
        self._deliveries.append(("overtake", event))

    def deliver(self, event: str, outgoing: T) -> list[T]:
        """What really goes out, in this order, when `outgoing` is due."""
        for index, (kind, wanted) in enumerate(self._deliveries):
            if kind != "fail" and wanted in {"", event}:
                del self._deliveries[index]
                if kind == "overtake":
                    self._held.append(outgoing)
                    return []
                return [outgoing, outgoing] if kind == "duplicate" else []
        held: list[T] = self._held  # type: ignore[assignment]  # only T goes in, above.
        self._held = []
        return [outgoing, *held]
