"""`runner falsify`: runs each box healthy and under its own sabotage, and says which ones proved that they can fail.

Each box is one conversation with the executor (`_Case.steps`): it asks for a run, gets the attempt, and decides what to
ask next. The healthy runs share one copy of the tree, as the boxes of a run share the tree; each sabotage has a fresh
copy of its own.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from runner.controls import (
    NotInThisVersion,
    Stale,
    apply,
    check_changed,
    copy_tree,
    import_path,
    imported_from,
    sabotages_itself,
)
from runner.execute.files import remove_tree
from runner.execute.process import ProcessExecutor
from runner.executor import Finished, Job
from runner.model import Box, Verdict
from runner.proof import Answer, Proof, judge, refused
from runner.report.proofs import Proofs, document, write_document
from runner.verdict import EXIT_INTERRUPTED, EXIT_RED, falsify_exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from concurrent.futures import Future
    from types import FrameType
    from typing import TextIO

    from runner.controls import Applied
    from runner.executor import Executor
    from runner.model import Attempt, Suite

    Steps = Generator[Job, Attempt, Proof]

_WHILE_COPYING = 0.02  # seconds between looks at a copy that is not ready, while other boxes run.


def main(
    suite: Suite,
    boxes: Sequence[Box],
    *,
    jobs: int,
    json_path: str = "",
    strict: bool = False,
    out: TextIO | None = None,
    base_env: Mapping[str, str] | None = None,
    clean_env: bool = False,
    setup_env: Mapping[str, str] | None = None,
    run_id: str = "falsify",
) -> int:
    """Falsify boxes and report on it.

    Args:
        suite: the repository; its working tree is copied and never written to.
        boxes: the selected ones, in the order in which they are to be taken.
        jobs: runs at the same time; a box's two runs follow each other.
        json_path: where the JSON document goes; `-` is standard output, "" nowhere.
        strict: a box without a control counts as not proven.
        out: where people read; standard output, or standard error when the JSON goes there.
        base_env: what boxes inherit; this process's own environment by default.
        clean_env: boxes inherit nothing, as under the bot.
        setup_env: what `setup:` left for the boxes.
        run_id: names the run for the boxes.

    Returns:
        The exit code: 0 all proven, 1 some not or none at all, 5 interrupted.
    """
    out = out or (sys.stderr if json_path == "-" else sys.stdout)
    report = Proofs(out, total=len(boxes))
    began = monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="runner-falsify-", ignore_cleanup_errors=True) as scratch,
        _Signals() as stop,
    ):
        environment = os.environ if base_env is None else base_env
        os.mkdir(f"{scratch}/boxes")
        executor = ProcessExecutor(
            run_id=run_id, scratch=f"{scratch}/boxes", base_env=environment, isolate_env=clean_env
        )
        try:
            inherited = "" if clean_env else environment.get("PYTHONPATH", "")
            ground = Ground(suite, scratch=scratch, env=setup_env or {}, python_path=inherited)
            proofs = falsify(
                boxes, ground, executor=executor, jobs=jobs, report=report, interrupted=lambda: stop.received
            )
        finally:
            executor.close()
    seconds = monotonic() - began
    report.end(proofs, seconds=seconds)
    code = falsify_exit_code([proof.answer for proof in proofs], strict=strict, interrupted=stop.received)
    if code != EXIT_INTERRUPTED and not any(proof.answer is Answer.PROVEN for proof in proofs):
        code = EXIT_RED  # What was not tried is never green.
    if json_path:
        write_document(json_path, sys.stdout, document(proofs, seconds=seconds, exit_code=code))
    return code


class Ground:
    """Where boxes are falsified: the tree, the directory for its copies, and what every run gets."""

    def __init__(self, suite: Suite, *, scratch: str, env: Mapping[str, str], python_path: str = "") -> None:
        self.suite = suite
        self.original = os.path.realpath(suite.root)
        self.name = os.path.basename(self.original) or "tree"
        self.env = dict(env)
        self.python_path = python_path
        self._scratch = os.path.realpath(scratch)
        self._copies = 0

    def place(self) -> str:
        """A path for the next copy: not there yet, named like the original, in a directory of its own."""
        self._copies += 1
        parent = os.path.join(self._scratch, f"copy-{self._copies}")
        os.mkdir(parent)
        return os.path.join(parent, self.name)

    def cwd(self, box: Box) -> str:
        """The suite's directory, relative to the tree."""
        return os.path.normpath(self.suite.roots.get(box.id.suite, "."))


