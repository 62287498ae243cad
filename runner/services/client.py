"""The runner's end of the attendant: starts its process with the first wish, talks to it without ever waiting.

Source of the protocol: `runner.services.attendant`.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from time import monotonic

from runner.attendant import Provision
from runner.execute.files import remember, remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from runner.attendant import Wish

PATIENCE = 12.0  # seconds that the attendant has to end everything.
MOST_REFUSALS = 20  # that are remembered of one job
ENDED = "the process that gives services and hosts ended early"
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_PROGRAM = """import sys
sys.path.append(sys.argv[1])
from runner.services.attendant import main
main(sys.argv[2], sys.argv[3:])"""
_READ = 65536


class Client:
    """A `runner.attendant.Attendant` in a process of its own.

    `pid` is that process's, -1 while there is none: whoever looks for children that boxes left must pass over it.

    Args:
        environ: this process's environment; the attendant works in it.
        scratch: the run's directory, whose guard is told of ours; "" for none.
    """

    def __init__(self, *, environ: Mapping[str, str], scratch: str = "") -> None:
        self.pid = -1
        self._scratch = scratch
        self._environ = dict(environ)
        self._directory = ""
        self._orders = self._answers = self._refusals = -1
        self._wake = -1  # the write end of the pipe that stands in for the answers of an attendant that has ended.
        self._unsent = b""
        self._unread = {"answers": b"", "refusals": b""}
        self._owed: dict[str, Provision] = {}  # answers of our own making
        self._asked: set[str] = set()
        self._given: set[str] = set()
        self._refused: dict[str, list[str]] = {}

    def fileno(self) -> int:
        """Becomes readable when there are answers. The same number from the first wish until `close`."""
        return self._answers

    def ask(self, wish: Wish) -> None:
        """Begin to get what a job needs; starts the attendant if it does not run."""
        if self.pid < 0 and not self._owed:
            try:
                self._start()
            except OSError as error:
                self._stand_in()
                self._owe(wish.id, f"nothing can be given to boxes: {error.strerror}")
                return
        if self._owed:
            self._owe(wish.id, next(iter(self._owed.values())).problem)
            return
        self._asked.add(wish.id)
        self._send({"ask": {name: getattr(wish, name) for name in wish.__slots__}})

    def answers(self) -> dict[str, Provision]:
        """What has been answered since the last call; all that is open, with a problem, if the attendant has ended."""
        messages, ended = self._receive(self._answers, "answers")
        found, self._owed = self._owed, {}
        for message in messages:
            name = message["answer"]
            if name in self._asked:
                self._asked.remove(name)
                sockets = {int(port): path for port, path in message.get("sockets", {}).items()}
                found[name] = Provision(env=message.get("env"), sockets=sockets, problem=message["problem"])
                if not message["problem"]:
                    self._given.add(name)
        if ended:
            found.update(self._mourn())
        self._flush()
        return found

    def release(self, id: str) -> Sequence[str]:  # noqa: A002 - as Wish.
        """A job has ended. Returns what it was refused, each once, the first MOST_REFUSALS of them."""
        for message in self._receive(self._refusals, "refusals")[0]:
            self._note(message["refused"], message["what"])
        self._asked.discard(id)
        self._given.discard(id)
        if self.pid >= 0:
            self._send({"release": id})
        return self._refused.pop(id, [])

    def close(self) -> None:
        """End the attendant and all that it started, in PATIENCE at most."""
        if self._orders >= 0:
            os.close(self._orders)
            self._orders = -1
        if self.pid >= 0:
            self._reap(monotonic() + PATIENCE)
        for fd in (self._answers, self._refusals, self._wake):
            if fd >= 0:
                os.close(fd)
        self._answers = self._refusals = self._wake = -1
        self._asked.clear()
        self._owed.clear()
        if self._directory:
            if os.path.isdir(self._directory):  # an orderly attendant has cleared up.
                remove_tree(self._directory)
            self._directory = ""

    def _start(self) -> None:
        if not os.path.isdir(self._directory):
            self._directory = _new_directory(self._environ, self._scratch)
        orders, answers, refusals = os.pipe(), os.pipe(), os.pipe()
        ours, theirs = (orders[1], answers[0], refusals[0]), (orders[0], answers[1], refusals[1])
        log = f"{self._directory}/attendant.log"
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-c", _PROGRAM, _ROOT, self._directory, *sys.path],
                self._environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 2, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                    (os.POSIX_SPAWN_DUP2, theirs[0], 0),
                    (os.POSIX_SPAWN_DUP2, theirs[1], 1),
                    (os.POSIX_SPAWN_DUP2, theirs[2], 3),  # last: one of the others may be 3.
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD],
            )
        except OSError:
            for fd in ours:
                os.close(fd)
            raise
        finally:
            for fd in theirs:
                os.close(fd)
        for fd in ours:
            os.set_blocking(fd, False)
        self._orders = orders[1]
        self._answers = _take_over(answers[0], self._answers)
        self._refusals = _take_over(refusals[0], self._refusals)

    def _send(self, order: dict[str, object]) -> None:
        self._unsent += _line(order)
        self._flush()

    def _flush(self) -> None:
        while self._unsent and self._orders >= 0:
            try:
                self._unsent = self._unsent[os.write(self._orders, self._unsent) :]
            except BlockingIOError:
                return
            except BrokenPipeError:  # It has ended; its answers end too, and say so.
                self._unsent = b""

    def _receive(self, fd: int, name: str) -> tuple[list[dict[str, Any]], bool]:
        """The whole messages that a pipe holds, and whether its writer has gone."""
        ended = False
        parts = [self._unread[name]]
        while fd >= 0:
            try:
                part = os.read(fd, _READ)
            except BlockingIOError:
                break
            if not part:
                ended = True
                break
            parts.append(part)
        *lines, self._unread[name] = b"".join(parts).split(b"\n")
        return [json.loads(line) for line in lines if line], ended

    def _note(self, id: str, what: str) -> None:  # noqa: A002 - as Wish.
        if id in self._given:
            known = self._refused.setdefault(id, [])
            if what not in known and len(known) < MOST_REFUSALS:
                known.append(what)

    def _mourn(self) -> dict[str, Provision]:
        """The attendant has ended without being told to: whoever waits for it is told, and its files are let go."""
        self._reap(monotonic() + PATIENCE)
        os.close(self._orders)
        self._orders = -1
        self._unsent = b""
        self._unread = dict.fromkeys(self._unread, b"")
        self._stand_in()
        last = _last_line(f"{self._directory}/attendant.log")
        for name in self._given:
            self._refused.setdefault(name, []).append(ENDED)
        asked, self._asked = self._asked, set()
        return {name: Provision(problem=f"{ENDED}{last and f': {last}'}") for name in asked}

    def _stand_in(self) -> None:
        """Put a pipe that we write to ourselves in the place of the answers."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        self._answers = _take_over(read, self._answers)
        self._wake = _take_over(write, self._wake)

    def _owe(self, id: str, problem: str) -> None:  # noqa: A002 - as Wish.
        self._owed[id] = Provision(problem=problem)
        os.write(self._wake, b"\n")

    def _reap(self, until: float) -> None:
        """Wait for the attendant's end, insist, and end what it left in its group; only then collect it."""
        _ends(self.pid, until)
        try:
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, PermissionError, ChildProcessError):
            pass
        self.pid = -1


