"""What a measurement prints: each figure beside its promise, and whether it held here and now."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured value. With a promise it holds when it is at most that; without one it is there to be compared."""

    what: str
    value: float
    unit: str
    promise: float | None = None

    @property
    def holds(self) -> bool:
        """Whether it is within its promise."""
        return self.promise is None or self.value <= self.promise

    def line(self) -> str:
        """As a row of the table."""
        unit = f" {self.unit}" if self.unit else ""
        if self.promise is None:
            return f"{self.what:46} {self.value:9.2f}{unit}"
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        return f"{self.what:46} {self.value:9.2f}{unit:5} promise <= {self.promise:g}{unit:5} {verdict}"


def machine() -> str:
    """What a figure was measured on, as far as it matters: cores and how busy they were already."""
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    busy = "; BUSY: milliseconds say little, ratios a little more" if load > cores / 2 else ""
    return f"{cores} cores, load {load:.1f} at the start{busy}"


def report(figures: Iterable[Figure]) -> int:
    """Print the figures; 1 when a promise does not hold."""
    shown = list(figures)
    print("\n".join(figure.line() for figure in shown))
    return 0 if all(figure.holds for figure in shown) else 1
