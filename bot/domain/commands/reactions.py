"""The reactions by which a comment shows what became of it, as one small state machine.

👀 stands for "read, being dealt with" and stays, so that a page shows who asked when. 🚀 or 😕 follows, never both: the
one that no longer holds is taken away. What to do is computed from what GitHub shows, so a repeat changes nothing and
a crash between two calls is mended by the next.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class Reaction(StrEnum):
    """The words of GitHub's API for the three that are used."""

    EYES = "eyes"
    ROCKET = "rocket"
    CONFUSED = "confused"


FINAL = (Reaction.ROCKET, Reaction.CONFUSED)


@dataclass(frozen=True, slots=True)
class Change:
    """What to take away, then what to add."""

    remove: tuple[Reaction, ...]
    add: tuple[Reaction, ...]


def change(shown: Collection[Reaction], wanted: Reaction) -> Change:
    """The change that makes a comment say `wanted`.

    Args:
        shown: our own reactions to it.
        wanted: `EYES` once it was read, a final one when it is over. A comment that shows a final one already is
            never taken back to eyes.
    """
    if wanted is Reaction.EYES:
        return Change((), () if shown else (Reaction.EYES,))
    outdated = tuple(final for final in FINAL if final in shown and final is not wanted)
    return Change(outdated, () if wanted in shown else (wanted,))
