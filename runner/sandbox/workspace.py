"""The view of the tree that each attempt of a box gets: its own to write to, and gone with the attempt.

A view is an overlay: the tree below, a file system in memory of bounded size on top. As root the tree below is a copy,
made once a run, which the boxes' group may write to (it never does: writing goes to the top). Otherwise it is the
user's own tree. Mounted in a namespace that is the runner's alone, so nothing is left when the runner is gone.
"""

from __future__ import annotations

import os

from runner.execute.environment import Places
from runner.execute.files import remove_tree
from runner.sandbox import namespace
from runner.sandbox.copying import copy_layer, copy_tree, lend
from runner.sandbox.namespace import CannotMount
from runner.sandbox.reach import let_through, shared_room

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ROOM_BYTES = 64 << 20


class Desk:
    """One attempt's own.

    `tree` is where this machine has its view, `places` its files; `sockets` is a directory that it may not write to.
    `nested` are directories of the tree that are not in the view but shown as they are: path in the tree -> source.
    """

    __slots__ = ("directory", "nested", "places", "sockets", "tree", "upper")

    def __init__(self, directory: str, nested: Sequence[tuple[str, str]]) -> None:
        self.directory = directory
        self.upper = f"{directory}/upper"
        self.tree = f"{directory}/tree"
        self.sockets = f"{directory}/sockets"
        self.places = Places(f"{directory}/box")
        self.nested = tuple(nested)


class Workspace:
    """Makes desks, and lets files be reached by other users.

    Attributes:
        room: the directory of all of it, which every user may pass through.

    Args:
        scratch: an existing directory, this run's alone.
        group: what the boxes' users have in common; -1 when they are ourselves.

    Raises:
        CannotMount: it cannot be made here.
    """

    def __init__(self, scratch: str, *, group: int) -> None:
        self._scratch = scratch
        self._group = group
        own = f"{scratch}/sandbox"
        self.room = own if group < 0 or let_through(scratch) else shared_room()
        if self.room == own:
            _make(own, 0o711)
        namespace.tmpfs(self.room, size=_ROOM_BYTES, mode=0o711)
        self._count = 0
        self._lowers: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {}
        self._staged: dict[str, str] = {}

    def open(self, root: str, layers: Sequence[str], *, size: int, user: int) -> Desk:
        """A fresh view of the tree at `root` with `layers` on it.

        Args:
            root: absolute.
            layers: directories, the first on top.
            size: bytes that may be written, in the tree and beside it together.
            user: whom it is for; -1 is ourselves.

        Raises:
            CannotMount: it cannot be made.
            OSError: the tree cannot be copied.
        """
        lower, nested = self._lower(root)
        try:
            return self._open(lower, nested, layers, size=size, user=user)
        except CannotMount:
            if lower != root:
                raise
        # Other file systems are mounted in the tree: only root may lay something over those. So it is over a copy.
        self._lowers[root] = (self._copied(root, whole=True)[0], ())
        return self._open(self._lowers[root][0], (), layers, size=size, user=user)

    def _open(
        self, lower: str, nested: Sequence[tuple[str, str]], layers: Sequence[str], *, size: int, user: int
    ) -> Desk:
        self._count += 1
        desk = Desk(f"{self.room}/{self._count}", nested)
        _make(desk.directory, 0o711)
        namespace.tmpfs(desk.directory, size=size, mode=0o711)
        try:
            self._furnish(desk, lower, layers, user)
        except BaseException:
            self._clear(desk)
            raise
        return desk

    def close(self, desk: Desk, *, keep: str = "") -> None:
        """Throw a desk away; first copy what was written to its tree into the directory `keep`."""
        try:
            if keep:
                copy_layer(desk.upper, keep)
        finally:
            self._clear(desk)

    def stage(self, path: str) -> str:
        """A name under which the boxes' users reach a file or directory, whatever lies above it."""
        if self._group < 0:
            return path
        if path not in self._staged:
            place = f"{self.room}/reach-{len(self._staged)}"
            if os.path.isdir(path):
                _make(place, 0o755)
            else:
                os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
            namespace.bind(path, place)
            self._staged[path] = place
        return self._staged[path]

    def library(self, name: str, files: Mapping[str, str | bytes], directories: Mapping[str, str] | None = None) -> str:
        """A directory that every user may read, made once; returns its path.

        Args:
            name: names it.
            files: by path in it: the path of what is copied, or the content itself.
            directories: by path in it: a directory that is seen there. One mount shows all of them to a box.

        Raises:
            CannotMount: one cannot be seen there.
        """
        place = f"{self.room}/{name}"
        if os.path.isdir(place):
            return place
        directories = directories or {}
        for path in ("", *directories, *map(os.path.dirname, files)):
            _make_all(place, path)
        for path, content in files.items():
            goal = f"{place}/{path}"
            with open(goal, "wb") as stream:
                stream.write(_content(content) if isinstance(content, str) else content)
            os.chmod(goal, 0o644)
        for path, source in directories.items():
            namespace.bind(source, f"{place}/{path}")
        return place

    def close_all(self) -> None:
        """Leave nothing."""
        namespace.detach(self.room)
        if self.room.startswith(f"{self._scratch}/"):
            os.rmdir(self.room)

    def _furnish(self, desk: Desk, lower: str, layers: Sequence[str], user: int) -> None:
        status = os.stat(lower)
        os.mkdir(desk.upper)
        os.chmod(desk.upper, status.st_mode & 0o777)
        if self._group >= 0:
            os.chown(desk.upper, -1, self._group)
        names = []
        for number, path in enumerate([*layers, lower]):
            if path != lower and self._group >= 0:
                lend(path, self._group)
            name = f"lower-{number}"
            os.mkdir(f"{desk.directory}/{name}")
            namespace.bind(path, f"{desk.directory}/{name}")
            names.append(name)
        os.mkdir(f"{desk.directory}/work", 0o700)
        os.mkdir(desk.tree)
        _make(desk.sockets, 0o711)
        namespace.overlay(desk.directory, target="tree", lower=names, upper="upper", work="work")
        desk.places.make()
        if user >= 0:
            for place in (desk.places.home, desk.places.tmp, desk.places.artifacts):
                os.chown(place, user, self._group)

    def _lower(self, root: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        """The tree below the views, and directories that are shown in it as they are: path in the tree -> source."""
        if root not in self._lowers:
            if self._group < 0:
                self._lowers[root] = (root, ())
            else:
                copy, nested = self._copied(root)
                self._lowers[root] = (copy, tuple((path, self.stage(f"{root}/{path}")) for path in nested))
        return self._lowers[root]

    def _copied(self, root: str, *, whole: bool = False) -> tuple[str, tuple[str, ...]]:
        copy = f"{self._scratch}/tree-{len(self._lowers)}"
        try:
            return copy, copy_tree(root, copy, group=self._group, leave_out=self._scratch, whole=whole)
        except BaseException:
            remove_tree(copy)  # half a copy would be in the way of the next attempt, and hide why this one failed.
            raise

    def _clear(self, desk: Desk) -> None:
        namespace.detach(desk.directory)  # with all that is mounted in it
        os.rmdir(desk.directory)


def _make(directory: str, mode: int) -> None:
    """Make a directory with exactly this mode, whatever our umask is."""
    os.mkdir(directory)
    os.chmod(directory, mode)


def _make_all(place: str, path: str) -> None:
    """Make the directories of a path below a place that everybody may read."""
    here = place
    for name in ("", *path.split("/")):
        here = f"{here}/{name}" if name else here
        if not os.path.isdir(here):
            _make(here, 0o755)


def _content(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()
