"""The seam between running boxes and what they are given from outside: services, allowed hosts, faults.

`runner.services.client` speaks to the real one, a process of its own, started when the first job needs it; the executor
knows only this protocol. Nothing here may block: an answer is announced on a descriptor.
"""

from __future__ import annotations

from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Protocol
else:

    class Protocol:
        """Stands in for `typing.Protocol`, whose import costs more than a box."""


class Wish(Value):
    """What one job needs before it can start.

    `id` is unique while the job lives (letters, digits, `-`). `needs` are service names, `hosts` allowed `host:port`
    ends, `faults` what a control does to them (its `spec`, as written; "" keys none), `target` the URL that the job's
    TARGET_URL names. `unix` asks for unix sockets (the job has a network namespace of its own); otherwise TCP ports of
    this machine's loopback are given. `directory` is an existing one for the sockets, reachable for the job.
    `uid` and `gid` are the job's, None for our own.
    """

    __slots__ = ("directory", "faults", "gid", "hosts", "id", "needs", "target", "uid", "unix")

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - as Box.
        directory: str,
        needs: Sequence[str] = (),
        hosts: Sequence[str] = (),
        faults: Mapping[str, str] | None = None,
        target: str = "",
        unix: bool = False,
        uid: int | None = None,
        gid: int | None = None,
    ) -> None:
        self.id = id
        self.directory = directory
        self.needs = tuple(needs)
        self.hosts = tuple(hosts)
        self.faults = dict(faults or {})
        self.target = target
        self.unix = unix
        self.uid = uid
        self.gid = gid

    def __bool__(self) -> bool:
        return bool(self.needs or self.hosts or self.faults or self.target)


class Provision(Value):
    """What a job was given: variables for its environment, and TCP ports inside -> unix sockets (with `unix`).

    Without `unix`, `sockets` names the ports of this machine's loopback that answer it, each with "".

    `problem` says why it could not be given, in one sentence; the job must then be errored.
    """

    __slots__ = ("env", "problem", "sockets")

    def __init__(
        self, *, env: Mapping[str, str] | None = None, sockets: Mapping[int, str] | None = None, problem: str = ""
    ) -> None:
        self.env = dict(env or {})
        self.sockets = dict(sockets or {})
        self.problem = problem


class Attendant(Protocol):
    """Gives jobs what they need and takes it back. Used from one thread; never blocks but in `close`.

    `pid` is the process that it runs in, a child of this one that is no box's; -1 when there is none. It may change
    with each wish.
    """

    pid: int

    def fileno(self) -> int:
        """Becomes readable when `answers` has something; -1 until the first wish, the same number from then on."""

    def ask(self, wish: Wish) -> None:
        """Begin to get what a job needs. Each wish is answered once."""

    def answers(self) -> Mapping[str, Provision]:
        """By id: what has been answered since the last call."""

    def release(self, id: str) -> Sequence[str]:  # noqa: A002 - as Wish.
        """A job has ended: take back what it was given. Returns what it was refused, `host:port (why)` each, once."""

    def close(self) -> None:
        """End everything that was started here. Afterwards none of it is alive."""