def falsify(
    boxes: Sequence[Box],
    ground: Ground,
    *,
    executor: Executor,
    jobs: int,
    report: Proofs,
    interrupted: Callable[[], bool] = bool,
) -> list[Proof]:
    """The answer for each box, in the order given; boxes that were not reached before an interruption are missing."""
    answered: dict[object, Proof] = {}

    def answer(proof: Proof) -> None:
        answered[proof.box.id] = proof
        report.add(proof)

    waiting: deque[Box] = deque()
    for box in boxes:
        if early := _without_a_run(box):
            answer(early)
        else:
            waiting.append(box)
    if waiting:
        # One thread copies and removes trees; it starts no process and changes no directory.
        with ThreadPoolExecutor(1, thread_name_prefix="copies") as copier:
            healthy = ground.place()
            _Loop(waiting, ground, copier.submit(copy_tree, ground.original, healthy), healthy, copier, executor).run(
                jobs, answer, report.running, interrupted
            )
    return [answered[box.id] for box in boxes if box.id in answered]


def _without_a_run(box: Box) -> Proof | None:
    """The answers that need no run."""
    if box.control is None:
        return Proof(box, Answer.NO_CONTROL, "it has no control")
    if box.unsupported:
        return Proof(box, Answer.UNPROVEN, f"not in this version: {box.unsupported}")
    if sabotages_itself(box):
        return Proof(box, Answer.UNPROVEN, "the control edits the box itself, which shows nothing about what it checks")
    return None


class _Loop:
    """Keeps `jobs` conversations going, and copies ready for the next ones."""

    def __init__(
        self,
        waiting: deque[Box],
        ground: Ground,
        baseline: Future[tuple[str, ...]],
        healthy: str,
        copier: ThreadPoolExecutor,
        executor: Executor,
    ) -> None:
        self._waiting = waiting
        self._ground = ground
        self._baseline = baseline
        self._healthy = healthy
        self._copier = copier
        self._executor = executor
        self._copying: deque[_Case] = deque()
        self._active: list[_Case] = []

    def run(
        self,
        jobs: int,
        answer: Callable[[Proof], None],
        running: Callable[[Sequence[str]], None],
        interrupted: Callable[[], bool],
    ) -> None:
        """Until every box is answered, or the user has had enough."""
        self._answer = answer
        while (self._waiting or self._copying or self._active) and not interrupted():
            self._copy_ahead(jobs)
            self._begin(jobs)
            running([str(case.box.id) for case in self._active])
            if self._active:
                self._listen(_WHILE_COPYING if self._copying and len(self._active) < jobs else None)
            elif self._copying:
                self._copying[0].wait()

    def _copy_ahead(self, jobs: int) -> None:
        while self._waiting and len(self._copying) < jobs:
            box = self._waiting.popleft()
            self._copying.append(_Case(box, self._ground, self._baseline, self._healthy, self._copier))

    def _begin(self, jobs: int) -> None:
        """Start every case that is copied, for which a slot is free, and whose locks nobody holds."""
        for case in list(self._copying):
            held = {lock for active in self._active for lock in active.box.locks}
            if len(self._active) < jobs and case.is_copied() and held.isdisjoint(case.box.locks):
                self._copying.remove(case)
                self._active.append(case)
                self._go_on(case, None)

    def _listen(self, timeout: float | None) -> None:
        for event in self._executor.wait(timeout):
            if isinstance(event, Finished) and isinstance(event.job.key, _Case):
                self._go_on(event.job.key, event.attempt)

    def _go_on(self, case: _Case, attempt: Attempt | None) -> None:
        try:
            job = next(case.steps) if attempt is None else case.steps.send(attempt)
        except StopIteration as end:
            self._active.remove(case)
            case.discard(self._copier)
            self._answer(end.value)
        else:
            self._executor.start(job)


