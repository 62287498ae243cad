"""What those who give things to jobs share in the attendant's process: the seam between it and its givers.

A giver is one kind of thing that a job can be given: allowed hosts, servers, an environment to test. Each is one
module; `runner.services.attendant` names them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.attendant import Wish


class CannotProvide(Exception):
    """A job cannot have what it asked for. The message is one sentence in lower case, with the way out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where givers work.

    `directory` is an existing one for their files, the run's alone, which other users may pass through but not list;
    it is removed with everything in it when the run ends. `environ` is the runner's own environment, `search` the
    directories in which it finds its modules. `refuse(id, what)` remembers that a job was refused something: call it
    before the job can notice.
    """

    directory: str
    environ: Mapping[str, str]
    search: Sequence[str]
    refuse: Callable[[str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """What one giver gave a job: variables for it, and the ports on its loopback that are answered.

    With `Wish.unix`, `sockets` maps each port inside to the unix socket that answers there; without, it names the
    ports of this machine's loopback, each with "".
    """

    env: Mapping[str, str] = field(default_factory=dict)
    sockets: Mapping[int, str] = field(default_factory=dict)


class Giver(Protocol):
    """Gives one kind of thing. All in one event loop; calls for different jobs overlap."""

    async def provide(self, wish: Wish, ground: Ground) -> Provided:
        """Give a job what it wishes of this kind; an empty `Provided` when that is nothing.

        Raises:
            CannotProvide: nothing was given; `release` is called all the same.
        """

    async def release(self, id: str) -> None:  # noqa: A002 - as Wish.
        """Take back what a job was given. Also called for one that was given nothing."""

    async def close(self) -> None:
        """End everything. Nothing that this giver started is alive afterwards."""
