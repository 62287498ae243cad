"""The process table: who is there, whose child, what it is called; and the few things that one does to a process."""

from __future__ import annotations

import os
import select
from time import monotonic

from runner.execute.output import clean
from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

NAME_LENGTH = 200
"""Characters of a process's words that are kept; a sandbox's warden keeps as many."""


class Process(Value):
    """One line of the process table."""

    __slots__ = ("group", "parent", "pid", "session", "state")

    def __init__(self, pid: int, parent: int, group: int, session: int, state: str) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.session = session
        self.state = state

    @property
    def alive(self) -> bool:
        """False for one that has ended and waits to be reaped."""
        return self.state not in "ZX"


def processes() -> dict[int, Process]:
    """Everybody, by pid."""
    table: dict[int, Process] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            # The command's name stands in parentheses and may hold anything: the fields follow the last one.
            fields = _read(f"/proc/{name}/stat").rpartition(b")")[2].split()
            if len(fields) > 3:
                pid = int(name)
                table[pid] = Process(pid, int(fields[1]), int(fields[2]), int(fields[3]), fields[0].decode())
    return table


def children() -> list[int]:
    """This process's children, orphans that came to it included."""
    found: list[int] = []
    try:
        for thread in os.listdir("/proc/self/task"):
            found.extend(map(int, _read_all(f"/proc/self/task/{thread}/children").split()))
    except FileNotFoundError:  # A kernel without CONFIG_PROC_CHILDREN, or a thread that has just ended.
        me = os.getpid()
        return [process.pid for process in processes().values() if process.parent == me]
    return found


def with_descendants(roots: set[int], table: dict[int, Process]) -> list[int]:
    """These processes, those that are in the table, and all that are below them."""
    below: dict[int, list[int]] = {}
    for process in table.values():
        below.setdefault(process.parent, []).append(process.pid)
    found: dict[int, None] = {}
    queue = sorted(roots)
    while queue:
        pid = queue.pop()
        if pid not in found:
            found[pid] = None
            queue.extend(below.get(pid, ()))
    return list(found)


def environ(pid: int) -> frozenset[bytes]:
    """The NAME=value entries that a process was started with; empty where that may not be read."""
    return frozenset(_read(f"/proc/{pid}/environ").split(b"\0"))


def name_of(pid: int) -> str:
    """The command line of a process, short and safe to print."""
    words = clean(_read(f"/proc/{pid}/cmdline").replace(b"\0", b" ")).strip().replace("\n", " ")
    return words[:NAME_LENGTH] or clean(_read(f"/proc/{pid}/comm")).strip() or "a process"


def describe_wait(pid: int) -> str:
    """What a process is doing: its state, and where in the kernel it waits as far as one may know."""
    status = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    where = _read(f"/proc/{pid}/stack") or _read(f"/proc/{pid}/wchan")
    lines = [f"pid {pid} ({clean(status[0]) if status else '?'}): {name_of(pid)}"]
    lines += [f"    {line}" for line in clean(where).splitlines() if line.strip("0 ")]
    return "\n".join(lines)


def send(pid: int, number: int) -> None:
    """Send a signal to a process, or to a group when `pid` is negative; one that has ended hears nothing."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # It has ended by itself, or belongs to another user by now.


def group_exists(group: int) -> bool:
    """Whether a process group has a member, of whatever user."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def has_ended(pid: int) -> bool:
    """Whether our child has ended; it stays to be reaped."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def await_ends(pids: Collection[int], until: float) -> None:
    """Wait until each has ended; for a moment only where its end cannot be waited for."""
    for pid in pids:
        try:
            fd = os.pidfd_open(pid)
        except (AttributeError, OSError):
            select.poll().poll(5)
            continue
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            poll.poll(max(0.0, until - monotonic()) * 1000)
        finally:
            os.close(fd)


def _read_all(path: str) -> bytes:
    """A file of /proc, whose size is not known; asked for after every box, so without the layers of `open`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(fd, 65536):
            parts.append(part)
    finally:
        os.close(fd)
    return b"".join(parts)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", 0) as stream:
            return stream.read(1 << 20) or b""
    except OSError:
        return b""
