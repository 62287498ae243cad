"""The timeline of a run as numbers: where each bar begins and ends, where tiers are shaded, where the axis is marked.

Pure geometry. Across, everything is in percent of the chart's width, so that it fits a phone and a wall; down, it is in
CSS pixels, so that text keeps its size.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bot.domain.progress import BoxState, Phase, Progress, TierState

ROW = 24
HEAD = 26
AXIS = 22
MAX_ROWS = 400
"""Boxes that are drawn; a longer chart helps nobody and would be megabytes."""

MIN_WIDTH = 0.6
STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A box's row. `x` and `width` are percent; a width of 0 means that it has not run in this run."""

    state: BoxState
    y: int
    x: float
    width: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A tier's shade with its heading."""

    tier: TierState
    y: int
    height: int
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis: percent across, and seconds since the beginning."""

    x: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The whole chart. `left_out` counts the boxes that were not drawn."""

    height: int
    bands: tuple[Band, ...]
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    left_out: int


def chart(progress: Progress, *, now: float) -> Chart:
    """Lay out a run; boxes that still run reach to `now` (Unix time)."""
    spans = [span for box in progress.boxes if (span := _span(box, now))]
    begin = min((start for start, _ in spans), default=0.0)
    length = max(max((end for _, end in spans), default=0.0) - begin, 0.001)
    bands: list[Band] = []
    bars: list[Bar] = []
    y = AXIS
    for tier in progress.tiers:
        shown = _by_start(tier.boxes)[: MAX_ROWS - len(bars)]
        if not shown:
            break
        seconds = progress.tier_seconds.get(tier.number)
        bands.append(Band(tier=tier, y=y, height=HEAD + ROW * len(shown), seconds=seconds))
        y += HEAD
        for box in shown:
            bars.append(_bar(box, y=y, begin=begin, length=length, now=now))
            y += ROW
    return Chart(
        height=y,
        bands=tuple(bands),
        bars=tuple(bars),
        ticks=tuple(_ticks(length)) if spans else (),
        left_out=len(progress.boxes) - len(bars),
    )


def _span(box: BoxState, now: float) -> tuple[float, float] | None:
    """When it ran in this run; None if it did not."""
    if box.kept or not box.started or (box.result is not None and not box.executed):
        return None
    if box.result is not None:
        return box.started, max(box.started + box.result.seconds, box.started)
    return (box.started, max(now, box.started)) if box.phase is Phase.RUNNING else None


def _bar(box: BoxState, *, y: int, begin: float, length: float, now: float) -> Bar:
    span = _span(box, now)
    if span is None:
        return Bar(state=box, y=y, x=0.0, width=0.0)
    x = 100 * (span[0] - begin) / length
    width = max(100 * (span[1] - span[0]) / length, MIN_WIDTH)
    x = min(x, 100 - MIN_WIDTH)
    return Bar(state=box, y=y, x=round(x, 3), width=round(min(width, 100 - x), 3))


def _by_start(boxes: Iterable[BoxState]) -> list[BoxState]:
    return sorted(boxes, key=lambda box: (box.kept or not box.started, box.started, box.box))


def _ticks(length: float) -> Iterable[Tick]:
    """At most six marks at round times."""
    step = next((step for step in STEPS if length / step <= 6), length)
    for n in range(int(length / step) + 1):
        yield Tick(round(100 * n * step / length, 3), n * step)
