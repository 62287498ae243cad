"""Which part of a selection one of several machines runs. Pure: every machine works out the same parts by itself.

A box is in exactly one shard as long as all shards are given the same boxes and the same durations; what a machine
alone remembers must therefore not come in here.
"""

from __future__ import annotations

from runner.later import later
from runner.model import Value
from runner.plan import LEAST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runner.model import Box, BoxId

MOST = 256  # what a matrix of GitHub Actions has at most.

_SHARD = later(r"([0-9]{1,3})/([0-9]{1,3})")


class Shard(Value):
    """The `index`th of `of` parts, counted from 1. `str` is how people write it: `2/5`."""

    __slots__ = ("index", "of")

    def __init__(self, index: int, of: int) -> None:
        self.index = index
        self.of = of

    def __str__(self) -> str:
        """`2/5`."""
        return f"{self.index}/{self.of}"


def read_shard(text: str) -> Shard | None:
    """The shard that `text` names, such as `2/5`; None if it names none."""
    match = _SHARD.fullmatch(text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]) <= MOST:
        return None
    return Shard(int(match[1]), int(match[2]))


def part(boxes: Iterable[Box], durations: Mapping[BoxId, float], shard: Shard) -> tuple[Box, ...]:
    """The boxes of one shard, in the order in which they were given; none where there are fewer boxes than shards.

    Boxes that wait for one another stay together. The rest is dealt out tier by tier, since a tier ends with its
    slowest machine: the longest goes first, to where this tier has least to do so far, and among equals to where there
    is least to do at all. As in the plan, a box whose duration is not known counts for its timeout.

    Args:
        boxes: the whole selection, ids unique.
        durations: seconds; the same for every shard.
        shard: which part.

    Source: longest processing time first is within 4/3 of the optimum (Graham, 1969).
    """
    chosen = list(boxes)
    seconds = {box.id: max(LEAST, durations.get(box.id, box.timeout)) for box in chosen}
    in_tier: dict[tuple[int, int], float] = {}
    in_all = [0.0] * shard.of
    mine: set[BoxId] = set()
    for group in _longest_first(chosen, seconds):
        tier = group[0].tier
        place = min(range(shard.of), key=lambda at: (in_tier.get((tier, at), 0.0), in_all[at], at))
        for box in group:
            in_tier[box.tier, place] = in_tier.get((box.tier, place), 0.0) + seconds[box.id]
            in_all[place] += seconds[box.id]
        if place == shard.index - 1:
            mine.update(box.id for box in group)
    return tuple(box for box in chosen if box.id in mine)


def _longest_first(boxes: list[Box], seconds: Mapping[BoxId, float]) -> list[list[Box]]:
    """Boxes that must stay together, by the tier of the first, and then by how long they take."""
    root = {box.id: box.id for box in boxes}

    def root_of(box_id: BoxId) -> BoxId:
        while root[box_id] != box_id:
            root[box_id] = root[root[box_id]]  # so that the next walk is shorter
            box_id = root[box_id]
        return box_id

    for box in boxes:
        for earlier in box.after:
            if earlier in root:
                root[root_of(box.id)] = root_of(earlier)
    groups: dict[BoxId, list[Box]] = {}
    for box in sorted(boxes, key=lambda box: (box.tier, box.id)):
        groups.setdefault(root_of(box.id), []).append(box)
    return sorted(
        groups.values(), key=lambda group: (group[0].tier, -sum(seconds[box.id] for box in group), group[0].id)
    )