class _Case:
    """One box on its way to an answer."""

    def __init__(
        self, box: Box, ground: Ground, baseline: Future[tuple[str, ...]], healthy: str, copier: ThreadPoolExecutor
    ) -> None:
        assert box.control is not None
        self.box = box
        self._control = box.control
        self._ground = ground
        self._baseline = baseline
        self._healthy = healthy
        self._tree = ground.place()
        self._cwd = ground.cwd(box)
        self._copied = copier.submit(copy_tree, ground.original, self._tree)
        self.steps = self._falsify()

    def is_copied(self) -> bool:
        """Both trees are there, or cannot be made."""
        return self._copied.done() and self._baseline.done()

    def wait(self) -> None:
        """Wait for the trees."""
        self._baseline.exception()
        self._copied.exception()

    def discard(self, copier: ThreadPoolExecutor) -> None:
        """Remove the copy in the background."""
        copier.submit(remove_tree, os.path.dirname(self._tree))

    def _falsify(self) -> Steps:
        try:
            self._baseline.result()
            linked = self._copied.result()
            applied = apply(self._control, self._tree, self._cwd)
            if applied.step:
                yield from self._finish_sabotage(applied)
        except Stale as why:
            return Proof(self.box, Answer.STALE, str(why))
        except NotInThisVersion as why:
            return Proof(self.box, Answer.UNPROVEN, str(why))
        except OSError as why:
            return Proof(self.box, Answer.UNPROVEN, f"the tree could not be copied: {why}")
        # Both runs get the same path, but for where the tree is: what differs is the sabotage alone.
        baseline = yield self._job(self._healthy, self._environment(self._healthy, applied))
        if problem := refused(baseline):
            hint = self._why_the_copy_differs(linked)
            return Proof(self.box, Answer.UNPROVEN, problem + hint, baseline=baseline, seconds=baseline.seconds)
        environment = {**self._environment(self._tree, applied), **applied.env}
        sabotaged = yield self._job(self._tree, environment)
        proof = judge(self.box, baseline, sabotaged)
        if proof.answer is Answer.BLIND:
            return (yield from self._second_look(proof, baseline, sabotaged, environment, applied, linked))
        return proof

    def _finish_sabotage(self, applied: Applied) -> Generator[Job, Attempt, None]:
        step = applied.step
        assert step is not None
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
        attempt = yield Job(box=box, root=self._tree, cwd=step.cwd, env={**self._ground.env, **step.env}, key=self)
        if attempt.outcome is not Verdict.PASSED:
            said = attempt.output.strip().splitlines()
            raise Stale(self._control.where, f"its command did not succeed: {said[-1] if said else attempt.reason}")
        check_changed(applied, self._tree)

    def _second_look(
        self,
        proof: Proof,
        baseline: Attempt,
        sabotaged: Attempt,
        environment: Mapping[str, str],
        applied: Applied,
        linked: Sequence[str],
    ) -> Steps:
        """It stayed green. Did it look at the copy at all? An installed package may have led it to the original.

        Bytecode is written to a directory of its own, which shows where each module was imported from. A third run, and
        only for a blind box: without bytecode of the standard library it is a slow one.
        """
        seconds = proof.seconds
        modules = [file for file in applied.edited if file.endswith(".py")]
        if modules:
            cache = os.path.join(os.path.dirname(self._tree), "bytecode")
            recording = {"PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
            attempt = yield self._job(self._tree, {**environment, **recording})
            seconds += attempt.seconds
            for file in modules:
                if imported_from(cache, self._ground.original, file):
                    reason = f"{file} was imported from the original tree and not from the sabotaged copy"
                    return _with(proof, Answer.UNPROVEN, reason, baseline, sabotaged, seconds)
        reason = proof.reason
        if linked and self._control.kind != "env":
            reason += f" (shared with the original tree: {', '.join(linked)})"
        return _with(proof, Answer.BLIND, reason, baseline, sabotaged, seconds)

    def _why_the_copy_differs(self, linked: Sequence[str]) -> str:
        if os.path.exists(os.path.join(self._ground.original, ".git")):
            return " (in a copy of the tree, which has no .git)"
        return " (in a copy of the tree)" if linked else ""

    def _environment(self, tree: str, applied: Applied) -> dict[str, str]:
        path = import_path(
            tree,
            self._cwd,
            edited=list(applied.edited),
            anything=self._control.kind == "run",
            inherited=self.box.env.get("PYTHONPATH", self._ground.python_path),
            original=self._ground.original,
        )
        return {**self._ground.env, **({"PYTHONPATH": path} if path else {})}

    def _job(self, tree: str, env: Mapping[str, str]) -> Job:
        return Job(box=self.box, root=tree, cwd=self._cwd, env=env, key=self)


def _with(proof: Proof, answer: Answer, reason: str, baseline: Attempt, sabotaged: Attempt, seconds: float) -> Proof:
    return Proof(proof.box, answer, reason, baseline=baseline, sabotaged=sabotaged, seconds=seconds)


class _Signals:
    """Notes SIGINT and SIGTERM instead of breaking off, so that what runs is ended first."""

    def __init__(self) -> None:
        self.received = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread: signals are somebody else's.
                return self
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True
