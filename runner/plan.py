"""In what order the boxes run. Pure: the schedule does the waiting, this only decides who goes first."""

from __future__ import annotations

from itertools import groupby

from runner.errors import BadMetadata, Cycle
from runner.model import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from runner.model import Box, BoxId

LEAST = 0.001  # seconds: a box costs at least its start, and a positive cost keeps `after` in order below.


def plan(boxes: Iterable[Box], durations: Mapping[BoxId, float]) -> Plan:
    """Order boxes for the shortest makespan: tiers ascending, longest first within a tier.

    A box counts for its own duration plus the longest chain of boxes in its tier that wait for it, so it comes before
    them, and without `after` this is plain longest-first. A box without history counts for its timeout, the only bound
    that is known: what may be long must not start last. `after` a box that is not among `boxes` is passed over.

    Args:
        boxes: the selected boxes, in any order, ids unique, `after` without a cycle (see `check_after`).
        durations: the median of each box's recent durations, in seconds.

    Source: longest processing time first is within 4/3 of the optimum (Graham, 1969); with precedence, highest level
    first (Hu, 1961).
    """
    chosen = list(boxes)
    levels = _levels(chosen, durations)
    in_order = sorted(chosen, key=lambda box: (box.tier, -levels[box.id], box.id))
    return Plan([tuple(tier) for _, tier in groupby(in_order, key=lambda box: box.tier)])


def _levels(boxes: Sequence[Box], durations: Mapping[BoxId, float]) -> dict[BoxId, float]:
    """Each box's duration plus the longest chain of its tier that waits for it, in seconds."""
    levels = {box.id: max(LEAST, durations.get(box.id, box.timeout)) for box in boxes}
    if not any(box.after for box in boxes):
        return levels
    own = dict(levels)
    by_id = {box.id: box for box in boxes}
    # Those who wait come first, so a box's level is final before it is handed on to what it waits for.
    for box_id in reversed(_first_things_first(boxes)):
        box = by_id[box_id]
        for earlier in box.after:
            if earlier in by_id and by_id[earlier].tier == box.tier:
                levels[earlier] = max(levels[earlier], own[earlier] + levels[box_id])
    return levels


def check_after(boxes: Sequence[Box]) -> None:
    """Check that every `after` can be honoured.

    Raises:
        BadMetadata: it names a box that does not exist, or one in a later tier.
        Cycle: boxes wait for each other.
    """
    by_id = {box.id: box for box in boxes}
    for box in boxes:
        for earlier in box.after:
            known = by_id.get(earlier)
            if known is None:
                message = f"box {box.id} waits for box {earlier}, which does not exist"
                raise BadMetadata(message, file=box.source, line=box.line, hint="mend its `after`")
            if known.tier > box.tier:
                message = f"box {box.id} in tier {box.tier} waits for box {earlier} in the later tier {known.tier}"
                hint = "`after` names boxes of the same or an earlier tier"
                raise BadMetadata(message, file=box.source, line=box.line, hint=hint)
    _first_things_first(boxes)


def check_also(boxes: Sequence[Box]) -> None:
    """Check that the boxes which controls are known to break, too, are there.

    Raises:
        BadMetadata: one is not, or is the control's own.
    """
    known = {box.id for box in boxes}
    for box in boxes:
        for other in box.control.also if box.control else ():
            if other not in known or other == box.id:
                why = "its own box" if other == box.id else f"box {other}, which does not exist"
                message = f"the control of box {box.id} names {why} in its `also`"
                raise BadMetadata(message, file=box.source, line=box.line, hint="name other boxes that it breaks, too")


def followers(box: BoxId, boxes: Sequence[Box]) -> frozenset[BoxId]:
    """The boxes that wait for this one, directly or by way of others."""
    found: set[BoxId] = set()
    pending = [box]
    while pending:
        earlier = pending.pop()
        new = [other.id for other in boxes if earlier in other.after and other.id not in found]
        found.update(new)
        pending += new
    return frozenset(found)


def _first_things_first(boxes: Sequence[Box]) -> list[BoxId]:
    """Ids so that each comes after those it waits for (Kahn, 1962: no recursion, however long the chain)."""
    by_id = {box.id: box for box in boxes}
    waits = {box.id: {earlier for earlier in box.after if earlier in by_id} for box in boxes}
    waiting: dict[BoxId, list[BoxId]] = {}
    for box_id, earlier_ids in waits.items():
        for earlier in earlier_ids:
            waiting.setdefault(earlier, []).append(box_id)
    order = [box_id for box_id, earlier_ids in waits.items() if not earlier_ids]
    for box_id in order:  # grows while it is read
        for later in waiting.get(box_id, ()):
            waits[later].discard(box_id)
            if not waits[later]:
                order.append(later)
    if len(order) < len(boxes):
        raise _cycle({box_id: earlier_ids for box_id, earlier_ids in waits.items() if earlier_ids}, by_id)
    return order


def _cycle(stuck: Mapping[BoxId, set[BoxId]], by_id: Mapping[BoxId, Box]) -> Cycle:
    """The error for one circle among boxes that all wait for something."""
    path = [min(stuck)]
    while (earlier := min(box_id for box_id in stuck[path[-1]] if box_id in stuck)) not in path:
        path.append(earlier)
    circle = path[path.index(earlier) :]
    start = circle.index(min(circle))
    circle = circle[start:] + circle[:start]
    names = " → ".join(str(box_id) for box_id in [*circle, circle[0]])
    first = by_id[circle[0]]
    return Cycle(
        f"boxes wait for each other: {names}", file=first.source, line=first.line, hint="take one `after` away"
    )
