"""A box's process tree: finding all of it, naming it, ending it.

A process leaves its parent's group with setsid and its parent's line with a double fork. Neither hides it here: this
process is the reaper of its descendants' orphans (PR_SET_CHILD_SUBREAPER), so an orphan becomes our child, and what is
in its environment tells whose it was. Where the kernel offers less, so does this module: see `Probes`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from time import monotonic

from runner.execute.table import (
    await_ends,
    children,
    describe_wait,
    environ,
    group_exists,
    has_ended,
    name_of,
    processes,
    send,
    with_descendants,
)
from runner.model import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from runner.execute.table import Process

_SET_CHILD_SUBREAPER = 36
_GET_CHILD_SUBREAPER = 37
_ENDING_SECONDS = 5.0
_LAST_WORDS_SECONDS = 0.1
_STOP_ROUNDS = 20
_EMPTY_LOOKS = 4  # in a row, before a tree that forked is held to be ended
_BETWEEN_LOOKS_MS = 5


class Probes(Value):
    """What this machine offers. Turned off one by one, each leaves a slower or a blinder way.

    `pidfd`: exits are read from a file descriptor; otherwise from SIGCHLD. `proc`: the tree is read from /proc;
    otherwise it is the process group and no more. `subreaper`: orphans come to us; otherwise they are looked for in all
    of /proc.
    """

    __slots__ = ("pidfd", "proc", "subreaper")

    def __init__(self, *, pidfd: bool, proc: bool, subreaper: bool) -> None:
        self.pidfd = pidfd
        self.proc = proc
        self.subreaper = subreaper


def probe() -> Probes:
    """Look at this machine."""
    linux = sys.platform == "linux"
    proc = linux and os.path.exists("/proc/self/stat")
    return Probes(pidfd=_has_pidfd(), proc=proc, subreaper=linux and proc)


def _has_pidfd() -> bool:
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class Trees:
    """Knows which processes belong to which main process.

    One per executor. It takes every child of this process that was not there before it, and that is not one of the
    executor's main processes, for an orphan of a box: nothing else may start children while boxes run.

    Args:
        probes: what may be used.
    """

    def __init__(self, probes: Probes) -> None:
        self._proc = probes.proc
        self._wants_subreaper = probes.subreaper
        self._subreaper = False
        self._restore_subreaper = False
        self._foreign: frozenset[int] = frozenset(children() if probes.proc else ())
        self._mains: dict[int, bytes] = {}

    def leave(self, pid: int) -> None:
        """A child of ours is no box's, however the table of children was read."""
        self._foreign |= {pid}

    def prepare(self) -> None:
        """Become the reaper of orphans; before the first process is started. Costs 2 ms, once."""
        if self._wants_subreaper and not self._subreaper:
            self._subreaper, self._restore_subreaper = _become_subreaper()
            self._wants_subreaper = self._subreaper

    def spare(self, pid: int) -> None:
        """A child of this process that is no box's, started after this was made."""
        self._foreign |= {pid}

    def add(self, pid: int, mark: str) -> None:
        """A main process was started in its own session; `mark` is the NAME=value that only its environment has."""
        self._mains[pid] = os.fsencode(mark)

    def forget(self, pid: int) -> None:
        """A main process has been reaped and its tree ended."""
        del self._mains[pid]

    def release(self) -> None:
        """Stop being the reaper, if nobody was before."""
        if self._restore_subreaper:
            _prctl(_SET_CHILD_SUBREAPER, 0)
            self._restore_subreaper = self._subreaper = False
            self._wants_subreaper = True

    def members(self, main: int) -> list[int]:
        """The living processes of a tree, the main one included while it lives. Needs /proc."""
        table = processes()
        roots = {main} if main in table else set()
        roots.update(pid for pid, process in table.items() if main in {process.group, process.session})
        roots.update(self._strays(main, table))
        return [pid for pid in with_descendants(roots, table) if table[pid].alive]

    def leftovers(self, main: int) -> bool:
        """Whether something may be left of a tree whose main process has been reaped. Cheap."""
        if group_exists(main):
            return True
        if not self._proc:
            return False
        if not self._subreaper:
            return bool(self.members(main))
        return any(pid not in self._foreign and pid not in self._mains for pid in children())

    def signal(self, main: int, *numbers: int, spared: Callable[[int], bool] | None = None) -> None:
        """Send signals to a whole tree, as it is now, but for processes that are to be spared."""
        for number in numbers:
            for pid in self.members(main) if self._proc else [-main]:
                if spared is None or not spared(pid):
                    send(pid, number)

    def end_leftovers(self, main: int) -> list[str]:
        """End what a main process that has been reaped left behind.

        What is about to end by itself is let: the `tee` of a `>(tee log)` outlives its shell by a moment.

        Returns:
            What had to be ended, by name.
        """
        if not self.leftovers(main):
            return []
        if not self._proc:
            return self._end_group(main)
        await_ends(self.members(main), monotonic() + _LAST_WORDS_SECONDS)
        return self.end(main)

    def end(self, main: int) -> list[str]:
        """End a tree: stop everything, then kill it, again until nothing of it is found.

        Stopped first, because what is stopped cannot fork a successor while its siblings are being killed.

        Returns:
            What was alive, by name, the main process not among it.
        """
        if not self._proc:
            return self._end_group(main)
        names = end_all(lambda: self.members(main), reap=lambda: self._reap(main))
        names.pop(main, None)
        return [f"{name} (pid {pid})" for pid, name in names.items()]

    def dump(self, main: int, left_out: Callable[[int], bool] | None = None) -> str:
        """What a tree was doing: each process with its state and where it waits, as far as one may look."""
        members = self.members(main) if self._proc else []
        lines = [describe_wait(pid) for pid in members if left_out is None or not left_out(pid)]
        return "\n".join(lines)

    def _end_group(self, main: int) -> list[str]:
        if not group_exists(main):
            return []
        until = monotonic() + _ENDING_SECONDS
        while group_exists(main) and monotonic() < until:
            send(-main, signal.SIGKILL)
            select.poll().poll(5)  # Not our children: nothing tells of their end.
            if main in self._mains and has_ended(main):
                break
        return [f"a process of its group (group {main})"]

    def _strays(self, main: int, table: dict[int, Process]) -> Iterable[int]:
        """Orphans of the tree that have left its session, by the mark in their environment."""
        mark = self._mains.get(main, b"")
        others = [pid for pid in self._mains if pid != main]
        known = self._foreign.union(self._mains)
        me = os.getpid()
        for pid, process in table.items():
            if pid in known or (self._subreaper and process.parent != me) or not process.alive:
                continue
            # An orphan that has cleared its environment is the only running box's, if there is only one.
            if (self._subreaper and not others) or mark in environ(pid):
                yield pid

    def _reap(self, main: int) -> bool:
        """Collect the orphans that have ended; main processes are their executor's to collect."""
        if not self._subreaper:
            return False
        found = False
        for pid in children():
            if pid not in self._foreign and pid not in self._mains and pid != main:
                try:
                    found |= os.waitpid(pid, os.WNOHANG)[0] != 0
                except ChildProcessError:
                    continue
        return found


