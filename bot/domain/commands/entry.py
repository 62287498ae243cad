"""What an entry of the registry is, and where verbs are offered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.commands.arguments import Argument
from bot.domain.commands.asked import Asked
from bot.domain.commands.authority import Need


class Surface(StrEnum):
    """Where a verb is offered."""

    COMMENT = "comment"  # comments of pull requests, and the texts of reviews
    BUTTON = "button"  # on a check run
    CLI = "cli"
    REST = "rest"
    ACTION = "action"  # as an input of the workflow action


PLACES = {
    Surface.COMMENT: "comments and reviews",
    Surface.BUTTON: "buttons",
    Surface.CLI: "`interlock command`",
    Surface.REST: "REST",
    Surface.ACTION: "the workflow action",
}
"""Where a verb is offered, as people read it."""

TYPED = frozenset({Surface.COMMENT, Surface.CLI, Surface.REST})
"""Everywhere where people write a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An entry of the registry.

    Attributes:
        words: what it begins with, in lower case, without the slash.
        argument: how the rest is written, for people.
        kind: what `read` makes of it.
        read: makes it of what follows the words; a `Slip` says what is wrong.
        need: who may.
        offered: where.
        of_pull: whether it is about a pull request; if not, whoever sits at the machine may ask it of a repository.
    """

    words: tuple[str, ...]
    argument: str
    kind: type[Asked]
    read: Callable[[Argument], Asked]
    need: Need
    offered: frozenset[Surface]
    summary: str
    details: str
    examples: tuple[tuple[str, str], ...]
    of_pull: bool = True

    @property
    def usage(self) -> str:
        """The command as one types it."""
        return f"/{' '.join(self.words)} {self.argument}".strip()

    @property
    def topic(self) -> str:
        """Its key for help: the last word."""
        return self.words[-1]


def places(command: Command) -> str:
    """Where it is offered, in words."""
    return ", ".join(words for place, words in PLACES.items() if place in command.offered)
