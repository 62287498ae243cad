"""Starts boxes on the container rung: each in a container of its own, with a copy of the tree at the tree's own path.

The warden in it is run by the image's python3.
"""

from __future__ import annotations

import os

from runner.execute.launch import Command, Inside, Unlaunchable
from runner.sandbox import container, warden
from runner.sandbox.copies import Copies, rlimits
from runner.sandbox.machine import system, toolchains
from runner.sandbox.probe import IMAGE, engine_of, home_of
from runner.sandbox.trial import attempt
from runner.sandbox.view import Mount, View

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.execute.launch import Ending
    from runner.executor import Job
    from runner.isolation import Limits
    from runner.sandbox.copies import Copy

HOME = "/run/interlock"
"""Where a box sees the runner's own files."""
_PATIENCE = 60.0
_OUT_OF_MEMORY = 137


class ContainerLauncher:
    """The launcher of the container rung.

    Args:
        scratch: an existing directory, this run's alone.
        limits: of one box.
        path: the PATH that boxes get; what of it is no part of an image is made to be seen.
        environ: whose PATH the engine is looked up on, and which names the image.

    Raises:
        Unlaunchable: it does not work here. Nothing is left.
    """

    layered = False
    confines = True

    def __init__(self, *, scratch: str, limits: Limits, path: str, environ: Mapping[str, str]) -> None:
        self.limits = limits
        self.image = environ.get(IMAGE, "")
        self.engine = engine_of(environ.get("PATH", os.defpath))
        if not self.engine or not self.image:
            raise Unlaunchable("there is no container engine, or no image is named")
        self.env = {"PATH": environ.get("PATH", os.defpath), **home_of()}
        self.mounts = [Mount(place, place) for place in toolchains(path.split(":"), system(path).paths)]
        self.copies = Copies(scratch)

    def open(self, job: Job) -> ContainerCell:
        """A cell for one attempt.

        Raises:
            Unlaunchable: there is no user left, or its copy of the tree cannot be made.
        """
        return ContainerCell(self, job, self.copies.open(job, self.limits, grouped=False))

    def close(self) -> None:
        """Leave nothing."""
        self.copies.close_all()


class ContainerCell:
    """One attempt's container."""

    has_network = True
    contained = True
    inside = Inside(library=f"{HOME}/lib", bootstrap=f"{HOME}/pytest_bootstrap.py")

    def __init__(self, launcher: ContainerLauncher, job: Job, copy: Copy) -> None:
        self.tree = copy.tree
        self.sockets = copy.sockets
        self.places = copy.places
        self.uid = copy.uid
        self.gid = launcher.copies.group
        self._launcher = launcher
        self._job = job
        self._copy = copy
        # The engine's daemon inherits no descriptors, so warden and runner speak through files.
        self._desk = f"{copy.home}/warden"
        self._name = f"interlock-{os.getpid()}-{os.path.basename(copy.home)}"

    def command(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, sockets: Mapping[int, str]) -> Command:
        """The engine's command line; the box's environment is among the warden's orders."""
        launcher, limits = self._launcher, self._launcher.limits
        orders = warden.Orders(argv, env, limits=rlimits(limits), sockets=sockets)
        self._write("orders", orders.encode(), mode=0o400)
        self._write("status", b"", mode=0o600)
        words = ("python3", "-I", "-S", f"{HOME}/warden.py", f"{self._desk}/orders", f"{self._desk}/status")
        line = container.argv(
            self._view(sockets),
            words,
            {},
            cwd,
            engine=launcher.engine,
            image=launcher.image,
            name=self._name,
            seconds=int(self._job.box.timeout + _PATIENCE),
        )
        return Command(line, launcher.env)

    def spawned(self) -> None:
        """Nothing of it is open here."""

    def kill(self, pid: int) -> None:
        """End the container; the engine's command ends with it."""
        del pid
        attempt(container.kill_argv(self._launcher.engine, self._name), seconds=_PATIENCE, env=self._launcher.env)

    def is_machinery(self, pid: int) -> bool:
        """All that is seen of it from outside: the engine's command."""
        del pid
        return True

    def ended(self, exit_code: int, said: str) -> Ending:
        """The box's own ending, from the warden; without a word of it the container has failed."""
        with open(f"{self._desk}/status", "rb") as stream:
            told = stream.read()
        ending = self._copy.ending(told, exit_code, used_up=not told and exit_code == _OUT_OF_MEMORY)
        last = said.strip().rpartition("\n")[2]
        if ending.unstarted and not told and last:
            ending.problem = f"the sandbox failed: {last}"
        return ending

    def close(self) -> None:
        """Throw it away."""
        self._launcher.copies.close(self._copy)

    def _view(self, sockets: Mapping[int, str]) -> View:
        launcher, copy, root = self._launcher, self._copy, self._job.root
        shown = [Mount(f"{root}/{path}", f"{root}/{path}") for path in copy.shown]
        lent = [Mount(path, path, writable=writable) for path, writable in self._job.binds.items()]
        return View(
            tree=copy.tree,
            inside=root,
            places=copy.places.home,
            limits=launcher.limits,
            mounts=[
                *launcher.mounts,
                Mount(launcher.copies.own, HOME),
                Mount(self._desk, self._desk, writable=True),
                *shown,
                *lent,
            ],
            sockets=sockets,
            uid=self.uid,
            gid=self.gid,
        )

    def _write(self, name: str, content: bytes, *, mode: int) -> None:
        """A file for the warden, which is the box's user."""
        if not os.path.isdir(self._desk):
            os.mkdir(self._desk, 0o711)
        path = f"{self._desk}/{name}"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
            stream.write(content)
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)
