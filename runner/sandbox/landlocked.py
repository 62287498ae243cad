"""Starts boxes on the rung without namespaces: each in a copy of the tree, confined by Landlock and seccomp.

For members' code on machines that allow no more. The copy is not at the tree's own path, and has no size of its own.
"""

from __future__ import annotations

import os
import shutil

from runner.execute.command import BOOTSTRAP, which
from runner.execute.environment import LIBRARY, Places
from runner.execute.files import remove_tree
from runner.execute.launch import Command, Ending, Inside, Unlaunchable
from runner.sandbox import cgroup, landlock, warden
from runner.sandbox.copying import copy_tree
from runner.sandbox.ending import ending_of
from runner.sandbox.machine import own_interpreter, system, toolchains
from runner.sandbox.namespace import CannotMount
from runner.sandbox.slots import NoSlot, Slots
from runner.sandbox.view import Mount, View
from runner.sandbox.workspace import is_open, reachable_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.executor import Job
    from runner.isolation import Limits
    from runner.sandbox.cgroup import Group

_STATUS_LIMIT = 65536
_OPEN_FILES = 65536
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
        self.mounts = [Mount(place, place) for place in toolchains(path.split(":"), self.system.paths)]
        self._groups = cgroup.find()
        self._count = 0
        self._slots: Slots | None = None
        try:
            self._slots = Slots() if os.geteuid() == 0 else None
            self._room = reachable_room(scratch) if self._slots else f"{scratch}/sandbox"
            self.interpreter = self._warden_interpreter()
            os.mkdir(self._room, 0o711)
        except (CannotMount, NoSlot, OSError) as why:
            raise Unlaunchable(str(why)) from why
        self.own = f"{self._room}/own"
        _furnish(self.own)

    @property
    def group(self) -> int | None:
        """The group of the users that boxes run as; None when they are ourselves."""
        return self._slots.group if self._slots else None

    def open(self, job: Job) -> LandlockCell:
        """A cell for one attempt.

        Raises:
            Unlaunchable: there is no user left, or its copy of the tree cannot be made.
        """
        self._count += 1
        home = f"{self._room}/{self._count}"
        user = -1
        try:
            user = self._slots.take() if self._slots else -1
            os.mkdir(home, 0o711)
            shown = copy_tree(job.root, f"{home}/tree", group=-1 if self.group is None else self.group)
            for path in shown:  # what is too large to copy is seen in its place, and cannot be written.
                os.rmdir(f"{home}/tree/{path}")
                os.symlink(f"{job.root}/{path}", f"{home}/tree/{path}")
            group = cgroup.enter(f"l{self._count}", self.limits, self._groups)
        except (NoSlot, OSError) as why:
            self.give_back(user, home)
            message = f"the copy of the tree could not be made: {why}"
            raise Unlaunchable(message) from why
        mounts = [Mount(f"{job.root}/{path}", path) for path in shown]
        return LandlockCell(self, job, home, user, shown=mounts, group=group)

    def give_back(self, user: int, home: str) -> None:
        """An attempt is over: its user is free, its directory goes."""
        remove_tree(home)
        if self._slots and user >= 0:
            self._slots.give(user)

    def close(self) -> None:
        """Leave nothing."""
        remove_tree(self._room)
        if self._slots:
            self._slots.close()

    def _warden_interpreter(self) -> str:
        """Ours, or the system's where the boxes' users cannot come to ours."""
        ours = own_interpreter()
        if not self._slots or is_open(os.path.dirname(ours)):
            self.mounts += [Mount(place, place) for place in toolchains([os.path.dirname(ours)], self.system.paths)]
            return ours
        if found := which("python3", _SYSTEM_PATH):
            return found
        message = f"the boxes' users cannot come to {ours}, and the system has no python3"
        raise CannotMount(message)


