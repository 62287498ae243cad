"""Whether what somebody wants to run means anything on a head. The runner selects; this tells before a run begins."""

from __future__ import annotations

from collections.abc import Iterable

from runner.errors import BadSelection, NothingSelected
from runner.model import Box
from runner.select import parse, select


def mistake_in(selection: str, boxes: Iterable[Box]) -> str | None:
    """What is wrong with a selection on a head that has these boxes, in lower case; None when nothing is.

    `failed` passes: what it names is known only when the run's turn has come.
    """
    known = list(boxes)
    try:
        if parse(selection).changed_refs():
            return "changed: needs a working copy with its history; name the boxes, a tier or a tag"
        select(selection, known, failed=[box.id for box in known])
    except (BadSelection, NothingSelected) as mistake:
        return str(mistake)
    return None
