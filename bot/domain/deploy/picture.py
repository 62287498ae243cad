"""The watch's evidence as a picture: what users and probes were answered, and how the case against the release grew.

Plain SVG without any script or outside asset. In a page it takes the page's colours; alone (`standalone`) it brings its
own, for light and for dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

from bot.domain.deploy.journey import Reading, Sample, Side
from bot.domain.text import one_line

WIDTH, LEFT, RIGHT = 960, 92, 18
STATES, ANSWERS, CASE = 34, 150, 110
"""Heights: the strip of states, the bars of each side's answers, and the curve."""

COLUMNS = 120
"""At most; fewer where samples are rarer, so that each holds some, and bars of equal traffic are equally tall."""

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)

CSS = (
    ".w text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue','DejaVu Sans',sans-serif;"
    "fill:var(--ink)}.w .soft{fill:var(--soft);font-size:11px}.w .paper{fill:var(--card)}"
    ".w .grid{stroke:var(--line)}.w .ok{fill:var(--good)}.w .failed{fill:var(--bad)}"
    ".w .old-ok{fill:var(--idle)}.w .old-failed{fill:var(--warn)}"
    ".w .r{fill:none;stroke:var(--live);stroke-width:2;stroke-linejoin:round}"
    ".w .more{stroke:var(--warn)}.w .limit{stroke:var(--bad);stroke-dasharray:5 4}.w .over{fill:var(--bad)}"
    ".w .mark{stroke:var(--ink);stroke-dasharray:2 3}"
    ".w .good{fill:var(--good-soft)}.w .bad{fill:var(--bad-soft)}.w .live{fill:var(--live-soft)}"
    ".w .held{fill:var(--warn-soft)}.w .idle{fill:var(--idle-soft)}"
)
"""Of the picture, in the colours that a page defines."""

_LIGHT = (
    "--card:#fff;--ink:#1c1e21;--soft:#5d646d;--line:#dcdee1;--good:#1a7f4b;--good-soft:#d9f0e3;--bad:#c4282d;"
    "--bad-soft:#fbe3e2;--warn:#9a6300;--warn-soft:#fbeecd;--live:#2264c9;--live-soft:#dde9fb;--idle:#8b9098;"
    "--idle-soft:#eceeef"
)
_DARK = (
    "--card:#1b1e22;--ink:#e6e8ea;--soft:#9aa2ab;--line:#2d3238;--good:#4cc38a;--good-soft:#16362a;--bad:#ff7b76;"
    "--bad-soft:#461c1e;--warn:#e5b04b;--warn-soft:#3d2f10;--live:#79b0ff;--live-soft:#1b2f4d;--idle:#757d86;"
    "--idle-soft:#262a2f"
)
STANDALONE_CSS = f"svg{{{_LIGHT}}}@media (prefers-color-scheme:dark){{svg{{{_DARK}}}}}{CSS}"
"""Of a picture that stands alone; a content security policy can allow it by its hash."""

_TONES = {
    **dict.fromkeys(("succeeded", "retiring"), "good"),
    **dict.fromkeys(("aborted", "rolling_back", "rolled_back", "rollback_failed", "denied"), "bad"),
    **dict.fromkeys(("switching", "baking"), "live"),
    "held": "held",
}
_MARKS = {"switching": "switch", "rolling_back": "back"}


@dataclass(frozen=True, slots=True)
class _Axis:
    """Time across: from when until when, in pixels."""

    begin: float
    end: float

    def x(self, at: float) -> float:
        share = (at - self.begin) / max(self.end - self.begin, 0.001)
        return round(LEFT + (WIDTH - LEFT - RIGHT) * min(max(share, 0.0), 1.0), 1)

    def ticks(self) -> Iterable[float]:
        """At most nine round moments, as seconds since the beginning."""
        length = self.end - self.begin
        step = next((step for step in STEPS if length / step <= 8), length or 1.0)
        return (n * step for n in range(int(length / step) + 1))


