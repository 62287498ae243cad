"""Which known word did somebody mean."""

from __future__ import annotations

from collections.abc import Iterable


def distance(a: str, b: str) -> int:
    """Edits between two words; a swap of two neighbours is one edit.

    Source: optimal string alignment, the restricted form of Damerau (1964).
    """
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            cost = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]


def nearest(word: str, known: Iterable[str], *, most: int = 2) -> str | None:
    """The known word within `most` edits of `word` (one edit for words under five letters), or None.

    Short words are held tighter because other bots' commands are short too: `/hold` is two edits from `/help`.
    """
    if len(word) > 40:
        return None
    scored = [(distance(word, other), other) for other in known]
    close = [(edits, other) for edits, other in scored if edits <= (1 if len(other) < 5 else most)]
    return min(close)[1] if close else None
