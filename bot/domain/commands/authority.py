"""Who may ask for what. The permission is the commenter's own in the repository, read at the moment of asking."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.domain.trust import WRITERS


class Need(StrEnum):
    """What a verb needs; the value is how the reference page says it."""

    NOTHING = "everyone who can comment"
    WRITE = "write, maintain or admin"
    MAINTAIN = "maintain or admin"
    APPROVE = "whoever may approve for the environment, as its configuration says"


_ENOUGH = {Need.WRITE: WRITERS, Need.MAINTAIN: frozenset({"maintain", "admin"})}


LOOKALIKE = "lookalike"


@dataclass(frozen=True, slots=True)
class Allowed:
    """The person may."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The person may not. `code` is for machines, `because` is a sentence without a full stop."""

    code: str
    because: str

    @property
    def is_told(self) -> bool:
        """A lookalike may be a program after all, and two programs that answer each other never end."""
        return self.code != LOOKALIKE


def may(permission: str, need: Need) -> Allowed | Refused:
    """Whether someone with this permission may do what needs `need`.

    Who approves for an environment is found out where that is known; here nobody is refused for it.

    Args:
        permission: `admin maintain write triage read none`; any other word counts as none.
        need: of the verb.
    """
    if need in {Need.NOTHING, Need.APPROVE} or permission in _ENOUGH[need]:
        return Allowed()
    if need is Need.MAINTAIN:
        return Refused("not_permitted", "only people who maintain this repository can freeze and unfreeze it")
    return Refused("not_permitted", "only people with write permission in this repository can steer it")


def is_lookalike(login: str) -> bool:
    """Whether a person's login looks like an app's. GitHub keeps the suffix for apps, so nobody honest has it."""
    return login.lower().endswith("[bot]")
