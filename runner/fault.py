"""What a control or a box may do to a service or to its target, as text and as a value. Pure.

A fault is written in words: `down`, `latency 200ms jitter 50ms`, `reset after 1000`; a colon is as good as a space.
`runner.services.faults` does what it says to a connection, `runner.services.target` to an HTTP answer. Reference:
docs/reference/configuration.md.
"""

from __future__ import annotations

import re
from enum import StrEnum

from runner.model import Value

LONGEST = 3600.0  # seconds
MOST = 1 << 40  # bytes

_TIME = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s)")
_TIMES = {"ms": 0.001, "s": 1.0}
_SIZE = re.compile(r"(\d{1,12})(B|KiB|MiB)?")
_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}


class Kind(StrEnum):
    """What is wrong with a service, or with the way to it."""

    UP = "up"
    DOWN = "down"
    RESET = "reset"
    BLACKHOLE = "blackhole"
    HALF_OPEN = "half-open"
    LATENCY = "latency"
    BANDWIDTH = "bandwidth"
    SLOW_CLOSE = "slow-close"
    TIMEOUT = "timeout"
    KILLED = "killed"
    PAUSED = "paused"
    STATUS = "status"
    SLOW = "slow"
    WRONG_BODY = "wrong-body"


# What each kind takes: a time, a size, nothing; `?` marks what may be left out.
_OF_SERVICES = {
    Kind.UP: "",
    Kind.DOWN: "",
    Kind.RESET: "size?",
    Kind.BLACKHOLE: "",
    Kind.HALF_OPEN: "",
    Kind.LATENCY: "time",
    Kind.BANDWIDTH: "size",
    Kind.SLOW_CLOSE: "time",
    Kind.TIMEOUT: "time",
    Kind.KILLED: "",
    Kind.PAUSED: "",
}
_OF_TARGETS = {Kind.DOWN: "", Kind.STATUS: "status", Kind.SLOW: "time", Kind.WRONG_BODY: ""}


class Fault(Value):
    """One fault. `amount` is its seconds, bytes, bytes a second, or HTTP status; `jitter` seconds around a latency."""

    __slots__ = ("amount", "jitter", "kind")

    def __init__(self, kind: Kind, amount: float = 0, jitter: float = 0) -> None:
        self.kind = kind
        self.amount = amount
        self.jitter = jitter

    def __str__(self) -> str:
        """The fault as it can be read again."""
        if self.kind is Kind.STATUS:
            return str(int(self.amount))
        takes = _OF_SERVICES.get(self.kind) or _OF_TARGETS.get(self.kind, "")
        if takes == "time":
            jitter = f" jitter {_seconds(self.jitter)}" if self.jitter else ""
            return f"{self.kind} {_seconds(self.amount)}{jitter}"
        if takes.startswith("size") and (self.amount or takes == "size"):
            return f"{self.kind} {'after ' if self.kind is Kind.RESET else ''}{int(self.amount)}B"
        return str(self.kind)


UP = Fault(Kind.UP)


def read_fault(text: str) -> Fault:
    """What a service is to suffer.

    Raises:
        ValueError: it cannot be read; the sentence says what could be.
    """
    return _read(text, _OF_SERVICES)


def read_target_fault(text: str) -> Fault:
    """What is to become of a target's answers: `down`, a status such as `503`, `slow 2s`, `wrong-body`.

    Raises:
        ValueError: it cannot be read; the sentence says what could be.
    """
    text = text.strip()
    if text.isascii() and text.isdecimal():
        text = f"status {text}"
    return _read(text, _OF_TARGETS)


def _read(text: str, kinds: dict[Kind, str]) -> Fault:
    name, *words = text.replace(":", " ").split() or [""]
    if name not in kinds:
        known = ", ".join(f"{kind} {takes.upper()}".strip() for kind, takes in kinds.items())
        message = f"'{text[:60]}' is no fault (one of: {known})"
        raise ValueError(message)
    kind = Kind(name)
    jitter = 0.0
    if kind is Kind.LATENCY and words[1:2] == ["jitter"]:
        jitter, words = _amount(words[2:], "time", text), words[:1]
    takes = kinds[kind]
    if kind is Kind.RESET and words[:1] == ["after"]:
        words, takes = words[1:], "size"
    return Fault(kind, _amount(words, takes, text), jitter)


def _amount(words: list[str], takes: str, text: str) -> float:
    if not words and (not takes or takes.endswith("?")):
        return 0
    if len(words) == 1 and takes == "time" and (match := _TIME.fullmatch(words[0])):
        seconds = float(match[1]) * _TIMES[match[2]]
        if 0 < seconds <= LONGEST:
            return seconds
    if len(words) == 1 and takes.startswith("size") and (match := _SIZE.fullmatch(words[0])):
        size = int(match[1]) * _SIZES[match[2] or "B"]
        if 0 < size <= MOST:
            return size
    if len(words) == 1 and takes == "status" and words[0].isdecimal() and 200 <= int(words[0]) <= 599:
        return int(words[0])
    wanted = {
        "time": "a time such as 200ms or 2s",
        "size": "a number of bytes such as 1000 or 64KiB",
        "status": "an HTTP status from 200 to 599",
    }.get(takes.rstrip("?"), "nothing")
    message = f"'{text[:60]}': after the first word comes {wanted}"
    raise ValueError(message)


def _seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") + "s"
