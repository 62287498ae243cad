"""Starts boxes in a sandbox: gives each attempt its cell, and reads from the warden how it ended."""

from __future__ import annotations

import os
import sys
from _socket import socketpair  # without `socket` and all that it imports.

from runner.execute.command import BOOTSTRAP
from runner.execute.environment import LIBRARY
from runner.execute.launch import Command, Ending, Inside, Unlaunchable
from runner.isolation import GIB, MIB, Level
from runner.sandbox import bubblewrap, cgroup, warden
from runner.sandbox.ending import complaint, ending_of
from runner.sandbox.grace import Grace
from runner.sandbox.machine import own_interpreter, system, toolchains
from runner.sandbox.namespace import CannotMount, enter
from runner.sandbox.outside import await_end, end, inner_pids
from runner.sandbox.seccomp import program
from runner.sandbox.slots import NoSlot, Slots
from runner.sandbox.view import Mount, View
from runner.sandbox.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.execute.launch import Launcher as AnyLauncher
    from runner.executor import Job
    from runner.isolation import Limits
    from runner.sandbox.cgroup import Group
    from runner.sandbox.workspace import Desk

HOME = "/run/interlock"
"""Where a box sees the runner's own files: not where they are, which may be in the tree that it tests."""
_STATUS_LIMIT = 65536
_OPEN_FILES = 65536
_WARDEN = "warden.pyc"
_ETC = {
    "passwd": (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        "box:x:{uid}:{gid}:box:/tmp:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    ),
    "group": "root:x:0:\nbox:x:{gid}:\nnogroup:x:65534:\n",
    "hosts": "127.0.0.1 localhost box\n::1 localhost box\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n",
    # Files in the tree belong to another user than the box, which git takes for an attack.
    "gitconfig": "[safe]\n\tdirectory = *\n",
}


def open_launcher(level: Level, *, scratch: str, limits: Limits, path: str, own_choice: bool) -> AnyLauncher:
    """The launcher of a rung. Call it before there is a second thread.

    Args:
        level: not off.
        scratch: an existing directory, this run's alone.
        limits: of one box.
        path: the PATH that boxes get; its programs are made to be seen.
        own_choice: whether the interpreters that boxes ask for may be seen too, wherever they are.

    Raises:
        Unlaunchable: it does not work here. Nothing is left.
    """
    if level is Level.LANDLOCK:
        from runner.sandbox.landlocked import LandlockLauncher

        return LandlockLauncher(scratch=scratch, limits=limits, path=path, own_choice=own_choice)
    if level is Level.CONTAINER:
        from runner.sandbox.contained import ContainerLauncher

        return ContainerLauncher(scratch=scratch, limits=limits, path=path, environ=os.environ)
    return Launcher(scratch=scratch, limits=limits, path=path, own_choice=own_choice)


class Launcher:
    """The launcher of the bubblewrap rung.

    Args:
        scratch: an existing directory, this run's alone.
        limits: of one box.
        path: the PATH that boxes get; its programs are made to be seen.
        own_choice: whether the interpreters that boxes ask for may be seen too, wherever they are.

    Raises:
        Unlaunchable: it does not work here. Nothing is left.
    """

    layered = True
    confines = True

    def __init__(self, *, scratch: str, limits: Limits, path: str, own_choice: bool) -> None:
        self.limits = limits
        self._own_choice = own_choice
        self.system = system(os.environ.get("PATH", os.defpath))
        self._filter = program(os.uname().machine)
        self._groups = cgroup.find()
        self.grace = Grace(self._groups.own if self._groups else "")
        self._slots: Slots | None = None
        self._mounts: dict[str, Mount] = {}
        self._opened = 0
        self._etcs: dict[int, Mount] = {}
        try:
            if enter().drop:
                self._slots = Slots()
            self._workspace = Workspace(scratch, group=self._slots.group if self._slots else -1)
            try:
                self._show(os.path.dirname(own_interpreter()), os.path.dirname(sys.executable), *path.split(":"))
                self._furnish()
            except BaseException:
                self._workspace.close_all()
                raise
        except (CannotMount, NoSlot, OSError) as why:
            if self._slots:
                self._slots.close()
            raise Unlaunchable(str(why)) from why

    def open(self, job: Job) -> Cell:
        """A cell for one attempt.

        Raises:
            Unlaunchable: there is no user left, or its view cannot be made.
        """
        user = -1
        try:
            user = self._slots.take() if self._slots else -1
            desk = self._workspace.open(job.root, job.layers, size=self.limits.workspace, user=user)
            self._opened += 1
            group = cgroup.enter(str(self._opened), self.limits, self._groups)
        except (CannotMount, NoSlot, OSError) as why:
            self._give_back(user)
            message = f"the view of the tree could not be made: {why}"
            raise Unlaunchable(message) from why
        return Cell(self, job, desk, user, group)

    def close(self) -> None:
        """Leave nothing."""
        self.grace.close()
        self._workspace.close_all()
        if self._slots:
            self._slots.close()

    def view(
        self,
        job: Job,
        desk: Desk,
        user: int,
        *,
        program: str,
        sockets: Mapping[int, str],
        status: int,
        seccomp: int,
    ) -> View:
        """What one attempt sees; `program` is the file that it runs."""
        if self._own_choice:
            self._show(os.path.dirname(program), but=job.root)
        given = [
            Mount(self._lent(path, user, writable), path, writable=writable) for path, writable in job.binds.items()
        ]
        nested = [Mount(source, f"{job.root}/{path}") for path, source in desk.nested]
        # Their directory: a service that goes down and comes back does so with another socket of the same name.
        where = {path: Mount(path, path) for path in map(os.path.dirname, sockets.values())}
        return View(
            tree=desk.tree,
            inside=job.root,
            places=desk.places.home,
            limits=self.limits,
            mounts=[*self._mounts.values(), self._etc(user), *given, *nested, *where.values()],
            sockets=sockets,
            uid=user if user >= 0 else None,
            gid=self.group,
            status=status,
            seccomp=seccomp,
        )

    def finish(self, desk: Desk, user: int, keep: str) -> None:
        """An attempt is over: keep what is wanted of it, and free the rest."""
        try:
            self._workspace.close(desk, keep=keep)
        finally:
            self._give_back(user)

    @property
    def group(self) -> int | None:
        """The group of the users that boxes run as; None when they are ourselves."""
        return self._slots.group if self._slots else None

    def filter(self) -> int:
        """A descriptor of the system call filter's program; -1 when this machine has none."""
        if not self._filter:
            return -1
        return os.open(self._filter, os.O_RDONLY | os.O_CLOEXEC)

    def _lent(self, path: str, user: int, writable: bool) -> str:
        """Where a job's user reaches a directory; one that it may write to is made its own."""
        if writable and self._slots:
            os.chown(path, user, self._slots.group)
        return self._workspace.stage(path)

    def _give_back(self, user: int) -> None:
        if self._slots and user >= 0:
            self._slots.give(user)

    def _show(self, *directories: str, but: str = "") -> None:
        """Let boxes see the programs of some directories."""
        known = [*self.system.paths, *self.system.links, *self._mounts, *([but] if but else [])]
        for path in toolchains((each for each in directories if os.path.isabs(each)), known):
            self._mounts[path] = Mount(self._workspace.stage(path), path)

    def _furnish(self) -> None:
        """The runner's own files, copied: where they are may be in the tree that is tested."""
        here = os.path.dirname(os.path.abspath(__file__))
        library = [name for name in os.listdir(LIBRARY) if os.path.isfile(f"{LIBRARY}/{name}")]
        own: dict[str, str | bytes] = {f"lib/{name}": f"{LIBRARY}/{name}" for name in library}
        own |= {"pytest_bootstrap.py": BOOTSTRAP, _WARDEN: _compiled()}
        if os.path.exists(f"{here}/forward.py"):
            own["forward.py"] = f"{here}/forward.py"
        self._mounts[HOME] = Mount(self._workspace.library("home", own), HOME)

    def _etc(self, user: int) -> Mount:
        """A user's /etc: files of this machine's, ours, and of its users only the box's own."""
        uid, gid = (user, self._slots.group) if self._slots else (os.geteuid(), os.getegid())
        if user not in self._etcs:
            files: dict[str, str | bytes] = {path.removeprefix("/etc/"): path for path in self.system.files}
            files |= {name: text.format(uid=uid, gid=gid).encode() for name, text in _ETC.items()}
            inside = {path.removeprefix("/etc/"): path for path in self.system.paths if path.startswith("/etc/")}
            self._etcs[user] = Mount(self._workspace.library(f"etc-{uid}", files, inside), "/etc")
        return self._etcs[user]


def _compiled() -> bytes:
    """The warden's code as the interpreter keeps it: to compile it anew takes each box longer than to run it."""
    import marshal
    from importlib.util import MAGIC_NUMBER

    with open(warden.__file__, "rb") as stream:
        code = compile(stream.read(), f"{HOME}/warden.py", "exec", dont_inherit=True)
    # Flags, time and size of the source follow the number: nobody compares them when it is run as a file.
    return MAGIC_NUMBER + bytes(12) + marshal.dumps(code)


class Cell:
    """One attempt's sandbox."""

    inside = Inside(library=f"{HOME}/lib", bootstrap=f"{HOME}/pytest_bootstrap.py")
    has_network = True
    contained = True

    def __init__(self, launcher: Launcher, job: Job, desk: Desk, user: int, group: Group | None) -> None:
        self.places = desk.places
        self.tree = desk.tree
        self.sockets = desk.sockets
        self.uid = user if user >= 0 else None
        self.gid = launcher.group
        self._launcher = launcher
        self._job = job
        self._desk = desk
        self._user = user
        self._group = group
        self._fds: list[int] = []
        self._status = -1
        self._own = 2

    def command(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, sockets: Mapping[int, str]) -> Command:
        """The command line of the sandbox; its environment is empty, the box's is among the warden's orders.

        Raises:
            Unlaunchable: something that it is to see cannot be shown.
        """
        try:
            return self._command(argv, env, cwd, sockets)
        except (CannotMount, OSError) as why:
            message = f"the sandbox could not be made ready: {why}"
            raise Unlaunchable(message) from why

    def _command(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, sockets: Mapping[int, str]) -> Command:
        # Not a pipe: a box that is our user could open that in /proc/2/fd, and speak in the warden's place.
        self._status, writing = (end.detach() for end in socketpair())
        os.set_blocking(self._status, False)
        orders = os.memfd_create("orders", os.MFD_CLOEXEC)
        events = os.dup(writing)
        self._fds = [writing, orders, events]
        self._own = 3 if sockets else 2
        groups = self._group.doors() if self._group else []
        if groups:
            self._launcher.grace.begin()
        self._fds += groups
        limits = _rlimits(self._launcher.limits, self._group)
        os.write(orders, warden.Orders(argv, env, limits=limits, sockets=sockets, groups=groups).encode())
        filter_ = self._launcher.filter()
        if filter_ >= 0:
            self._fds.append(filter_)
        view = self._launcher.view(
            self._job,
            self._desk,
            self._user,
            program=argv[0],
            sockets=sockets,
            status=writing,
            seccomp=filter_,
        )
        words = (own_interpreter(), "-I", "-S", f"{HOME}/{_WARDEN}", str(orders), str(writing))
        line = bubblewrap.argv(view, words, {}, cwd, system=self._launcher.system, events=events)
        return Command(line, {}, self._fds)

    def spawned(self) -> None:
        """Nobody here writes what we wait for."""
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def kill(self, pid: int) -> None:
        """End all of it: with the first process of its namespace everything else in it ends."""
        if self._group:
            self._group.kill()
        end(pid)

    def is_machinery(self, pid: int) -> bool:
        """The sandbox's own processes: outside of its namespace, the first in it, the warden and its forwarder."""
        inside = inner_pids(pid)
        return len(inside) < 2 or inside[-1] <= self._own

    def ended(self, exit_code: int, said: str) -> Ending:
        """The box's own ending, from the warden; without a word of it the sandbox has failed."""
        first, told = _part(self._read_status())
        await_end(first)
        status = warden.read_status(told)
        out_of_memory = self._out_of_memory()
        if status is None and out_of_memory:
            return Ending(exit_code=exit_code, problem=out_of_memory)
        if status is None:
            problem = f"the sandbox failed: {complaint(said, exit_code)}"
            return Ending(exit_code=exit_code, problem=problem, unstarted=True)
        return ending_of(status, out_of_memory)

    def close(self) -> None:
        """Throw it away, but for what the job keeps."""
        self.spawned()
        if self._status >= 0:
            os.close(self._status)
            self._status = -1
        if self._group:
            self._group.remove()
        self._launcher.finish(self._desk, self._user, self._job.keep)

    def _out_of_memory(self) -> str:
        if self._group and self._group.oom_killed():
            return f"used more than its {_amount(self._launcher.limits.memory)} of memory"
        return ""

    def _read_status(self) -> bytes:
        try:
            return os.read(self._status, _STATUS_LIMIT)
        except BlockingIOError:
            return b""


def _rlimits(limits: Limits, group: Group | None) -> dict[str, int]:
    """What the kernel allows each process, by name; memory only where no group limits that of all together.

    Memory is what can be written to (RLIMIT_DATA): address space is reserved by the gigabyte and never used.
    """
    usual = {"NPROC": limits.processes, "FSIZE": limits.workspace, "CORE": 0, "NOFILE": _OPEN_FILES}
    return usual if group and group.memory else {**usual, "DATA": limits.memory}


def _amount(size: int) -> str:
    """`4 GiB`, `256 MiB`."""
    return f"{size / GIB:g} GiB" if size >= GIB else f"{size / MIB:g} MiB"


def _part(data: bytes) -> tuple[int, bytes]:
    """The number of the sandbox's first process, which bubblewrap tells (0 if it did not), and what the warden says."""
    lines = data.splitlines(keepends=True)
    first = next((line for line in lines if line.startswith(b"{")), b"")
    digits = first.partition(b'"child-pid":')[2].split(b",")[0].strip()
    return int(digits) if digits.isdigit() else 0, b"".join(line for line in lines if not line.startswith(b"{"))
