"""Ends a run's processes when the runner cannot: a small process that waits for the runner to be gone, and clears up.

Whoever kills the runner with SIGKILL, or lets it run out of memory, takes away the one that knows what the boxes have
started. The guard is a fork of the runner in a session of its own, which sleeps until then; an orderly end dismisses
it.

What it ends is what the runner started, however it hid: below a process that is found; in whose environment the run's
scratch directory stands; or that bears the run's tag (`runner.execute.tag`). Without /proc it ends the boxes' process
groups, and no more.
"""

from __future__ import annotations

import os
import select
import signal

from runner.execute.files import remove_tree
from runner.execute.table import environ, processes, send, with_descendants
from runner.execute.tag import Tag, has_tag
from runner.execute.tree import Probes, end_all, probe

_TITLE = b"runner: guard"
_IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
_ARG_START = 45  # of the fields of /proc/self/stat after the command's name; see proc(5)


class Guard:
    """Watches over this process from now on. Make it while there is one thread, and before anything is started.

    Args:
        scratch: the run's directory, removed when the runner did not live to do so.
        probes: what of the machine to use; None looks.
    """

    def __init__(self, scratch: str, *, probes: Probes | None = None) -> None:
        self._probes = probes or probe()
        self._tag = Tag() if self._probes.proc else None
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        runner = os.getpid()
        self.pid = os.fork()
        if self.pid:
            os.close(self._reader)
            return
        try:
            self._stand_by(runner, os.path.realpath(scratch))
        finally:
            os._exit(0)

    def tell(self, group: int) -> None:
        """A box was started as the leader of a process group. Needed, and listened to, only without /proc."""
        if not self._probes.proc:
            self._say(b"+%d\n" % group)

    def tell_over(self, group: int) -> None:
        """A box and its group have ended."""
        if not self._probes.proc:
            self._say(b"-%d\n" % group)

    def dismiss(self) -> None:
        """Let it go: all that was started has ended. Harmless when repeated."""
        if not self.pid:
            return
        os.kill(self.pid, signal.SIGKILL)  # it has nothing to finish; a person who looks sees no second process end
        os.waitpid(self.pid, 0)
        self.pid = 0
        os.close(self._writer)
        if self._tag:
            self._tag.remove()

    def _say(self, line: bytes) -> None:
        try:
            os.write(self._writer, line)
        except OSError:
            return  # It has been killed. The run goes on, as it would without a guard.

    def _stand_by(self, runner: int, scratch: str) -> None:
        """What the guard is from its first moment to its last."""
        os.setsid()
        os.chdir("/")
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        _let_go(self._reader)
        if self._probes.proc:
            _disguise()
        groups = _outlive(runner, self._reader, pidfd=self._probes.pidfd)
        if self._probes.proc:
            mark = os.fsencode(f"BOX_TMP={scratch}/")
            end_all(lambda: _run_processes(mark, self._tag.value if self._tag else 0))
        for group in groups:
            send(-group, signal.SIGKILL)
        remove_tree(scratch)


def _let_go(*kept: int) -> None:
    """Close every descriptor but these: whoever reads the runner's output must not wait for the guard's."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        if fd > 2 and fd not in kept:
            try:
                os.close(fd)
            except OSError:
                continue  # The listing's own.


def _disguise() -> None:
    """Show a name of its own in the process table, and no environment.

    The environment is the runner's. Who looks for what a run has left by what is in it, as the bot does, would end the
    guard, and with it the only one that knows the rest.
    """
    try:
        with open("/proc/self/stat", "rb") as stream:
            fields = stream.read().rpartition(b")")[2].split()
        arguments, end_of_arguments, environment, end_of_environment = map(int, fields[_ARG_START : _ARG_START + 4])
        with open("/proc/self/mem", "r+b", 0) as memory:
            for start, end, text in (
                (arguments, end_of_arguments, _TITLE),
                (environment, end_of_environment, b""),
            ):
                memory.seek(start)
                memory.write(text[: end - start].ljust(end - start, b"\0"))
    except (OSError, ValueError):
        return  # Forbidden here: then it looks like the runner.


def _outlive(runner: int, reader: int, *, pidfd: bool) -> set[int]:
    """Sleep until the runner is gone; the groups of which it had told and which were not over."""
    groups: set[int] = set()
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    watch = -1
    if pidfd:
        try:
            # A child of the runner's that was forked and not executed holds the pipe's other end open.
            watch = os.pidfd_open(runner)
        except OSError:
            return groups
        poll.register(watch, select.POLLIN)
    rest = b""
    while os.getppid() == runner:
        ready = [fd for fd, _ in poll.poll()]
        if reader in ready:
            told = os.read(reader, 65536)
            if not told:
                break
            *lines, rest = (rest + told).split(b"\n")
            for line in lines:
                (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
        elif watch in ready:
            break
    return groups


def _run_processes(mark: bytes, tag: int) -> list[int]:
    """The living processes of the run, as they are now."""
    table = processes()
    me = os.getpid()
    found = {
        pid for pid in table if (tag and has_tag(pid, tag)) or any(entry.startswith(mark) for entry in environ(pid))
    }
    table.pop(me, None)
    found.discard(me)
    return [pid for pid in with_descendants(found, table) if table[pid].alive]
