"""What every verb is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bot.domain.commands.entry import Surface
from bot.domain.deliveries import ReadCommands
from bot.flows.context import Context
from bot.github.app import Installation
from bot.github.pulls import PullFacts

OPERATOR = "operator"
"""The actor in the audit for whoever sits at the machine; GitHub's logins are not asked about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Who asks, where, and by which words.

    Attributes:
        id: of what was asked (`comment:7:12`), unique; what is done in its name is done once.
        run_prefix: begins the ids of runs that are started in its name.
        surface: where it was asked.
        actor: login of who asks.
        pr: the pull request that it is asked on; None for the repository as a whole, which is for the machine alone.
        comment: the comment or review that asks; None for a button and for whoever sits at the machine.
        at_machine: whoever sits at the machine asks, and may do everything; the actor is `OPERATOR`.
    """

    id: str
    run_prefix: str
    surface: Surface
    repo_id: int
    repo: str
    installation_id: int
    pr: int | None
    actor: str
    comment: ReadCommands | None = None
    at_machine: bool = False

    @property
    def by(self) -> str:
        """How the actor is written: `@mona`, or `operator`."""
        return self.actor if self.at_machine else f"@{self.actor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The order, and what GitHub says at the moment when it is carried out. `about`: of its pull request, if any."""

    ctx: Context
    order: Order
    about: PullFacts | None
    permission: str
    now: datetime

    @property
    def pull(self) -> PullFacts:
        """The pull request, for verbs that are about one: none of them is carried out without."""
        assert self.about is not None, "see `Command.of_pull`"
        return self.about

    @property
    def github(self) -> Installation:
        """Who speaks to GitHub here."""
        return self.ctx.github.installation(self.order.installation_id)

    def name(self, nth: int) -> str:
        """The id of the `nth` command of the order."""
        return f"{self.order.id}.{nth}"


@dataclass(frozen=True, slots=True)
class Started:
    """A flow to start, by its registered name; starting one of the same id twice changes nothing."""

    flow: str
    id: str
    args: object


@dataclass(frozen=True, slots=True)
class Done:
    """It was carried out: `runs` are ids to start, `said` is Markdown for whoever asked, "" for nothing to say."""

    runs: tuple[str, ...] = ()
    said: str = ""
    started: tuple[Started, ...] = ()
