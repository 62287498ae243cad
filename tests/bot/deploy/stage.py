"""Deployments of a small target, for tests of the controller."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from bot.deploy.asking import answer, question
from bot.deploy.confine import Confinement, Way
from bot.deploy.controller import control
from bot.deploy.files import DeployFiles
from bot.deploy.journal import Entry, Journal, because_of, read
from bot.deploy.site import Site, Smoked
from bot.domain.deploy.answers import Answer, Pass
from bot.domain.deploy.environment import Environment, Going, HttpProbe, Strategy, TargetSpec, Watch
from bot.domain.deploy.plan import Kind, Plan
from bot.domain.deploy.release import Release
from bot.domain.deploy.states import State
from tests.fakes.small_target import Running, SmallTarget, well


def a_release(letter: str, **more: Any) -> Release:
    return Release(repo_id=1, sha=letter * 40, artifact=f"tree:{letter}", config="c", **more)


OLD, NEW = a_release("a"), a_release("b")

QUICK = Watch(seconds=0.5, probes=(HttpProbe(path="/health", every=0.025, timeout=5.0),), traffic=False)


class MovedClock:
    """The machine's clock, moved on by hand besides."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.ahead)  # noqa: TID251 - a clock.


@dataclass(frozen=True, slots=True)
class Smoking:
    ok: bool
    because: str = ""


@dataclass(slots=True)
class Stage:
    """One deployment of `new` over `old`, which is live in blue."""

    directory: Path
    target: SmallTarget = field(default_factory=SmallTarget)
    environment: Environment = field(
        default_factory=lambda: Environment(
            name="production",
            target=TargetSpec(kind="small"),
            strategy=Strategy(kind="blue_green"),
            watch=QUICK,
            rollback=Going(keep_old=0.0, drain=0.1),
        )
    )
    old: Release | None = OLD
    new: Release = NEW
    kind: Kind = "deploy"
    no_return: str = ""
    slot: str = "green"
    gates: Answer | None = field(default_factory=lambda: Pass("every gate passes"))
    smokes: dict[str, Smoking] = field(default_factory=dict)
    smoked: list[str] = field(default_factory=list)
    clock: MovedClock = field(default_factory=MovedClock)
    prepared: bool = False

    @property
    def files(self) -> DeployFiles:
        return DeployFiles(self.directory)

    @property
    def plan(self) -> Plan:
        return Plan(
            deployment="d1",
            number=1,
            repo="octo/app",
            environment="production",
            kind=self.kind,
            no_return=self.no_return,
            release=self.new,
            previous=self.old,
            slot=self.slot,
            previous_slot="blue" if self.old else None,
            settings={},
        )

    def with_environment(self, **more: Any) -> Stage:
        self.environment = replace(self.environment, **more)
        return self

    def prepare(self) -> None:
        """What was there before the deployment."""
        if self.prepared:
            return
        self.prepared = True
        self.files.tree.mkdir(parents=True)
        if self.old is not None:
            behave = self.target.behaviours.get(self.old.id, well)
            self.target.slots.setdefault("blue", Running(self.old.id, "older", behave))
            self.target.weights = self.target.weights or {"blue": 100, "green": 0}

    def site(self) -> Site:
        """What a controller that starts now works with."""
        self.prepare()
        options = {"start_timeout": 0.5}
        environment = replace(self.environment, target=TargetSpec(kind="small", options=options))
        journal = Journal(self.files, self.clock)
        return Site(
            files=self.files,
            plan=self.plan,
            environment=environment,
            target=self.target,
            journal=journal,
            clock=self.clock,
            dice=random.Random(1),
            smoke=self._smoke,
            confinement=Confinement(way=Way.NONE),
            variables={"COLOUR": "green"},
            state=journal.state,
            because=because_of(journal.entries),
        )

    def remember(self, *notes: dict[str, Any]) -> None:
        """Write what a controller has noted that ended right after it."""
        journal = Journal(self.files, self.clock)
        for note in notes:
            journal.append("note", **note)
        journal.close()

    async def run(self) -> State:
        """A controller's life, with a bot beside it that answers its question."""
        site = self.site()
        bot = asyncio.create_task(self._answer())
        try:
            return await control(site)
        finally:
            bot.cancel()
            site.close()

    async def reaches(self, kind: str, **data: Any) -> Entry:
        """Wait for an entry of the journal."""
        async with asyncio.timeout(20):
            while True:
                for entry in read(self.files):
                    if entry.kind == kind and all(entry.data.get(name) == value for name, value in data.items()):
                        return entry
                await asyncio.sleep(0.01)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return read(self.files)

    @property
    def states(self) -> list[str]:
        return [entry.data["state"] for entry in self.entries if entry.kind == "state"]

    @property
    def because(self) -> str:
        return because_of(self.entries)

    async def _answer(self) -> None:
        while True:
            if self.gates is not None and (number := question(self.files)) is not None:
                answer(self.files, number, self.gates)
            await asyncio.sleep(0.01)

    async def _smoke(self, address: str, which: Literal["before", "after"]) -> Smoked:
        self.smoked.append(f"{which} {'live' if address == self.target.addresses['live'] else 'idle'}")
        return self.smokes.get(which, Smoking(ok=True))


HAPPY = ["preparing", "smoking", "switching", "baking", "retiring", "succeeded"]
