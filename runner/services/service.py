"""What a kind of service is: where its programs are found, and how a box gets one of its own.

Another service is one more module with a subclass of `Service`, listed in `runner.services.registry`.
"""

from __future__ import annotations

from runner.model import Value
from runner.services.ground import CannotProvide

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.services.confine import Cell
    from runner.services.installed import Installation
    from runner.services.server import Server


class Place(Value):
    """Where servers run: a directory for theirs, and how they are confined."""

    __slots__ = ("cell", "directory")

    def __init__(self, directory: str, cell: Cell) -> None:
        self.directory = directory
        self.cell = cell


class Lease:
    """One box's share of a service: `socket` is the unix socket that answers, `server` whose process can be hurt.

    `server` is None when other boxes use the same process.
    """

    def __init__(self, socket: str, server: Server | None) -> None:
        self.socket = socket
        self.server = server

    def env(self, host: str, port: int) -> dict[str, str]:
        """The variables by which clients find it at `host` and `port`."""
        raise NotImplementedError

    async def end(self) -> None:
        """Take it back; what the box left in it is gone. Nothing is raised when the server has died."""
        raise NotImplementedError


class Service:
    """A kind of service that boxes may need."""

    name: str
    port: int  # where its clients look for it
    hint: str  # how to get one

    async def installations(self, environ: Mapping[str, str], search: tuple[str, ...] = ()) -> list[Installation]:
        """What is installed here, the preferred one first.

        Args:
            environ: whose PATH is looked at.
            search: where Python packages are looked for, besides beside this interpreter.
        """
        raise NotImplementedError

    async def lease(self, installation: Installation, place: Place, *, private: bool) -> Lease:
        """Give a box its own.

        Args:
            installation: which programs to use.
            place: where and how servers run.
            private: the server's process must be this box's alone.

        Raises:
            CannotProvide: the server does not start.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """End what the boxes shared. The leases have ended."""


async def choose(
    service: Service, version: str, environ: Mapping[str, str], search: tuple[str, ...] = ()
) -> Installation:
    """The installation for a need.

    Args:
        service: the kind.
        version: the major version that the box insists on, "" for any.
        environ: whose PATH is looked at.
        search: where Python packages are looked for.

    Raises:
        CannotProvide: there is none; names what there is instead.
    """
    found = await service.installations(environ, search)
    if not found:
        message = f"{service.name} is not installed here ({service.hint})"
        raise CannotProvide(message)
    fitting = [one for one in found if version in {"", str(one.major)}]
    if not fitting:
        there = ", ".join(str(one) for one in found)
        message = f"needs {service.name}:{version}, and here is {service.name} {there}"
        raise CannotProvide(message)
    return fitting[0]
