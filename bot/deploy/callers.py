"""Who is at the other end of a connection over loopback: a release has the machine's network, and sits at no machine.

A release runs as a user of its own, or as the bot's in a process namespace of its own. The kernel knows the user of
every socket, and which processes have it. What cannot be told counts as a release: a socket whose process has let go
of it has no owner any more, and whoever waits for an answer has not let go.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bot.deploy.confine import Allowance, Confinement, Way, choose

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Callers:
    """Tells releases from people.

    Attributes:
        uid: as whom releases run.
        apart: whether nobody else is that user; otherwise it is the bot's own, and a process namespace tells.
    """

    uid: int
    apart: bool

    def is_release(self, caller: Address, called: Address) -> bool:
        """Whether a connection from one address of this machine to another is a release's, or nobody can say."""
        found = _owner(caller, called)
        if found is None:
            return True
        uid, inode = found
        if uid != self.uid:
            return False
        return self.apart or not _is_held_here(inode)


def callers_of(allowance: Allowance) -> Callers | None:
    """Who tells them apart on this machine; None where no release runs, or nothing is kept from any."""
    confinement = choose(allowance) if allowance.kinds else None
    if not isinstance(confinement, Confinement) or confinement.way is Way.NONE:
        return None
    person = confinement.person
    return Callers(person.uid, apart=True) if person else Callers(os.geteuid(), apart=False)


def _owner(caller: Address, called: Address) -> tuple[int, str] | None:
    """User and inode of the caller's socket; None when nobody has it any more.

    Source: proc_net_tcp.rst of the kernel's documentation.
    """
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        wanted = [_written(caller, family), _written(called, family)]
        with contextlib.suppress(OSError):
            for line in Path("/proc/net", name).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[1:3] == wanted:
                    return None if words[9] == "0" else (int(words[7]), words[9])
    return None


def _written(address: Address, family: socket.AddressFamily) -> str:
    """An address as the kernel writes it: words of four bytes in its own order, then the port."""
    host, port = address
    if family == socket.AF_INET6 and ":" not in host:
        host = f"::ffff:{host}"
    try:
        packed = socket.inet_pton(family, host)
    except OSError:
        return ""
    parts = [packed[at : at + 4] for at in range(0, len(packed), 4)]
    said = "".join((part[::-1] if sys.byteorder == "little" else part).hex() for part in parts)
    return f"{said}:{port:04x}".upper()


def _is_held_here(inode: str) -> bool:
    """Whether a process of our own namespace has a socket."""
    here = _namespace("self")
    pids = [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return any(here and _namespace(pid) == here and f"socket:[{inode}]" in _opened(pid) for pid in pids)


def _namespace(pid: str) -> str:
    try:
        return str(Path("/proc", pid, "ns/pid").readlink())
    except OSError:
        return ""


def _opened(pid: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for file in Path("/proc", pid, "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(file.readlink())