def picture(record: Mapping[str, Any], *, standalone: bool = False) -> str:
    """The picture of a record; "" where the watch has seen nothing."""
    watch = record["watch"]
    samples = [Sample(**each) for each in watch["samples"]]
    readings = [Reading(**each) for each in watch["readings"]]
    if not samples and not readings:
        return ""
    stays = [(str(each["state"]), datetime.fromisoformat(each["at"]).timestamp()) for each in record["states"]]
    axis = _axis(stays, samples, readings)
    has_old = any(sample.side == "old" for sample in samples)
    top = STATES + 16
    columns = min(COLUMNS, max(12, len({sample.at for sample in samples}) // 2))
    parts = [_strip(stays, axis), *_answers(_columns(samples, "new", axis, columns), columns, "new", top, ANSWERS)]
    top += ANSWERS + 18
    if has_old:
        parts += _answers(_columns(samples, "old", axis, columns), columns, "old", top, ANSWERS // 2)
        top += ANSWERS // 2 + 18
    parts += _case(readings, axis, top=top)
    bottom = top + CASE
    parts = [*_grid(axis, bottom), *parts, *_marks(stays, axis, bottom)]
    words = escape(_in_words(record, samples))
    style = f"<style>{STANDALONE_CSS}</style>" if standalone else ""
    paper = f'<rect class="paper" width="{WIDTH}" height="{bottom + 26}"/>' if standalone else ""
    name = ' xmlns="http://www.w3.org/2000/svg"' if standalone else ""
    head = f'<svg{name} class="w" viewBox="0 0 {WIDTH} {bottom + 26}" width="100%" role="img" aria-label="{words}">'
    return "\n".join([f"{head}{style}<title>{words}</title>{paper}", *parts, "</svg>"])


def _axis(stays: Sequence[tuple[str, float]], samples: Sequence[Sample], readings: Sequence[Reading]) -> _Axis:
    """From shortly before the first sample to shortly after the last: a build of an hour would leave no room for it."""
    seen = [*(sample.at for sample in samples), *(reading.at for reading in readings)]
    first, last = min(seen), max(seen)
    room = max(2.0, 0.2 * (last - first))
    near = [at for _, at in stays if first - room <= at <= last + room]
    return _Axis(min([first - 0.04 * (last - first), *near]), max([last + 0.04 * (last - first), last + 0.5, *near]))


def _strip(stays: Sequence[tuple[str, float]], axis: _Axis) -> str:
    """The states as boxes in a row; a name is written where it fits."""
    parts = []
    for (state, at), after in zip(stays, [*(at for _, at in stays[1:]), axis.end], strict=True):
        if after < axis.begin or at > axis.end:
            continue
        x, end = axis.x(at), axis.x(after)
        words = state.replace("_", " ")
        width = max(end - x, 2.0)
        tone = _TONES.get(state, "idle")
        parts.append(
            f'<rect class="{tone}" x="{x}" y="8" width="{width:.1f}" height="{STATES - 12}" rx="3">'
            f"<title>{escape(words)}</title></rect>"
        )
        if width > 7.2 * len(words) + 8:
            parts.append(f'<text x="{x + 6}" y="{8 + (STATES - 12) / 2 + 4}">{escape(words)}</text>')
    return "\n".join(parts)


def _answers(seen: Mapping[int, tuple[int, int]], columns: int, side: Side, top: int, height: int) -> list[str]:
    """Bars of what one side answered: failures stand on the ground, so that a few among thousands are seen."""
    most = max((ok + failed for ok, failed in seen.values()), default=0)
    width = (WIDTH - LEFT - RIGHT) / columns
    mine = "" if side == "new" else "old-"
    parts = [
        f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">{side} release</text>',
        f'<text class="soft" x="{LEFT - 8}" y="{top + 27}" text-anchor="end">answers</text>',
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top + height}" y2="{top + height}"/>',
    ]
    if most:
        parts.append(f'<text class="soft" x="{LEFT - 8}" y="{top + height}" text-anchor="end">of {most}</text>')
    for column, (ok, failed) in sorted(seen.items()):
        x = round(LEFT + column * width, 1)
        low = max(failed * height / most, 3.0) if failed else 0.0
        high = min(max(ok * height / most, 1.0), height - low) if ok else 0.0
        if low:
            place = {"x": x, "y": top + height - low, "width": width, "height": low}
            parts.append(_bar(f"{mine}failed", f"{failed} failed", **place))
        if high:
            place = {"x": x, "y": top + height - low - high, "width": width, "height": high}
            parts.append(_bar(f"{mine}ok", f"{ok} well", **place))
    return parts


def _bar(kind: str, words: str, *, x: float, y: float, width: float, height: float) -> str:
    return (
        f'<rect class="{kind}" x="{x}" y="{y:.1f}" width="{max(width - 1, 1):.1f}" height="{height:.1f}">'
        f"<title>{words}</title></rect>"
    )


def _columns(samples: Iterable[Sample], side: Side, axis: _Axis, columns: int) -> dict[int, tuple[int, int]]:
    """What was seen of one side in each column of the picture: the good answers, and the failures."""
    seen: dict[int, tuple[int, int]] = {}
    for sample in samples:
        if sample.side != side or not sample.successes + sample.failures:
            continue
        share = (sample.at - axis.begin) / max(axis.end - axis.begin, 0.001)
        column = min(max(int(share * columns), 0), columns - 1)
        ok, failed = seen.get(column, (0, 0))
        seen[column] = (ok + sample.successes, failed + sample.failures)
    return seen


def _case(readings: Sequence[Reading], axis: _Axis, *, top: int) -> list[str]:
    """A curve for each source: ln(1 + R) under the line that it must not cross."""
    if not readings:
        return [f'<text class="soft" x="{LEFT + 8}" y="{top + 20}">the watch has judged nothing</text>']
    limit = max(reading.log_threshold for reading in readings)
    high = max(limit * 1.15, *(min(reading.log_r, limit * 1.6) for reading in readings), 1.0)

    def y(value: float) -> float:
        return round(top + CASE - CASE * min(max(value, 0.0), high) / high, 1)

    right = WIDTH - RIGHT
    parts = [
        f'<text x="{LEFT - 8}" y="{top + 12}" text-anchor="end">case against</text>',
        f'<text class="soft" x="{LEFT - 8}" y="{top + 27}" text-anchor="end">ln(1 + R)</text>',
        f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{top + CASE}" y2="{top + CASE}"/>',
        f'<line class="limit" x1="{LEFT}" x2="{right}" y1="{y(limit)}" y2="{y(limit)}"/>',
        f'<text class="soft" x="{WIDTH // 2}" y="{y(limit) - 5}">bad from {_number(limit)} on</text>',
    ]
    for n, source in enumerate(sorted({reading.source for reading in readings})):
        mine = [reading for reading in readings if reading.source == source]
        points = " ".join(f"{axis.x(reading.at)},{y(reading.log_r)}" for reading in mine)
        kind = "r" if source == "probes" else "r more"
        at = top + 45 + 16 * n
        parts.append(f'<polyline class="{kind}" points="{points}"/>')
        parts.append(f'<line class="{kind}" x1="{LEFT - 82}" x2="{LEFT - 64}" y1="{at - 4}" y2="{at - 4}"/>')
        parts.append(
            f'<text class="soft" x="{LEFT - 8}" y="{at}" text-anchor="end">{escape(one_line(source, 12))}</text>'
        )
        crossed = next((reading for reading in mine if reading.log_r >= reading.log_threshold), None)
        if crossed is not None:
            x, height = axis.x(crossed.at), y(crossed.log_r)
            parts.append(f'<circle class="over" cx="{x}" cy="{height}" r="5"/>')
            parts.append(f'<text x="{x - 9}" y="{height + 4}" text-anchor="end">{_number(crossed.log_r)}</text>')
    return parts


def _grid(axis: _Axis, bottom: int) -> Iterable[str]:
    for seconds in axis.ticks():
        x = axis.x(axis.begin + seconds)
        yield f'<line class="grid" x1="{x}" x2="{x}" y1="{STATES}" y2="{bottom}"/>'
        yield f'<text class="soft" x="{x}" y="{bottom + 16}" text-anchor="middle">{_duration(seconds)}</text>'


def _marks(stays: Sequence[tuple[str, float]], axis: _Axis, bottom: int) -> Iterable[str]:
    for state, at in stays:
        if state in _MARKS and axis.begin <= at <= axis.end:
            x = axis.x(at)
            yield f'<line class="mark" x1="{x}" x2="{x}" y1="{STATES - 4}" y2="{bottom}"/>'
            yield f'<text class="soft" x="{x + 4}" y="{STATES + 10}">{_MARKS[state]}</text>'


def _in_words(record: Mapping[str, Any], samples: Sequence[Sample]) -> str:
    """What the picture shows, for whoever cannot see it."""
    new = [sample for sample in samples if sample.side == "new"]
    failed = sum(sample.failures for sample in new)
    seen = failed + sum(sample.successes for sample in new)
    state = str(record["state"]).replace("_", " ")
    return one_line(
        f"Deployment {record['number']}, {state}: {failed} of {seen} answers of the new release failed", 300
    )


def _number(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "?"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:g} s" if seconds else "0"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min" + (f" {rest} s" if rest else "")
