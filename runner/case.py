"""One box on its way to an answer: the copies it needs, the runs it asks for, and what they show.

A case is a conversation: `steps` yields the job that it wants run next, is sent the attempt, and returns the proof.
"""

from __future__ import annotations

import os

from runner.controls import (
    Applied,
    NotInThisVersion,
    Stale,
    apply,
    check_changed,
    copy_tree,
    import_path,
    imported_from,
)
from runner.execute.files import remove_tree
from runner.executor import Job
from runner.model import Box, Verdict
from runner.proof import Answer, Proof, judge, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from concurrent.futures import Executor as Pool
    from concurrent.futures import Future

    from runner.model import Attempt, Suite

    Steps = Generator[Job, Attempt, Proof]


class EditsItself(Exception):
    """The control breaks the box instead of what the box checks."""


class Ground:
    """Where boxes are falsified: the original tree, one healthy copy that all boxes share, and room for more.

    Args:
        suite: the repository; its tree is only read.
        scratch: an existing directory for the copies.
        pool: copies and removes trees; nothing else is asked of it.
        setup_dirs: where each suite's `setup:` left its result.
        python_path: the PYTHONPATH that boxes would inherit.
    """

    def __init__(
        self,
        suite: Suite,
        *,
        scratch: str,
        pool: Pool,
        setup_dirs: Mapping[str, str] | None = None,
        python_path: str = "",
    ) -> None:
        self.original = os.path.realpath(suite.root)
        self.python_path = python_path
        self._roots = suite.roots
        self._setup_dirs = dict(setup_dirs or {})
        self._scratch = os.path.realpath(scratch)
        self._pool = pool
        self._copies = 0
        self.healthy = self.copy()

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

    def env(self, box: Box) -> dict[str, str]:
        """What every run of the box gets."""
        suite = box.id.suite
        return {"SETUP_DIR": self._setup_dirs[suite]} if suite in self._setup_dirs else {}

    def cwd(self, box: Box) -> str:
        """The suite's directory, relative to a tree."""
        return os.path.normpath(self._roots.get(box.id.suite, "."))


class Copy:
    """A copy of the tree that is there, or on its way. `linked`: see `copy_tree`."""

    def __init__(self, tree: str, linked: Future[tuple[str, ...]]) -> None:
        self.tree = tree
        self.linked = linked


class Case:
    """Falsifies one box that has a control."""

    def __init__(self, box: Box, ground: Ground) -> None:
        assert box.control is not None
        self.box = box
        self.steps = self._falsify()
        self._control = box.control
        self._ground = ground
        self._cwd = ground.cwd(box)
        self._copy = ground.copy()
        self._applied = Applied()

    def is_copied(self) -> bool:
        """The trees are there, or cannot be made."""
        return self._copy.linked.done() and self._ground.healthy.linked.done()

    def wait(self) -> None:
        """Block until `is_copied`."""
        self._ground.healthy.linked.exception()
        self._copy.linked.exception()

    def discard(self) -> None:
        """The copy is needed no more."""
        self._ground.discard(self._copy)

    def _falsify(self) -> Steps:
        try:
            yield from self._sabotage()
        except Stale as why:
            return Proof(self.box, Answer.STALE, str(why))
        except (NotInThisVersion, EditsItself) as why:
            return Proof(self.box, Answer.UNPROVEN, str(why))
        except OSError as why:
            return Proof(self.box, Answer.UNPROVEN, f"the tree could not be copied: {why}")
        # Both runs get the same environment, but for where the tree is: what differs is the sabotage alone.
        healthy = self._ground.healthy.tree
        baseline = yield self._job(healthy, self._environment(healthy))
        if problem := refused(baseline):
            hint = f" (in a copy of the tree{self._lacking()})"
            return Proof(self.box, Answer.UNPROVEN, problem + hint, baseline=baseline, seconds=baseline.seconds)
        sabotaged = yield self._job(self._copy.tree, self._sabotaged_environment())
        proof = judge(self.box, baseline, sabotaged)
        if proof.answer is Answer.BLIND:
            return (yield from self._second_look(proof))
        return proof

    def _sabotage(self) -> Generator[Job, Attempt, None]:
        """Apply the control.

        Raises:
            Stale: it does not fit.
            NotInThisVersion: it cannot be applied.
            EditsItself: it changes the box and nothing else.
            OSError: there is no copy to apply it to.
        """
        self._ground.healthy.linked.result()
        self._copy.linked.result()
        self._applied = apply(self._control, self._copy.tree, self._cwd)
        if self.box.file and set(self._applied.edited) == {os.path.normpath(os.path.join(self._cwd, self.box.file))}:
            raise EditsItself("the control edits the box itself, which shows nothing about what it checks")
        step = self._applied.step
        if step is None:
            return
        box = Box(
            id=self.box.id,
            tier=self.box.tier,
            title=f"control of {self.box.title}",
            kind="command",
            source=self._control.where,
            run=step.command,
            timeout=self.box.timeout,
            slow=self.box.timeout,
            env=self.box.env,
        )
        env = {**self._ground.env(self.box), **step.env}
        attempt = yield Job(box=box, root=self._copy.tree, cwd=step.cwd, env=env, key=self)
        if attempt.outcome is not Verdict.PASSED:
            said = attempt.output.strip().splitlines()
            raise Stale(self._control.where, f"its command did not succeed: {said[-1] if said else attempt.reason}")
        check_changed(self._applied, self._copy.tree)

    def _second_look(self, proof: Proof) -> Steps:
        """It stayed green. Did it look at the copy at all? An installed package may have led it to the original.

        Python writes its bytecode to a directory of its own, which shows where each module was imported from. This is a
        third run, and only for a blind box: without the standard library's bytecode it is a slow one.
        """
        seconds = 0.0
        modules = [file for file in self._applied.edited if file.endswith(".py")]
        if modules:
            cache = os.path.join(os.path.dirname(self._copy.tree), "bytecode")
            recording = {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
            attempt = yield self._job(self._copy.tree, {**self._sabotaged_environment(), **recording})
            seconds = attempt.seconds
            for file in modules:
                if imported_from(cache, self._ground.original, file):
                    reason = f"{file} was imported from the original tree and not from the sabotaged copy"
                    return proof.but(Answer.UNPROVEN, reason, seconds=seconds)
        linked = self._copy.linked.result()
        shared = f" (shared with the original tree: {', '.join(linked)})" if linked else ""
        return proof.but(Answer.BLIND, proof.reason + shared, seconds=seconds)

    def _lacking(self) -> str:
        return ", which has no .git" if os.path.exists(os.path.join(self._ground.original, ".git")) else ""

    def _environment(self, tree: str) -> dict[str, str]:
        path = import_path(
            tree,
            self._cwd,
            edited=list(self._applied.edited),
            anything=self._control.kind == "run",
            inherited=self.box.env.get("PYTHONPATH", self._ground.python_path),
            original=self._ground.original,
        )
        env = self._ground.env(self.box)
        return {**env, "PYTHONPATH": path} if path else env

    def _sabotaged_environment(self) -> dict[str, str]:
        return {**self._environment(self._copy.tree), **self._applied.env}

    def _job(self, tree: str, env: Mapping[str, str]) -> Job:
        return Job(box=self.box, root=tree, cwd=self._cwd, env=env, key=self)
