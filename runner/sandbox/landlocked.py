"""Starts boxes on the rung without namespaces: each in a copy of the tree, confined by Landlock and seccomp.

For members' code on machines that allow no more.
"""

from __future__ import annotations

import os

from runner.execute.command import which
from runner.execute.launch import Command, Inside, Unlaunchable
from runner.sandbox import landlock, warden
from runner.sandbox.copies import Copies, rlimits
from runner.sandbox.machine import own_interpreter, system, toolchains
from runner.sandbox.reach import is_open
from runner.sandbox.view import Mount, View

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.execute.launch import Ending
    from runner.executor import Job
    from runner.isolation import Limits
    from runner.sandbox.copies import Copy

_STATUS_LIMIT = 65536
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


class LandlockLauncher:
    """The launcher of the Landlock rung.

    Args:
        scratch: an existing directory, this run's alone.
        limits: of one box.
        path: the PATH that boxes get; its programs can be reached, as far as the boxes' user may.
        own_choice: whether the interpreters that boxes ask for may be reached too, wherever they are.

    Raises:
        Unlaunchable: it does not work here. Nothing is left.
    """

    layered = False
    confines = True

    def __init__(self, *, scratch: str, limits: Limits, path: str, own_choice: bool) -> None:
        self.limits = limits
        self.own_choice = own_choice
        self.system = system(os.environ.get("PATH", os.defpath))
        self.interpreter = _warden_interpreter(drops=os.geteuid() == 0)
        directories = [*path.split(":"), os.path.dirname(self.interpreter)]
        self.mounts = [Mount(place, place) for place in toolchains(directories, self.system.paths)]
        self.copies = Copies(scratch)

    def open(self, job: Job) -> LandlockCell:
        """A cell for one attempt.

        Raises:
            Unlaunchable: there is no user left, or its copy of the tree cannot be made.
        """
        copy = self.copies.open(job, self.limits)
        for path in copy.shown:  # it is seen in its place, and cannot be written.
            os.rmdir(f"{copy.tree}/{path}")
            os.symlink(f"{job.root}/{path}", f"{copy.tree}/{path}")
        return LandlockCell(self, job, copy)

    def close(self) -> None:
        """Leave nothing."""
        self.copies.close_all()


class LandlockCell:
    """One attempt's copy of the tree, and what keeps it there."""

    has_network = False
    contained = False

    def __init__(self, launcher: LandlockLauncher, job: Job, copy: Copy) -> None:
        self.tree = copy.tree
        self.sockets = copy.sockets
        self.places = copy.places
        self.uid = copy.uid
        self.gid = launcher.copies.group
        own = launcher.copies.own
        self.inside = Inside(library=f"{own}/lib", bootstrap=f"{own}/pytest_bootstrap.py")
        self._launcher = launcher
        self._job = job
        self._copy = copy
        self._fds: list[int] = []

    def command(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, sockets: Mapping[int, str]) -> Command:
        """The command line that confines a warden; the box's environment is among the warden's orders."""
        self._copy.status, writing = os.pipe()
        os.set_blocking(self._copy.status, False)
        orders = os.memfd_create("orders", os.MFD_CLOEXEC)
        self._fds = [writing, orders]
        groups = self._copy.group.doors() if self._copy.group else []
        if groups:
            self._launcher.copies.grace.begin()
        self._fds += groups
        view = self._view(argv[0], sockets)
        words = [landlock.relocated(word, view) for word in argv]
        # What it is given is reached by the machine's own loopback: nothing is to be forwarded.
        told = warden.Orders(words, env, limits=self._rlimits(), groups=groups, alone=False)
        os.write(orders, told.encode())
        launcher = self._launcher
        program = (launcher.interpreter, "-I", "-S", f"{launcher.copies.own}/warden.py", str(orders), str(writing))
        return Command(landlock.argv(view, program, {}, cwd, system=launcher.system), {}, self._fds)

    def spawned(self) -> None:
        """Nobody here writes what we wait for."""
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def kill(self, pid: int) -> None:
        """End what its control group holds; the executor ends its tree as it does without a cell."""
        del pid
        if self._copy.group:
            self._copy.group.kill()

    def is_machinery(self, pid: int) -> bool:
        """The warden, which ends when the box does."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                return stream.read().startswith(os.fsencode(f"{self._launcher.interpreter}\0-I\0-S\0"))
        except OSError:
            return False

    def ended(self, exit_code: int, said: str) -> Ending:
        """The box's own ending, from the warden; without a word of it the sandbox has failed."""
        group = self._copy.group
        if group:
            group.kill()
        try:
            told = os.read(self._copy.status, _STATUS_LIMIT)
        except BlockingIOError:
            told = b""
        return self._copy.ending(told, exit_code, used_up=group is not None and group.oom_killed(), said=said)

    def close(self) -> None:
        """Throw it away."""
        self.spawned()
        self._launcher.copies.close(self._copy)

    def _view(self, program: str, sockets: Mapping[int, str]) -> View:
        launcher, copy, root = self._launcher, self._copy, self._job.root
        asked = [os.path.dirname(program)] if launcher.own_choice else []
        own = [launcher.copies.own, *toolchains(asked, [*launcher.system.paths, root])]
        shown = [Mount(f"{root}/{path}", f"{copy.tree}/{path}") for path in copy.shown]
        lent = [Mount(path, path, writable=writable) for path, writable in self._job.binds.items()]
        return View(
            tree=copy.tree,
            inside=root,
            places=copy.places.home,
            limits=launcher.limits,
            mounts=[*launcher.mounts, *shown, *(Mount(place, place) for place in own), *lent],
            sockets=sockets,
            uid=self.uid,
            gid=self.gid,
        )

    def _rlimits(self) -> dict[str, int]:
        limits, group = self._launcher.limits, self._copy.group
        found = rlimits(limits)
        if not group or not group.memory:
            found["DATA"] = limits.memory
        if self.uid is not None:
            found["NPROC"] = limits.processes
        elif not group or not group.pids:
            # The kernel counts those of the user, and the user is ourselves.
            found["NPROC"] = limits.processes + _threads_of(os.geteuid())
        return found


def _warden_interpreter(*, drops: bool) -> str:
    """Ours, or the system's where the boxes' users cannot come to ours."""
    ours = own_interpreter()
    if not drops or is_open(os.path.dirname(ours)):
        return ours
    if found := which("python3", _SYSTEM_PATH):
        return found
    message = f"the boxes' users cannot come to {ours}, and the system has no python3"
    raise Unlaunchable(message)


def _threads_of(user: int) -> int:
    count = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count
