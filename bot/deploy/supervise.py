"""The bot's side of a controller: started, followed, started again when it crashed, and never waited upon.

A controller outlives the bot: whoever comes back finds it by the lock that it holds, and follows its journal. What the
bot adds is an answer to its one question, and a new start after a crash. After the switch there is always another
start, since users have the release; before it a few are enough.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

import bot
from bot.deploy.asking import answer, question
from bot.deploy.files import DeployFiles
from bot.deploy.journal import Entry, Journal, JournalDamaged, JournalUnwritable, because_of, read, state_of
from bot.deploy.site import BEFORE
from bot.deploy.wishes import pending
from bot.domain.deploy.answers import Answer
from bot.domain.deploy.states import FINAL, State
from bot.ops.clock import Clock

log = structlog.get_logger()

HOME = str(Path(bot.__file__).resolve().parent.parent)

# Isolated mode: neither the working directory nor PYTHON* variables decide which `bot` this is.
LAUNCH = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from bot.deploy.main import main; sys.exit(main(sys.argv[1:]))"
)

POLL = 0.05
"""Seconds between two looks at the journal."""

BACKOFF = (0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each start in one state; the first after a crash comes at once, the last ones are all the same."""

HOPELESS = 6
"""A controller that ends so often without a word, before the switch, cannot be started at all."""

_LOG_TAIL = 2048


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: a final state, or `held`; and why, a sentence."""

    state: State
    because: str


async def _unheard(_entries: Sequence[Entry]) -> None:
    """Nobody wants to know."""


def controller_environ(*, sandbox: str = "auto", image: str = "") -> dict[str, str]:
    """All that a controller inherits, besides what the operator allows releases. So no secret of the bot can leak.

    Args:
        sandbox: isolation of smoke tests.
        image: their container image, on machines that isolate by containers.
    """
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LANG": "C.UTF-8", "INTERLOCK_SANDBOX": sandbox, "INTERLOCK_SANDBOX_IMAGE": image}


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms a controller is supervised.

    Attributes:
        gates: asked once more right before the switch.
        on_entries: told of what the journal has that it had not before, oldest first, from the first entry on.
        clock: what time it is.
        argv: the words that start a controller, before the deployment's directory and the target's place.
        environ: all that it inherits.
        secrets: of the repository, by name, for what the target starts; they are in no file, no command, no
            environment.
    """

    gates: Callable[[], Awaitable[Answer]]
    on_entries: Callable[[Sequence[Entry]], Awaitable[None]] = _unheard
    clock: Clock
    argv: Sequence[str] = (sys.executable, "-I", "-c", LAUNCH, HOME)
    environ: Mapping[str, str] = field(default_factory=controller_environ)
    secrets: Mapping[str, str] = field(default_factory=dict)


async def carry_out(files: DeployFiles, place: Path, terms: Terms) -> Ended:
    """See a deployment through. Its plan is written.

    Safe to repeat, and to cancel: the controller lives on, and the next call follows it.

    Args:
        files: of the deployment.
        place: what the target keeps.
        terms: on what terms.
    """
    supervisor = _Supervisor(files, place, terms)
    try:
        return await supervisor.follow()
    except JournalDamaged as damaged:
        return Ended(State.HELD, f"nobody can tell where the deployment is: {damaged.because} of its journal")


def is_carried_out(files: DeployFiles) -> bool:
    """Whether a controller lives for this deployment now."""
    try:
        with files.lock.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # held for no longer than it takes to ask.
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@dataclass(slots=True)
class _Supervisor:
    files: DeployFiles
    place: Path
    terms: Terms
    told: int = 0
    child: int | None = None
    state: State | None = None
    starts: int = 0
    mute: int = 0
    entries_at_start: int = -1
    answering: asyncio.Task[None] | None = None

    async def follow(self) -> Ended:
        """Until it has ended, whoever of us is there to see it."""
        try:
            while True:
                lives = self._lives()
                entries = await self._tell()
                state = state_of(entries)
                if state in FINAL:
                    return Ended(state, because_of(entries))
                if not lives:
                    if state is State.HELD and not pending(self.files, entries):
                        return Ended(state, because_of(entries))
                    if (given_up := await self._start(entries)) is not None:
                        return given_up
                self._answer()
                await asyncio.sleep(POLL)
        finally:
            if self.answering is not None:
                self.answering.cancel()

    def _lives(self) -> bool:
        """Whether a controller is there. One that we started is there before it holds the lock."""
        if self.child is not None:
            if os.waitpid(self.child, os.WNOHANG)[0] == 0:
                return True
            self.child = None
        return is_carried_out(self.files)

    async def _tell(self) -> tuple[Entry, ...]:
        entries = await asyncio.to_thread(read, self.files)
        if len(entries) > self.told:
            await self.terms.on_entries(entries[self.told :])
            self.told = len(entries)
        return entries

    async def _start(self, entries: Sequence[Entry]) -> Ended | None:
        """Start a controller, later each time that one has ended in the same state before."""
        state = state_of(entries)
        if state is not self.state:
            self.state, self.starts = state, 0
        self.mute = self.mute + 1 if len(entries) == self.entries_at_start else 0
        self.entries_at_start = len(entries)
        if self.mute >= HOPELESS and state in BEFORE:
            return self._give_up()
        if self.starts:
            log.warning("controller_ended_early", directory=str(self.files.directory), starts=self.starts)
            await asyncio.sleep(BACKOFF[min(self.starts, len(BACKOFF) - 1)])
        self.starts += 1
        self.child = await asyncio.to_thread(self._spawn)
        return None

    def _spawn(self) -> int:
        """A child in a session of its own. Nothing of ours ends it: neither the end of this call, nor the bot's."""
        self.files.logs.mkdir(parents=True, exist_ok=True)
        argv = [*self.terms.argv, str(self.files.directory), str(self.place)]
        output = (os.POSIX_SPAWN_OPEN, 1, self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        reading, writing = os.pipe()
        try:
            # What was read from a pipe is gone: nobody finds it in a file later.
            actions = [(os.POSIX_SPAWN_DUP2, reading, 0), output, (os.POSIX_SPAWN_DUP2, 1, 2)]
            child = os.posix_spawn(argv[0], argv, dict(self.terms.environ), file_actions=actions, setsid=True)
            with contextlib.suppress(BrokenPipeError), open(writing, "wb", closefd=False) as stream:
                stream.write(json.dumps(dict(self.terms.secrets)).encode())
        finally:
            os.close(reading)
            os.close(writing)
        return child

    @property
    def _log(self) -> str:
        return str(self.files.logs / "controller.log")

    def _give_up(self) -> Ended:
        """No controller comes up, and no user has seen the release: somebody has to write down that it is over."""
        with contextlib.suppress(OSError):
            tail = Path(self._log).read_bytes()[-_LOG_TAIL:].decode("utf-8", "replace").strip()
        because = f"its controller cannot be started: {tail.splitlines()[-1] if tail else 'it says nothing'}"
        with contextlib.suppress(JournalUnwritable):
            journal = Journal(self.files, self.terms.clock)
            journal.append("state", state=State.ABORTED.value, because=because)
            journal.close()
        return Ended(State.ABORTED, because)

    def _answer(self) -> None:
        """Answer the controller's question, if it has one, beside everything else."""
        if self.answering is not None and self.answering.done():
            self.answering.result()
            self.answering = None
        if self.answering is None and (number := question(self.files)) is not None:
            self.answering = asyncio.create_task(self._ask_gates(number))

    async def _ask_gates(self, number: int) -> None:
        answer(self.files, number, await self.terms.gates())