class LandlockCell:
    """One attempt's copy of the tree, and what keeps it there."""

    has_network = False
    contained = False

    def __init__(
        self, launcher: LandlockLauncher, job: Job, home: str, user: int, *, shown: Sequence[Mount], group: Group | None
    ) -> None:
        self.tree = f"{home}/tree"
        self.sockets = f"{home}/sockets"
        self.places = Places(f"{home}/box")
        self.uid = user if user >= 0 else None
        self.gid = launcher.group
        self.inside = Inside(library=f"{launcher.own}/lib", bootstrap=f"{launcher.own}/pytest_bootstrap.py")
        self._home = home
        self._launcher = launcher
        self._job = job
        self._shown = shown
        self._group = group
        self._fds: list[int] = []
        self._status = -1
        os.mkdir(self.sockets, 0o711)
        self.places.make()
        if self.uid is not None and self.gid is not None:
            for place in (self.places.home, self.places.tmp, self.places.artifacts, self.tree):
                os.chown(place, self.uid, self.gid)

    def command(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, sockets: Mapping[int, str]) -> Command:
        """The command line that confines a warden; the box's environment is among the warden's orders."""
        self._status, writing = os.pipe()
        os.set_blocking(self._status, False)
        orders = os.memfd_create("orders", os.MFD_CLOEXEC)
        self._fds = [writing, orders]
        view = self._view(argv[0], sockets)
        words = [landlock.relocated(word, view) for word in argv]
        # What it is given is reached by the machine's own loopback: nothing is to be forwarded.
        content = warden.Orders(words, env, limits=self._rlimits(), alone=False).encode()
        os.write(orders, content)
        command = (self._launcher.interpreter, "-I", "-S", f"{self._launcher.own}/warden.py", str(orders), str(writing))
        return Command(landlock.argv(view, command, {}, cwd, system=self._launcher.system), {}, self._fds)

    def spawned(self) -> None:
        """Nobody here writes what we wait for."""
        for fd in self._fds:
            os.close(fd)
        self._fds = []

    def kill(self, pid: int) -> None:
        """End what its control group holds; the executor ends its tree as it does without a cell."""
        del pid
        if self._group:
            self._group.kill()

    def is_machinery(self, pid: int) -> bool:
        """The warden, which ends when the box does."""
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                return stream.read().startswith(os.fsencode(f"{self._launcher.interpreter}\0-I\0-S\0"))
        except OSError:
            return False

    def ended(self, exit_code: int, said: str) -> Ending:
        """The box's own ending, from the warden; without a word of it the sandbox has failed."""
        del said
        if self._group:
            self._group.kill()
        try:
            status = warden.read_status(os.read(self._status, _STATUS_LIMIT))
        except BlockingIOError:
            status = None
        used_up = self._group is not None and self._group.oom_killed()
        problem = "used more than its limit of memory" if used_up else ""
        if status is None:
            why = problem or f"the sandbox failed: it ended with {exit_code}"
            return Ending(exit_code=exit_code, problem=why, unstarted=not used_up)
        return ending_of(status, problem)

    def close(self) -> None:
        """Throw it away."""
        self.spawned()
        if self._status >= 0:
            os.close(self._status)
            self._status = -1
        if self._group:
            self._group.remove()
        self._launcher.give_back(-1 if self.uid is None else self.uid, self._home)

    def _view(self, program: str, sockets: Mapping[int, str]) -> View:
        launcher = self._launcher
        own = [Mount(launcher.own, launcher.own)]
        if launcher.own_choice:
            asked = toolchains([os.path.dirname(program)], [*launcher.system.paths, self._job.root])
            own += [Mount(place, place) for place in asked]
        return View(
            tree=self.tree,
            inside=self._job.root,
            places=self.places.home,
            limits=launcher.limits,
            mounts=[*launcher.mounts, *self._shown, *own],
            sockets=sockets,
            uid=self.uid,
            gid=self.gid,
            cgroups=self._group.procs if self._group else (),
        )

    def _rlimits(self) -> dict[str, int]:
        limits = self._launcher.limits
        found = {"FSIZE": limits.workspace, "CORE": 0, "NOFILE": _OPEN_FILES}
        if not self._group or not self._group.memory:
            found["DATA"] = limits.memory
        if self.uid is not None:
            found["NPROC"] = limits.processes
        elif not self._group or not self._group.pids:
            # The kernel counts those of the user, and the user is ourselves.
            found["NPROC"] = limits.processes + _threads_of(os.geteuid())
        return found


def _furnish(directory: str) -> None:
    """Copies of the runner's own files, which may lie where the boxes' users do not come."""
    os.mkdir(directory, 0o755)
    shutil.copytree(LIBRARY, f"{directory}/lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copyfile(BOOTSTRAP, f"{directory}/pytest_bootstrap.py")
    shutil.copyfile(warden.__file__, f"{directory}/warden.py")
    for here, _, names in os.walk(directory):
        os.chmod(here, 0o755)  # noqa: S103 - to be read by every user.
        for name in names:
            os.chmod(f"{here}/{name}", 0o644)


def _threads_of(user: int) -> int:
    count = 0
    for name in os.listdir("/proc"):
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:
                count += len(os.listdir(f"/proc/{name}/task"))
        except OSError:
            continue
    return count
