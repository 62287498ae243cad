"""Everything that can go wrong in the runner, and whose it is.

    RunnerError
    ├── UserError            the repository's owner can mend it; exit 3, an annotation, a friendly comment
    │   ├── BadMetadata      a box's block or an entry of interlock.yml says something that is not allowed
    │   ├── DuplicateNumber  two boxes of one suite share a number
    │   └── Cycle            boxes wait for each other
    ├── BadSelection         the selection text cannot be read, or names a box that does not exist; exit 2
    ├── NothingSelected      the selection is fine and matches no box; exit 4
    ├── SetupFailed          `setup:` did not succeed, so no box was run; exit 1
    └── NoRoom               this machine has no place to work in: a full disk, no temporary directory; exit 6

Anything else that is raised is a bug of the runner itself (exit 6).
"""

from __future__ import annotations

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Of an OSError: there is no space, or no more of it for this user."""


class RunnerError(Exception):
    """The root of the tree above."""


class UserError(RunnerError):
    """Something in the repository that its owner can mend.

    Args:
        message: lower case, names the thing, without the place.
        file: path relative to the repository's root.
        line: 1-based line in `file`; 0 when the file as a whole is meant.
        hint: the way out, in a few words; printed in parentheses.

    `also` holds the others that were found at the same time, see `together`. `place` is `base` or `default` when the
    file is not of the tree at hand.
    """

    def __init__(self, message: str, *, file: str = "", line: int = 0, hint: str = "") -> None:
        self.message = message
        self.file = file
        self.line = line
        self.hint = hint
        self.place = ""
        self.also: tuple[UserError, ...] = ()
        super().__init__(str(self))

    @property
    def every(self) -> tuple[UserError, ...]:
        """This one and all that were found with it."""
        return (self, *self.also)

    @property
    def where(self) -> str:
        """`file:line`, `file`, or an empty string."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file

    def __str__(self) -> str:
        """One line: place, message, way out."""
        place = f"{self.where}: " if self.where else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message}{hint}"


MOST_TOLD = 100
"""Mistakes that are told at once; whoever makes more of them mends these first."""


def together(found: Iterable[UserError]) -> UserError:
    """The first of some mistakes, in the order of their places, carrying the others; there is at least one."""
    every = {str(one): one for mistake in found for one in mistake.every}
    first, *rest = sorted(every.values(), key=lambda mistake: (mistake.file, mistake.line))
    first.also = tuple(rest[: MOST_TOLD - 1])
    if len(rest) >= MOST_TOLD:
        more = len(rest) - MOST_TOLD + 1
        first.also += (UserError(f"and {more} more", file=first.file, line=first.line),)
    return first


class BadMetadata(UserError):
    """A box's block or an entry of interlock.yml is not valid."""


class DuplicateNumber(UserError):
    """Two boxes of one suite have the same number."""


class Cycle(UserError):
    """Boxes wait for each other through `after`."""


class BadSelection(RunnerError):
    """The selection text cannot be read or names an unknown box.

    Args:
        message: what is wrong, in lower case.
        text: the whole selection text.
        at: 0-based offset in `text` where the trouble begins.
        hint: the nearest valid spelling, or the choices.
    """

    def __init__(self, message: str, *, text: str = "", at: int = 0, hint: str = "") -> None:
        self.message = message
        self.text = text
        self.at = at
        self.hint = hint
        super().__init__(f"{message} ({hint})" if hint else message)


class NothingSelected(RunnerError):
    """The selection is well formed but matches no box."""


class NoRoom(RunnerError):
    """There is no place for temporary files, or no space left. Nobody's box and no bug; mending the machine helps."""


class SetupFailed(RunnerError):
    """`setup:` exited non-zero or ran out of time; boxes were not started."""
