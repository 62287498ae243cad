"""Controls laid over the tree at its own path: a directory with what differs, and nothing is copied.

The box finds the sabotaged file where the tree has always been, so an editable install, an absolute path and a compiled
path all lead to it. What a box writes is thrown away with its view of the tree.
"""

from __future__ import annotations

import os
import stat

from runner.controls import Applied, Stale, apply, check_changed, imported_from, imported_instead
from runner.execute.files import remove_tree
from runner.proof import Answer
from runner.scene import Look, check_not_itself, check_step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from runner.executor import Job
    from runner.model import Attempt, Box, Control, Suite
    from runner.scene import Jobs, Runs

SMALL = 1 << 20
"""Bytes of a file whose edit is small."""

_BYTECODE = "__pycache__"
_TREE_KINDS = frozenset({"edit", "patch", "run"})
_RECORD = ".interlock-bytecode"  # in the tree of one run, which is thrown away.


class Layers:
    """The tree, and room for what is laid over it. Needs an executor whose `layered` is true.

    Args:
        suite: the repository; its tree is only read.
        jobs: makes the jobs.
        scratch: an existing directory for the layers.
        memory: one that is in memory, for small ones: a busy disk takes longer to make and remove one than a box runs.
    """

    where = ""

    def __init__(self, suite: Suite, jobs: Jobs, *, scratch: str, memory: str = "") -> None:
        self.root = suite.root
        self.jobs = jobs
        self._scratch = os.path.realpath(scratch)
        self._memory = memory or self._scratch
        self._made = 0

    def scene(self, box: Box, control: Control, key: object) -> LayerScene:
        """Nothing is prepared ahead: a layer is made in no time."""
        return LayerScene(self, box, control, key)

    def baseline(self, box: Box, key: object) -> Job:
        """A healthy run of any box: the tree as it is."""
        return self.jobs.of(box, root=self.root, key=key)

    def directory(self, name: str, *, small: bool = False) -> str:
        """A new directory."""
        self._made += 1
        path = os.path.join(self._memory if small else self._scratch, f"{name}-{self._made}")
        os.mkdir(path, 0o755)
        return path

    def close(self) -> None:
        """Nothing is kept."""


class LayerScene:
    """One control as a layer. See `runner.scene.Scene`."""

    def __init__(self, ground: Layers, box: Box, control: Control, key: object) -> None:
        self._ground = ground
        self._box = box
        self._control = control
        self._key = key
        self._layer = ""
        self._applied = Applied()

    def is_ready(self) -> bool:
        """There is nothing to wait for."""
        return True

    def wait(self) -> None:
        """There is nothing to wait for."""

    def discard(self) -> None:
        """Remove the layer."""
        if self._layer:
            remove_tree(self._layer)

    def sabotage(self) -> Runs:
        """Make the layer: an edit writes its one file, a command runs over the tree and what it changes is kept."""
        tree, cwd = self._ground.root, self._ground.jobs.cwd(self._box)
        if self._control.kind in _TREE_KINDS:
            self._layer = self._ground.directory("layer", small=self._is_small(os.path.join(tree, cwd)))
        self._applied = apply(self._control, tree, cwd, layer=self._layer)
        check_not_itself(self._box, cwd, self._applied)
        if step := self._applied.step:
            attempt = yield self._ground.jobs.step(
                self._box, self._control, step, root=tree, key=self._key, keep=self._layer
            )
            check_step(self._control, attempt)
            check_changed(self._applied, tree, layer=self._layer)
        if self._layer:
            _forget_bytecode(self._layer, tree)

    def healthy(self, box: Box) -> Job:
        """The tree as it is."""
        return self._ground.baseline(box, self._key)

    def sabotaged(self, box: Box) -> Job:
        """The tree under the layer."""
        return self._job(box)

    def look_again(self, reason: str) -> Generator[Job, Attempt, Look]:
        """Did the command change anything? Did Python take the module from the tree, or an installed copy of it?

        Python writes its bytecode to a directory of its own, which shows where each module was imported from. This is a
        third run, and only for a blind box: without the standard library's bytecode it is a slow one.
        """
        changed = list(_files(self._layer)) if self._layer else []
        if self._control.kind == "run" and not changed:
            raise Stale(self._control.where, "its command changed nothing in the tree, and the box stayed green")
        modules = [file for file in self._applied.edited or changed if file.endswith(".py")]
        if not modules:
            return Look(Answer.BLIND, reason, 0.0)
        keep = self._ground.directory("look")
        try:
            recording = {"PYTHONPYCACHEPREFIX": f"{self._ground.root}/{_RECORD}", "PYTHONDONTWRITEBYTECODE": ""}
            attempt = yield self._job(self._box, keep=keep, **recording)
            cache = os.path.join(keep, _RECORD)
            for file in modules:
                instead = imported_instead(cache, self._ground.root, file)
                if instead and not imported_from(cache, self._ground.root, file):
                    why = f"{file} was not imported, but {instead} was: what is tested is not this tree"
                    return Look(Answer.UNPROVEN, why, attempt.seconds)
            return Look(Answer.BLIND, reason, attempt.seconds)
        finally:
            remove_tree(keep)

    def _is_small(self, directory: str) -> bool:
        if self._control.kind != "edit":
            return False
        try:
            return os.stat(os.path.join(directory, self._control.spec["file"])).st_size <= SMALL
        except OSError:
            return True  # there is nothing to edit.

    def _job(self, box: Box, *, keep: str = "", **env: str) -> Job:
        return self._ground.jobs.of(
            box,
            root=self._ground.root,
            key=self._key,
            env={**self._applied.env, **env},
            layer=self._layer,
            keep=keep,
            faults=self._applied.faults,
        )


def _files(layer: str) -> Iterator[str]:
    """What a layer changes, relative to the tree; directories alone are not counted, removed files are."""
    for directory, _, files in os.walk(layer):
        inside = os.path.relpath(directory, layer)
        if os.path.basename(directory) != _BYTECODE:
            yield from (os.path.normpath(os.path.join(inside, name)) for name in files)


def _forget_bytecode(layer: str, tree: str) -> None:
    """Hide what was compiled of the modules that the layer changes: Python may trust it whatever the source says.

    An empty file is no bytecode: Python compiles the source again. A command that made the layer may be hostile, so no
    link of it is followed; nor one of the tree that leads out of it, whose names would be told to the next box.
    """
    real = os.path.realpath(tree)
    for file in [name for name in _files(layer) if name.endswith(".py")]:
        compiled = os.path.join(os.path.dirname(file), _BYTECODE)
        stem = os.path.basename(file).removesuffix(".py") + "."
        cache = os.path.realpath(os.path.join(tree, compiled))
        if not cache.startswith(real + os.sep):
            continue
        try:
            stale = [name for name in os.listdir(cache) if name.startswith(stem)]
        except OSError:
            continue
        above = os.path.join(layer, compiled)
        if not os.path.lexists(above):
            os.mkdir(above)
            os.chmod(above, stat.S_IMODE(os.stat(cache).st_mode))
        elif os.path.islink(above):
            continue
        for name in stale:
            try:
                os.close(
                    os.open(os.path.join(above, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
                )
            except FileExistsError:
                continue
