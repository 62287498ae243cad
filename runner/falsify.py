"""`runner falsify`: runs each box healthy and under its own sabotage, and says which ones proved that they can fail.

What is asked of one box is in `runner.case`, what its runs show in `runner.proof`; this keeps several going at once.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from runner.case import Case, Ground
from runner.execute.process import ProcessExecutor
from runner.executor import Finished
from runner.proof import Answer, Proof
from runner.report.proofs import Proofs, document, write_document
from runner.verdict import EXIT_INTERRUPTED, EXIT_RED, falsify_exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import FrameType
    from typing import TextIO

    from runner.executor import Executor
    from runner.model import Attempt, Box, BoxId, Suite

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
    setup_dirs: Mapping[str, str] | None = None,
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
        setup_dirs: where each suite's `setup:` left its result; its boxes get that as SETUP_DIR.
        run_id: names the run for the boxes.

    Returns:
        The exit code: 0 all proven, 1 some not or none at all, 5 interrupted.
    """
    out = out or (sys.stderr if json_path == "-" else sys.stdout)
    report = Proofs(out, total=len(boxes))
    began = monotonic()
    with _Signals() as stop, tempfile.TemporaryDirectory(prefix="falsify-", ignore_cleanup_errors=True) as scratch:
        os.mkdir(f"{scratch}/boxes")
        environment = os.environ if base_env is None else base_env
        executor = ProcessExecutor(
            run_id=run_id, scratch=f"{scratch}/boxes", base_env=environment, isolate_env=clean_env
        )
        # One thread copies and removes trees. It starts no process and changes no directory.
        with ThreadPoolExecutor(1, thread_name_prefix="copies") as pool:
            try:
                inherited = "" if clean_env else environment.get("PYTHONPATH", "")
                ground = Ground(suite, scratch=scratch, pool=pool, setup_dirs=setup_dirs, python_path=inherited)
                proofs = falsify(
                    boxes, ground, executor=executor, jobs=jobs, report=report, interrupted=lambda: stop.received
                )
            finally:
                executor.close()
                pool.shutdown(cancel_futures=True)
    seconds = monotonic() - began
    code = exit_code(proofs, strict=strict, interrupted=stop.received)
    report.end(proofs, seconds=seconds, total=len(boxes))
    if json_path:
        write_document(json_path, sys.stdout, document(proofs, seconds=seconds, exit_code=code))
    return code


def exit_code(proofs: Sequence[Proof], *, strict: bool, interrupted: bool = False) -> int:
    """What `runner falsify` exits with. Never 0 when nothing at all was proven: what was not tried is not green."""
    code = falsify_exit_code([proof.answer for proof in proofs], strict=strict, interrupted=interrupted)
    proven = any(proof.answer is Answer.PROVEN for proof in proofs)
    return code if proven or code == EXIT_INTERRUPTED else EXIT_RED


def falsify(
    boxes: Sequence[Box],
    ground: Ground,
    *,
    executor: Executor,
    jobs: int,
    report: Proofs,
    interrupted: Callable[[], bool] = bool,
) -> list[Proof]:
    """The answer for each box, in the order given; boxes that an interruption left unanswered are missing."""
    loop = _Loop(ground, executor, report)
    for box in boxes:
        if early := _without_a_run(box):
            loop.answer(early)
    loop.run([box for box in boxes if box.id not in loop.answered], jobs=jobs, interrupted=interrupted)
    return [loop.answered[box.id] for box in boxes if box.id in loop.answered]


def _without_a_run(box: Box) -> Proof | None:
    """The answers that need no run."""
    if box.control is None:
        return Proof(box, Answer.NO_CONTROL, "it has no control")
    if box.unsupported:
        return Proof(box, Answer.UNPROVEN, f"not in this version: {box.unsupported}")
    return None


class _Loop:
    """Keeps as many cases going as there are jobs, and as many copied ahead."""

    def __init__(self, ground: Ground, executor: Executor, report: Proofs) -> None:
        self.answered: dict[BoxId, Proof] = {}
        self._ground = ground
        self._executor = executor
        self._report = report
        self._copying: deque[Case] = deque()
        self._active: list[Case] = []

    def answer(self, proof: Proof) -> None:
        """A box has its answer."""
        self.answered[proof.box.id] = proof
        self._report.add(proof)

    def run(self, boxes: Iterable[Box], *, jobs: int, interrupted: Callable[[], bool]) -> None:
        """Until every box is answered, or the user has had enough."""
        waiting = deque(boxes)
        while (waiting or self._copying or self._active) and not interrupted():
            while waiting and len(self._copying) < jobs:
                self._copying.append(Case(waiting.popleft(), self._ground))
            self._begin(jobs)
            self._report.running([str(case.box.id) for case in self._active])
            if self._active:
                copying = len(self._active) < jobs and not all(case.is_copied() for case in self._copying)
                self._listen(_WHILE_COPYING if copying else None)
            elif self._copying:
                self._copying[0].wait()

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
            if isinstance(event, Finished) and isinstance(event.job.key, Case):
                self._go_on(event.job.key, event.attempt)

    def _go_on(self, case: Case, attempt: Attempt | None) -> None:
        try:
            job = next(case.steps) if attempt is None else case.steps.send(attempt)
        except StopIteration as end:
            self._active.remove(case)
            case.discard()
            self.answer(end.value)
        else:
            self._executor.start(job)


class _Signals:
    """Notes SIGINT and SIGTERM instead of breaking off, so that what runs is ended first."""

    def __init__(self) -> None:
        self.received = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> _Signals:
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._note)
            except ValueError:  # not the main thread: signals are somebody else's.
                return self
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.received = True
