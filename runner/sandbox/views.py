"""Views of the tree without isolation: a box runs as it would anyway, but over the layers that its job asks for.

The view is mounted over the tree's own path, in mounts that only the box and what it starts have. This costs a
millisecond where a program that sets up a sandbox costs many. Falsification uses it when boxes are not isolated.
"""

from __future__ import annotations

import os

from runner.execute.command import BOOTSTRAP
from runner.execute.launch import Command, Ending, Unlaunchable, plain
from runner.sandbox import namespace
from runner.sandbox.namespace import CannotMount, enter
from runner.sandbox.workspace import Workspace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.executor import Job
    from runner.sandbox.workspace import Desk

_SHARE = 2  # a view may take one part in this many of the machine's memory.


class Views:
    """A launcher whose cells are views and no more. See `runner.execute.launch.Launcher`.

    Args:
        scratch: an existing directory, this run's alone.

    Raises:
        Unlaunchable: this machine, or this user's right on it, does not allow it. Nothing is left.
    """

    layered = True
    confines = False

    def __init__(self, *, scratch: str) -> None:
        try:
            enter()
            self._workspace = Workspace(scratch, group=-1)
        except (CannotMount, OSError) as why:
            raise Unlaunchable(str(why)) from why
        self._room = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _SHARE

    def open(self, job: Job) -> ViewCell:
        """A view for one attempt.

        Raises:
            Unlaunchable: it cannot be made.
        """
        try:
            return ViewCell(self._workspace, job, self._workspace.open(job.root, job.layers, size=self._room, user=-1))
        except (CannotMount, OSError) as why:
            message = f"the view of the tree could not be made: {why}"
            raise Unlaunchable(message) from why

    def close(self) -> None:
        """Leave nothing."""
        self._workspace.close_all()


class ViewCell:
    """One attempt's view. What runs in it is the executor's to end."""

    inside = plain(BOOTSTRAP)
    uid: int | None = None
    gid: int | None = None
    has_network = False
    contained = False
    sockets = ""

    def __init__(self, workspace: Workspace, job: Job, desk: Desk) -> None:
        self.places = desk.places
        self.tree = desk.tree
        self.sockets = desk.sockets
        self._workspace = workspace
        self._job = job
        self._desk = desk
        self._before = -1

    def command(self, argv: Sequence[str], env: Mapping[str, str], cwd: str, sockets: Mapping[int, str]) -> Command:
        """The box as it is. Until `spawned` this process sees the view, so that what it starts does.

        Raises:
            Unlaunchable: the view cannot be mounted over the tree.
        """
        assert not any(sockets.values()), "without a network of its own a box reaches ports, not sockets"
        try:
            self._before = namespace.part()
            namespace.bind(self._desk.tree, self._job.root)
        except CannotMount as why:
            message = f"the view of the tree could not be shown: {why}"
            raise Unlaunchable(message) from why
        return Command(argv, env, cwd=cwd)

    def spawned(self) -> None:
        """See again what we saw before."""
        if self._before >= 0:
            before, self._before = self._before, -1
            namespace.rejoin(before)

    def kill(self, pid: int) -> None:
        """Never asked: it does not confine."""
        raise NotImplementedError

    def is_machinery(self, pid: int) -> bool:  # noqa: ARG002 - as every cell.
        """There is nothing in it but the box."""
        return False

    def ended(self, exit_code: int, said: str) -> Ending:  # noqa: ARG002 - as every cell.
        """The box's own exit code."""
        return Ending(exit_code=exit_code)

    def close(self) -> None:
        """Throw it away, but for what the job keeps."""
        self.spawned()
        self._workspace.close(self._desk, keep=self._job.keep)