def end_all(
    look: Callable[[], list[int]], *, reap: Callable[[], bool] = bool, looks: int = _EMPTY_LOOKS
) -> dict[int, str]:
    """Stop what `look` finds, then kill it, again until it finds nothing any more. Gives up after 5 s.

    Args:
        look: the living processes that are to end, as they are now.
        reap: collects those of them that have ended; whether there were any.
        looks: in a row that must find nothing.

    Returns:
        What was alive: names by pid.
    """
    names: dict[int, str] = {}
    until = monotonic() + _ENDING_SECONDS
    empty = 0
    while monotonic() < until:
        alive = _stop(look, names)
        ended = reap()
        if not alive:
            # A look at /proc takes time, and a process may fork past it and be gone: once is no proof, and one that has
            # ended since the last look may have left a successor.
            empty = 0 if ended else empty + 1
            if empty == looks:
                break
            select.poll().poll(_BETWEEN_LOOKS_MS)
            continue
        empty = 0
        for pid in alive:
            send(pid, signal.SIGKILL)
        await_ends(alive, until)
        reap()
    return names


def _stop(look: Callable[[], list[int]], names: dict[int, str]) -> list[int]:
    stopped: set[int] = set()
    alive: list[int] = []
    for _ in range(_STOP_ROUNDS):
        alive = look()
        new = [pid for pid in alive if pid not in stopped]
        if not new:
            break
        for pid in new:
            send(pid, signal.SIGSTOP)
            names.setdefault(pid, name_of(pid))
        stopped.update(new)
    return alive


def _become_subreaper() -> tuple[bool, bool]:
    """Returns: whether we are the reaper now, and whether to undo it in the end."""
    if _get_subreaper():
        return True, False
    done = _prctl(_SET_CHILD_SUBREAPER, 1) == 0
    return done, done


def _get_subreaper() -> bool:
    from _ctypes import addressof

    value = _integer("i")(0)
    return _prctl(_GET_CHILD_SUBREAPER, addressof(value)) == 0 and bool(value.value)


def _prctl(option: int, argument: int) -> int:
    """The system call. By way of what `ctypes` is made of: importing that costs 2 ms, more than anything else here."""
    from _ctypes import FUNCFLAG_CDECL, CFuncPtr, dlopen, dlsym

    word = _integer("L")

    class Function(CFuncPtr):
        _flags_ = FUNCFLAG_CDECL
        _restype_ = _integer("i")

    prctl = Function(dlsym(dlopen(None, 0), "prctl"))  # type: ignore[arg-type]  # None is the program itself.
    done: int = prctl(_integer("i")(option), word(argument), word(0), word(0), word(0))
    return done


def _integer(code: str) -> Any:
    """A C integer type, by its code in `struct`."""
    from _ctypes import _SimpleCData

    return type("Integer", (_SimpleCData,), {"_type_": code})
