"""What a controller works with, and the two rules that everything it does obeys.

A call to the target that changes something is announced in the journal before it is made, and its end is written after
it. What is there is what the target says, never what the journal says.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from bot.deploy.confine import Confinement
from bot.deploy.files import DeployFiles
from bot.deploy.journal import Entry, Journal, JournalUnwritable, Kind
from bot.deploy.target import Observed, SlotState, Target, TargetProblem, TargetUnreachable
from bot.deploy.wishes import Wished, pending
from bot.domain.deploy.environment import Environment
from bot.domain.deploy.plan import Plan
from bot.domain.deploy.states import State, step
from bot.ops.clock import Clock
from runner.redact import Redactor

_OTHERS_WORDS = frozenset({"tail", "output", "because", "problem"})

POLL = 0.05
"""Seconds between two looks for wishes, answers and slots that become ready."""


@dataclass(frozen=True, slots=True)
class Next:
    """Where the deployment goes from here, and why; `wished` is the wish that this grants, if one does."""

    state: State
    because: str
    wished: Wished | None = None


class NotToBe(Exception):
    """The release is not to go live; no user has seen it. The message says why."""


class Smoked(Protocol):
    """What came of smoke tests."""

    @property
    def ok(self) -> bool:
        """Whether all of them are green, and there were any."""
        ...

    @property
    def because(self) -> str:
        """Why, a sentence."""
        ...


Smoke = Callable[[str, Literal["before", "after"]], Awaitable[Smoked]]

BEFORE = frozenset({State.LOCKED, State.PREPARING, State.SMOKING})
"""In these no user has seen the release."""

STRICT = BEFORE | {State.SWITCHING}
"""In these nothing is done that could not be written down. Later, users wait: a full disk keeps nobody from the way
back."""


@dataclass(slots=True, kw_only=True)
class Site:
    """One deployment at its target.

    Attributes:
        files: where it lies on disk.
        plan: what is to be done.
        environment: how, as the plan's settings say.
        target: where.
        journal: written in order by one thread, so that the disk never keeps a probe waiting.
        clock: what time it is.
        dice: for delays.
        smoke: runs the boxes of the environment's selection against an address, `before` or `after` the switch.
        confinement: how commands of the repository are kept apart.
        variables: what those find in their environment, as releases do.
        redactor: takes secrets out of what is written down.
        state: where the deployment is, and `because` why; the journal says the same unless the disk is full.
    """

    files: DeployFiles
    plan: Plan
    environment: Environment
    target: Target
    journal: Journal
    clock: Clock
    dice: random.Random
    smoke: Smoke
    confinement: Confinement
    variables: Mapping[str, str] = field(default_factory=dict)
    redactor: Redactor = field(default_factory=Redactor)
    state: State = State.LOCKED
    because: str = ""
    _writer: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "journal"))

    async def write(self, kind: Kind, **data: Any) -> None:
        """Append to the journal; back when it is on the disk.

        Raises:
            JournalUnwritable: it cannot be, and no user depends on what follows.
        """
        shown = self._without_secrets(data)
        await self._written(lambda: self.journal.append(kind, **shown))

    async def enter(self, there: Next) -> None:
        """Take an edge.

        Raises:
            IllegalEdge: there is none.
            JournalUnwritable: as `write`.
        """
        step(self.state, there.state)
        because = self.redactor.text(there.because)
        facts = {"state": there.state.value, "because": because, **granting(there.wished)}
        await self._written(lambda: self.journal.append("state", **facts))
        self.state, self.because = there.state, because
        if there.wished is not None:
            await self.heard(there.wished, there.state.value.replace("_", " "))

    def _without_secrets(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """What is said in others' words may hold a secret, or what looks like one."""
        shown = {name: self.redactor.text(data[name]) for name in _OTHERS_WORDS & data.keys()}
        return {**data, **shown}

    async def _written(self, act: Callable[[], Entry]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, act)
        except JournalUnwritable as unwritable:
            if self.state in STRICT:
                raise
            sys.stderr.write(f"{unwritable}\n")

    def close(self) -> None:
        """Let go of the journal."""
        self._writer.shutdown()
        self.journal.close()

    async def call(self, verb: str, act: Callable[[], Awaitable[None]], **arguments: Any) -> None:
        """Change something at the target: announced, done, and written down.

        Raises:
            TargetProblem: what the target said.
        """
        await self.write("intent", call=verb, **arguments)
        began = asyncio.get_running_loop().time()
        problem: dict[str, str] = {"problem": "interrupted"}
        try:
            await act()
            problem = {}
        except TargetProblem as said:
            problem = {"problem": str(said) or type(said).__name__}
            raise
        finally:
            seconds = round(asyncio.get_running_loop().time() - began, 4)
            await self.write("done", call=verb, **arguments, seconds=seconds, **problem)

    async def observe(self) -> Observed:
        """What is there, written down."""
        seen = await self.target.observe()
        slots = {
            name: {"release": slot.release, "nonce": slot.nonce, "running": slot.running}
            for name, slot in seen.slots.items()
        }
        await self.write("seen", what="target", slots=slots, weights=dict(seen.weights), token=seen.token)
        return seen

    async def route(self, weights: Mapping[str, int]) -> None:
        """Give the slots their shares and see that they have them; nothing is done if they do.

        Raises:
            TargetProblem: they do not.
        """
        if same(weights, (await self.observe()).weights):
            return
        await self.call("route", lambda: self.target.route(weights), weights=dict(weights))
        if not same(weights, (await self.observe()).weights):
            raise TargetUnreachable("the router was told how to divide the traffic, and does otherwise")

    def last(self, kind: Kind, **data: Any) -> Entry | None:
        """The newest entry of a kind with these facts."""
        for entry in reversed(self.journal.entries):
            if entry.kind == kind and all(entry.data.get(name) == value for name, value in data.items()):
                return entry
        return None

    def wished(self) -> Wished | None:
        """The oldest wish that nobody has looked at."""
        return next(iter(pending(self.files, self.journal.entries)), None)

    async def heard(self, wished: Wished, effect: str) -> None:
        """Say what came of a wish. One that changed something was named by what changed it, before this."""
        await self.write(
            "wish", name=wished.name, wish=wished.wish.value, by=wished.by, because=wished.because, effect=effect
        )


def granting(wished: Wished | None) -> dict[str, str]:
    """What an entry says that grants a wish."""
    return {"granted": wished.name} if wished else {}


def same(wanted: Mapping[str, int], seen: Mapping[str, int]) -> bool:
    """Whether two divisions of the traffic are one."""
    return {slot: share for slot, share in wanted.items() if share} == {
        slot: share for slot, share in seen.items() if share
    }


EMPTY = SlotState()