def _line(message: dict[str, object]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _new_directory(environ: Mapping[str, str], scratch: str) -> str:
    """A directory for the attendant, which users of servers can reach; known to the run's guard."""
    path = os.path.join(_base(environ), f"interlock-services-{os.urandom(8).hex()}")
    if scratch:
        remember(scratch, path)
    os.mkdir(path, 0o711)
    os.chmod(path, 0o711)  # noqa: S103 - a server that has a user of its own passes through it; umask or not.
    return path


def _base(environ: Mapping[str, str]) -> str:
    """Where it is made: the temporary directory, or another one if root's servers cannot pass through that."""
    usual = os.path.abspath(environ.get("TMPDIR") or "/tmp")  # noqa: S108 - the name in it cannot be guessed.
    if os.geteuid() == 0:
        from runner.sandbox.reach import open_place

        return open_place(usual) or usual
    return usual


def _take_over(new: int, old: int) -> int:
    """Give the descriptor `new` the number `old`, if there is one; returns its number."""
    if old < 0:
        return new
    os.dup2(new, old, inheritable=False)
    os.close(new)
    return old


def _ends(pid: int, until: float) -> bool:
    """Whether our child ends in time; it stays to be collected."""
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        fd = -1
    poll = select.poll()
    if fd >= 0:
        poll.register(fd, select.POLLIN)
    try:
        while True:
            try:
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                    return True
            except ChildProcessError:
                return True
            left = until - monotonic()
            if left <= 0:
                return False
            poll.poll(min(left * 1000, 60_000 if fd >= 0 else 20))
    finally:
        if fd >= 0:
            os.close(fd)


def _last_line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as log:
            line = log.read()[-2000:].strip().rpartition("\n")[2]
            return "".join(char for char in line if char.isprintable())[:300]
    except OSError:
        return ""
