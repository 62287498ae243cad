"""The seam between running boxes and keeping them inside: an attempt gets a cell, and is started as the cell says.

`runner.sandbox.launcher` makes real ones. Without a launcher boxes are started as they are, and nothing here is used.
"""

from __future__ import annotations

from runner.execute.environment import LIBRARY
from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol

    from runner.execute.environment import Places
    from runner.executor import Job
else:

    class Protocol:
        """Stands in for `typing.Protocol`, whose import costs more than a box."""


class Unlaunchable(Exception):
    """No cell can be made for a job. The message says why, in lower case."""


class Command(Value):
    """What to spawn: a command line, its environment, where, and the descriptors that it takes along."""

    __slots__ = ("argv", "cwd", "env", "fds")

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], fds: Sequence[int] = (), *, cwd: str = "/") -> None:
        self.argv = tuple(argv)
        self.env = dict(env)
        self.fds = tuple(fds)
        self.cwd = cwd


class Ending(Value):
    """How a box ended, as its cell knows it.

    `exit_code` is the box's own, negative for a signal. `problem` is a sentence when the cell knows why it is
    red; with `unstarted` the box never ran. `leaked` names what it left running. `cpu` is in seconds.
    """

    __slots__ = ("cpu", "exit_code", "leaked", "problem", "rss_kb", "unstarted")

    def __init__(
        self,
        *,
        exit_code: int,
        cpu: float = 0.0,
        rss_kb: int = 0,
        leaked: Sequence[str] = (),
        problem: str = "",
        unstarted: bool = False,
    ) -> None:
        self.exit_code = exit_code
        self.cpu = cpu
        self.rss_kb = rss_kb
        self.leaked = tuple(leaked)
        self.problem = problem
        self.unstarted = unstarted


class Inside(Value):
    """Where a box finds the runner's own files, by the names that it sees."""

    __slots__ = ("bootstrap", "library")

    def __init__(self, *, library: str, bootstrap: str) -> None:
        self.library = library
        self.bootstrap = bootstrap


class Cell(Protocol):
    """One attempt's place to run in."""

    places: Places
    tree: str
    """Where this machine has the tree as the box sees it."""
    inside: Inside
    uid: int | None
    gid: int | None
    contained: bool
    """Whether what is in it ends with it; if not, the executor looks for what is left, as it does without a cell."""
    has_network: bool
    """Whether it has a loopback of its own, so that what it is given is reached through unix sockets."""
    sockets: str
    """A directory for those, which it cannot write to."""

    def command(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, sockets: Mapping[int, str]) -> Command:
        """How to start a box in it; once. `sockets` are TCP ports inside -> unix sockets that answer there.

        Raises:
            Unlaunchable: it cannot be made ready. `spawned` is to be called all the same.
        """

    def spawned(self) -> None:
        """The command was started, or could not be: give up what it took along."""

    def kill(self, pid: int) -> None:
        """End everything in it at once; `pid` is what was spawned."""

    def is_machinery(self, pid: int) -> bool:
        """Whether a process that was found in it is not the box's but its own."""

    def ended(self, exit_code: int, said: str) -> Ending:
        """What was spawned has ended like this, having said that: what it means. Nothing in it is alive afterwards."""

    def close(self) -> None:
        """Throw it away, with all that was written in it but is to be kept."""


class Launcher(Protocol):
    """Makes cells."""

    layered: bool
    """Whether jobs may have layers."""
    confines: bool
    """Whether its cells keep boxes inside, and end all that runs in them; otherwise that is left to the executor."""

    def open(self, job: Job) -> Cell:
        """A cell for one attempt.

        Raises:
            Unlaunchable: there is none.
        """

    def close(self) -> None:
        """Leave nothing of what was made."""


def plain(bootstrap: str) -> Inside:
    """What a box without a cell sees."""
    return Inside(library=LIBRARY, bootstrap=bootstrap)
