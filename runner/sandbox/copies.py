"""What the rungs that cannot mount give each attempt: a copy of the tree, places, a user, a control group.

A copy is not at the tree's own path by itself, and its size is not bounded but by the disk's.
"""

from __future__ import annotations

import os
import shutil

from runner.execute.command import BOOTSTRAP
from runner.execute.environment import LIBRARY, Places
from runner.execute.files import remove_tree
from runner.execute.launch import Ending, Unlaunchable
from runner.sandbox import cgroup, warden
from runner.sandbox.copying import copy_tree
from runner.sandbox.ending import complaint, ending_of
from runner.sandbox.grace import Grace
from runner.sandbox.namespace import CannotMount
from runner.sandbox.reach import reachable_room
from runner.sandbox.slots import NoSlot, Slots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from runner.executor import Job
    from runner.isolation import Limits
    from runner.sandbox.cgroup import Group

_OPEN_FILES = 65536


class Copies:
    """Makes and takes back copies.

    Attributes:
        own: a directory with the runner's own files, which every user can read.
        drops: whether boxes run as users of their own.
        group: the group of those; None when they are ourselves.
        grace: to be begun before a process enters a copy's control group.

    Args:
        scratch: an existing directory, this run's alone.

    Raises:
        Unlaunchable: there is no place for them. Nothing is left.
    """

    def __init__(self, scratch: str) -> None:
        self.drops = os.geteuid() == 0
        self._count = 0
        self._groups = cgroup.find()
        self.grace = Grace(self._groups.own if self._groups else "")
        try:
            self._slots = Slots() if self.drops else None
            self._room = reachable_room(scratch) if self.drops else f"{scratch}/sandbox"
            os.mkdir(self._room, 0o711)
        except (CannotMount, NoSlot, OSError) as why:
            raise Unlaunchable(str(why)) from why
        self.group = self._slots.group if self._slots else None
        self.own = f"{self._room}/own"
        _furnish(self.own)

    def open(self, job: Job, limits: Limits, *, grouped: bool = True) -> Copy:
        """A copy of the job's tree.

        Args:
            job: whose.
            limits: of its control group.
            grouped: whether it is to have one.

        Raises:
            Unlaunchable: there is no user left, or it cannot be made.
        """
        self._count += 1
        home = f"{self._room}/{self._count}"
        user = -1
        try:
            user = self._slots.take() if self._slots else -1
            os.mkdir(home, 0o711)
            shown = copy_tree(job.root, f"{home}/tree", group=-1 if self.group is None else self.group)
            group = cgroup.enter(f"c{self._count}", limits, self._groups) if grouped else None
        except (NoSlot, OSError) as why:
            self._take_back(user, home)
            message = f"the copy of the tree could not be made: {why}"
            raise Unlaunchable(message) from why
        lent = [path for path, writable in job.binds.items() if writable]
        return Copy(home, user=user, owner=self.group, shown=shown, group=group, lent=lent)

    def close(self, copy: Copy) -> None:
        """Throw one away."""
        copy.hang_up()
        if copy.group:
            copy.group.remove()
        self._take_back(copy.user, copy.home)

    def close_all(self) -> None:
        """Leave nothing."""
        self.grace.close()
        remove_tree(self._room)
        if self._slots:
            self._slots.close()

    def _take_back(self, user: int, home: str) -> None:
        remove_tree(home)
        if self._slots and user >= 0:
            self._slots.give(user)


class Copy:
    """One attempt's own: `tree`, `places`, a directory for `sockets`, a user (-1: ourselves), perhaps a `group`.

    `shown` are directories that were too large to copy: they are empty in `tree`. `lent` are further ones that the user
    may write to. `status` is the descriptor from which
    a warden's word is read; whoever starts the warden sets it.
    """

    def __init__(
        self,
        home: str,
        *,
        user: int,
        owner: int | None,
        shown: tuple[str, ...],
        group: Group | None,
        lent: Sequence[str] = (),
    ) -> None:
        self.home = home
        self.tree = f"{home}/tree"
        self.sockets = f"{home}/sockets"
        self.places = Places(f"{home}/box")
        self.user = user
        self.shown = shown
        self.group = group
        self.status = -1
        os.mkdir(self.sockets, 0o711)
        self.places.make()
        if user >= 0 and owner is not None:
            for place in (self.places.home, self.places.tmp, self.places.artifacts, self.tree, *lent):
                os.chown(place, user, owner)

    @property
    def uid(self) -> int | None:
        """The user; None for ourselves."""
        return self.user if self.user >= 0 else None

    def hang_up(self) -> None:
        """Listen to no warden any more."""
        if self.status >= 0:
            os.close(self.status)
            self.status = -1

    def ending(self, told: bytes, exit_code: int, *, used_up: bool, said: str = "") -> Ending:
        """The box's own ending, as its warden told; without a word of it the sandbox has failed, and `said` why."""
        problem = "used more than its limit of memory" if used_up else ""
        status = warden.read_status(told)
        if status is None:
            why = problem or f"the sandbox failed: {complaint(said, exit_code)}"
            return Ending(exit_code=exit_code, problem=why, unstarted=not used_up)
        return ending_of(status, problem)


def rlimits(limits: Limits) -> dict[str, int]:
    """What each process may use, by name, but for memory and the number of processes."""
    return {"FSIZE": limits.workspace, "CORE": 0, "NOFILE": _OPEN_FILES}


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
