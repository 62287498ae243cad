"""Ends a run's processes when the runner cannot: a small process that waits for the runner to be gone, and clears up.

Whoever kills the runner with SIGKILL, or lets it run out of memory, takes away the one that knows what the boxes have
started. The guard is a shell in a session of its own that sleeps until then, and only then becomes a Python; an orderly
end dismisses it. A fork of the runner would hold its memory, its descriptors and its environment for as long.

What it ends is what the runner started, however it hid: below a process that is found; in whose environment the run's
scratch directory stands; or that bears the run's tag (`runner.execute.tag`). Without /proc it ends the boxes' process
groups, and no more.
"""

from __future__ import annotations

import os
import signal
import sys

from runner.execute.files import remembered, remove_surely
from runner.execute.table import environ, processes, send, with_descendants
from runner.execute.tag import Tag, has_tag
from runner.execute.tree import Probes, end_all, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "runner: guard"
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# Its standard input ends with the runner. The groups that it is told of are those that have not ended.
_STAND_BY = """\
trap '' HUP INT QUIT TERM
cd /
groups=' '
while read -r what group; do
  case $what in
    +) groups="$groups$group " ;;
    -) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
  esac
done
exec "$@" $groups
"""
_CLEAR_UP = "import sys; sys.path.insert(0, sys.argv[1]); from runner.execute.guard import main; main(sys.argv[2:])"
_BY_GROUP = "groups"
_EMPTY_LOOKS = 10  # It collects nobody's end, so only looking tells that all is over.
_POLITE = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class Guard:
    """Watches over this process from now on. Make it before anything else is started.

    Args:
        scratch: the run's directory, removed when the runner did not live to do so.
        probes: what of the machine to use; None looks.

    Raises:
        NoRoom: the machine takes no more processes.
    """

    def __init__(self, scratch: str, *, probes: Probes | None = None) -> None:
        self._by_group = not (probes or probe()).proc
        self._tag = None if self._by_group else Tag()
        reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        how = str(self._tag.value) if self._tag else _BY_GROUP
        task = (sys.executable, "-I", "-S", "-c", _CLEAR_UP, _HOME, os.path.abspath(scratch), how)
        try:
            self.pid = _spawn((_NAME, "-c", _STAND_BY, _NAME, *task), reader)
        finally:
            os.close(reader)

    def tell(self, group: int) -> None:
        """A box was started as the leader of a process group. Needed, and listened to, only without /proc."""
        if self._by_group:
            self._say(b"+ %d\n" % group)

    def tell_over(self, group: int) -> None:
        """A box and its group have ended."""
        if self._by_group:
            self._say(b"- %d\n" % group)

    def dismiss(self) -> None:
        """Let it go: all that was started has ended. Harmless when repeated."""
        if not self.pid:
            return
        os.kill(self.pid, signal.SIGKILL)  # It is deaf to the others, and has nothing to finish.
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass  # Whoever started us ignores the ends of children, and so the kernel has collected it.
        self.pid = 0
        os.close(self._writer)
        if self._tag:
            self._tag.remove()

    def _say(self, line: bytes) -> None:
        try:
            os.write(self._writer, line)
        except OSError:
            return  # It has been killed. The run goes on, as it would without a guard.


def main(words: Sequence[str]) -> None:
    """What the guard does when the runner is gone.

    Args:
        words: the scratch directory; the tag's value, 0 for none, or that processes are known by their groups only; the
            groups that have not ended.
    """
    for number in _POLITE:
        signal.signal(number, signal.SIG_IGN)
    scratch, how, *groups = words
    for group in groups:
        send(-int(group), signal.SIGKILL)
    if how != _BY_GROUP:
        mark = os.fsencode(f"BOX_TMP={scratch}/")
        end_all(lambda: _run_processes(mark, int(how)), looks=_EMPTY_LOOKS)
    remove_surely([*remembered(scratch), scratch])


def _spawn(argv: tuple[str, ...], standard_input: int) -> int:
    """Start a shell with no environment, so that nobody who looks for the run's processes by theirs finds this one."""
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
        (os.POSIX_SPAWN_DUP2, standard_input, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    try:
        return os.posix_spawn("/bin/sh", argv, {}, file_actions=actions, setsid=True)
    except OSError as error:
        from runner.errors import NoRoom

        message = f"no process could be started: {error.strerror}"
        raise NoRoom(message) from error


def _run_processes(mark: bytes, tag: int) -> list[int]:
    """The living processes of the run, as they are now."""
    table = processes()
    table.pop(os.getpid(), None)
    found = {
        pid for pid in table if (tag and has_tag(pid, tag)) or any(entry.startswith(mark) for entry in environ(pid))
    }
    return [pid for pid in with_descendants(found, table) if table[pid].alive]
