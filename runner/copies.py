"""Controls done to copies of the tree: the way where nothing can be laid over the tree itself.

The healthy runs share one copy, as the boxes of a run share a tree; each control has one of its own. Installed packages
may lead a box back to the original, which is found out when it stays green.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

from runner.controls import Applied, apply, check_changed, import_path, imported_from
from runner.execute.files import remove_tree
from runner.proof import Answer
from runner.scene import Look, check_not_itself, check_step
from runner.tree_copy import copy_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from concurrent.futures import Future

    from runner.executor import Job
    from runner.model import Attempt, Box, Control, Suite
    from runner.scene import Jobs, Runs


class Copies:
    """The original tree, one healthy copy that all boxes share, and room for more.

    Args:
        suite: the repository; its tree is only read.
        jobs: makes the jobs.
        scratch: an existing directory for the copies.
        python_path: the PYTHONPATH that boxes would inherit.
    """

    def __init__(self, suite: Suite, jobs: Jobs, *, scratch: str, python_path: str = "") -> None:
        self.original = os.path.realpath(suite.root)
        self.jobs = jobs
        self.python_path = python_path
        self._scratch = os.path.realpath(scratch)
        # One thread copies and removes trees. It starts no process and changes no directory.
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="copies")
        self._copies = 0
        self.healthy = self.copy()
        lacking = ", which has no .git" if os.path.exists(os.path.join(self.original, ".git")) else ""
        self.where = f" (in a copy of the tree{lacking})"

    def scene(self, box: Box, control: Control, key: object) -> CopyScene:
        """Begin to copy the tree for a control."""
        return CopyScene(self, box, control, key)

    def baseline(self, box: Box, key: object) -> Job:
        """A healthy run of any box; waits for the healthy copy."""
        self.healthy.linked.result()
        return self.jobs.of(box, root=self.healthy.tree, key=key)

    def copy(self) -> Copy:
        """Begin another copy, named like the original in case a tool looks at that."""
        self._copies += 1
        parent = os.path.join(self._scratch, f"copy-{self._copies}")
        os.mkdir(parent)
        tree = os.path.join(parent, os.path.basename(self.original) or "tree")
        return Copy(tree, self._pool.submit(copy_tree, self.original, tree))

    def discard(self, copy: Copy) -> None:
        """Remove a copy in the background."""
        self._pool.submit(remove_tree, os.path.dirname(copy.tree))

    def close(self) -> None:
        """Wait for the copy that is being made or removed; drop the others."""
        self._pool.shutdown(cancel_futures=True)


class Copy:
    """A copy of the tree that is there, or on its way. `linked`: see `copy_tree`."""

    def __init__(self, tree: str, linked: Future[tuple[str, ...]]) -> None:
        self.tree = tree
        self.linked = linked


class CopyScene:
    """A copy of the tree with one control done to it. See `runner.scene.Scene`."""

    def __init__(self, ground: Copies, box: Box, control: Control, key: object) -> None:
        self._ground = ground
        self._box = box
        self._control = control
        self._key = key
        self._cwd = ground.jobs.cwd(box)
        self._copy = ground.copy()
        self._applied = Applied()

    def is_ready(self) -> bool:
        """The trees are there, or cannot be made."""
        return self._copy.linked.done() and self._ground.healthy.linked.done()

    def wait(self) -> None:
        """Block until they are."""
        self._ground.healthy.linked.exception()
        self._copy.linked.exception()

    def discard(self) -> None:
        """Remove the copy in the background."""
        self._ground.discard(self._copy)

    def sabotage(self) -> Runs:
        """Apply the control to the copy."""
        self._ground.healthy.linked.result()
        self._copy.linked.result()
        self._applied = apply(self._control, self._copy.tree, self._cwd)
        check_not_itself(self._box, self._cwd, self._applied)
        if step := self._applied.step:
            tree = self._copy.tree
            attempt = yield self._ground.jobs.step(self._box, self._control, step, root=tree, key=self._key)
            check_step(self._control, attempt)
            check_changed(self._applied, tree)

    def healthy(self, box: Box) -> Job:
        """In the healthy copy. Both runs get the same environment, but for where the tree is."""
        return self._job(box, self._ground.healthy.tree, {})

    def sabotaged(self, box: Box) -> Job:
        """In this copy."""
        return self._job(box, self._copy.tree, self._applied.env, self._applied.faults)

    def look_again(self, reason: str) -> Generator[Job, Attempt, Look]:
        """Did it look at the copy at all? An installed package may have led it to the original.

        Python writes its bytecode to a directory of its own, which shows where each module was imported from. This is a
        third run, and only for a blind box: without the standard library's bytecode it is a slow one.
        """
        seconds = 0.0
        modules = [file for file in self._applied.edited if file.endswith(".py")]
        if modules:
            cache = os.path.join(os.path.dirname(self._copy.tree), "bytecode")
            recording = {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
            attempt = yield self._job(self._box, self._copy.tree, {**self._applied.env, **recording})
            seconds = attempt.seconds
            for file in modules:
                if imported_from(cache, self._ground.original, file):
                    why = f"{file} was imported from the original tree and not from the sabotaged copy"
                    return Look(Answer.UNPROVEN, why, seconds)
        linked = self._copy.linked.result()
        shared = f" (shared with the original tree: {', '.join(linked)})" if linked else ""
        return Look(Answer.BLIND, reason + shared, seconds)

    def _job(self, box: Box, tree: str, env: Mapping[str, str], faults: Mapping[str, str] | None = None) -> Job:
        path = import_path(
            tree,
            self._cwd,
            edited=list(self._applied.edited),
            anything=self._control.kind == "run",
            inherited=box.env.get("PYTHONPATH", self._ground.python_path),
            original=self._ground.original,
        )
        own = {"PYTHONPATH": path} if path else {}
        return self._ground.jobs.of(box, root=tree, key=self._key, env={**own, **env}, faults=faults)
