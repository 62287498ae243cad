"""`runner falsify`: runs each box healthy and under its own sabotage, and says which ones proved that they can fail.

What is asked of one box is in `runner.case`, what its runs show in `runner.proof`; this keeps several going at once.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from time import monotonic

from runner.automatic import automatic_controls
from runner.case import Baseline, Case
from runner.executor import Finished
from runner.plan import followers
from runner.proof import Answer, Proof
from runner.report.proofs import Ended
from runner.verdict import EXIT_INTERRUPTED, EXIT_RED, falsify_exit_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from runner.answers import Answers
    from runner.executor import Executor
    from runner.model import Attempt, Box, BoxId, Control
    from runner.report.proofs import ProofReport
    from runner.scene import Ground

_TREE_KINDS = frozenset({"edit", "patch", "run"})
_WHILE_COPYING = 0.02  # seconds between looks at a copy that is not ready, while other boxes run.


class Work:
    """What is needed to falsify, and how it is to be done.

    Args:
        ground: where controls happen.
        executor: runs the jobs; it is left idle, not closed.
        jobs: runs at the same time; the runs of a box follow each other.
        report: hears of every answer.
        answers: what is known from before; None to find out everything.
        stop: when it answers anything, nothing more is started.
    """

    def __init__(
        self,
        ground: Ground,
        executor: Executor,
        report: ProofReport,
        *,
        jobs: int,
        answers: Answers | None = None,
        stop: Callable[[], str] = str,
    ) -> None:
        self.ground = ground
        self.executor = executor
        self.report = report
        self.jobs = jobs
        self.answers = answers
        self.stop = stop


def main(boxes: Sequence[Box], work: Work, *, strict: bool, overreach_of: Sequence[Box] | None = None) -> int:
    """Falsify boxes and report on it.

    Args:
        boxes: the selected ones, in the order in which they are to be taken.
        work: how.
        strict: a box without a control counts as not proven.
        overreach_of: every box of the suite, to look for those that somebody else's control breaks; None not to.

    Returns:
        The exit code: 0 all proven, 1 some not or none at all, 5 interrupted.
    """
    began = monotonic()
    proofs = falsify(boxes, work, overreach_of=overreach_of)
    interrupted = bool(work.stop())
    code = exit_code(proofs, strict=strict, interrupted=interrupted)
    work.report.end(Ended(proofs, total=len(boxes), seconds=monotonic() - began, exit_code=code))
    return code


def exit_code(proofs: Sequence[Proof], *, strict: bool, interrupted: bool = False) -> int:
    """What `runner falsify` exits with. Never 0 when nothing at all was proven: what was not tried is not green."""
    code = falsify_exit_code([proof.answer for proof in proofs], strict=strict, interrupted=interrupted)
    proven = any(proof.answer is Answer.PROVEN for proof in proofs)
    return code if proven or code == EXIT_INTERRUPTED else EXIT_RED


def falsify(boxes: Sequence[Box], work: Work, *, overreach_of: Sequence[Box] | None = None) -> list[Proof]:
    """The answer for each box, in the order given; boxes that an interruption left unanswered are missing."""
    controls = {box.id: controls_of(box) for box in boxes}
    loop = _Loop(work, controls)
    for box in boxes:
        if early := _without_a_run(box, controls[box.id], work.answers):
            loop.answer(early)
    left = [box for box in boxes if box.id not in loop.answered]
    near: dict[BoxId, list[Box]] = {}
    baselines: dict[BoxId, Attempt] = {}
    if overreach_of is not None and left:
        near = {box.id: neighbours(box, overreach_of) for box in left}
        healthy = _distinct([*left, *(other for box in left for other in near[box.id])])
        work.report.say(f"up to {_cost(left, controls, near, len(healthy))} runs, of {len(healthy)} boxes")
        loop.run([partial(Baseline, box, work.ground, baselines) for box in healthy])
    loop.run(
        [
            partial(Case, box, controls[box.id], work.ground, baselines=baselines, neighbours=near.get(box.id, ()))
            for box in left
        ]
    )
    return [loop.answered[box.id] for box in boxes if box.id in loop.answered]


def controls_of(box: Box) -> tuple[Control, ...]:
    """What is done to a box: its own control, else automatic ones."""
    return (box.control,) if box.control else automatic_controls(box)


def neighbours(box: Box, suite: Iterable[Box]) -> list[Box]:
    """The boxes that a control of this one should leave alone: of its tier, and not waiting for it to be green.

    None, if the control does not change the tree: what a box is given, no other box is.
    """
    if box.control is None or box.control.kind not in _TREE_KINDS:
        return []
    every = tuple(suite)
    after = followers(box.id, every)
    return [
        other
        for other in every
        if other.tier == box.tier and other.id != box.id and other.id not in after and other.kind != "missing"
    ]


def _distinct(boxes: Iterable[Box]) -> list[Box]:
    return list({box.id: box for box in boxes}.values())


def _cost(
    boxes: Sequence[Box], controls: Mapping[BoxId, Collection[Control]], near: Mapping[BoxId, list[Box]], healthy: int
) -> int:
    """How many runs there will be when every box is proven."""
    return healthy + sum(len(controls[box.id]) * (1 + len(near[box.id])) for box in boxes)


def _without_a_run(box: Box, controls: Sequence[Control], answers: Answers | None) -> Proof | None:
    """The answers that need no run."""
    if not controls:
        return Proof(box, Answer.NO_CONTROL, "it has no control")
    return answers.known(box, controls) if answers else None


class _Loop:
    """Keeps as many cases going as there are jobs, and as many prepared ahead."""

    def __init__(self, work: Work, controls: Mapping[BoxId, Sequence[Control]]) -> None:
        self.answered: dict[BoxId, Proof] = {}
        self._work = work
        self._controls = controls
        self._prepared: deque[Case | Baseline] = deque()
        self._active: list[Case | Baseline] = []

    def answer(self, proof: Proof) -> None:
        """A box has its answer."""
        self.answered[proof.box.id] = proof
        if self._work.answers:
            self._work.answers.add(proof, self._controls[proof.box.id])
        self._work.report.add(proof)

    def run(self, cases: Iterable[Callable[[], Case | Baseline]]) -> None:
        """Until every case is answered, or the user has had enough."""
        jobs = self._work.jobs
        waiting = deque(cases)
        while (waiting or self._prepared or self._active) and not self._work.stop():
            while waiting and len(self._prepared) < jobs:
                self._prepared.append(waiting.popleft()())
            self._begin(jobs)
            self._work.report.running([str(case.box.id) for case in self._active])
            if self._active:
                copying = len(self._active) < jobs and not all(case.is_ready() for case in self._prepared)
                self._listen(_WHILE_COPYING if copying else None)
            elif self._prepared:
                self._prepared[0].wait()

    def _begin(self, jobs: int) -> None:
        """Start every case that is ready, for which a slot is free, and whose locks nobody holds."""
        for case in list(self._prepared):
            held = {lock for active in self._active for lock in active.locks}
            if len(self._active) < jobs and case.is_ready() and held.isdisjoint(case.locks):
                self._prepared.remove(case)
                self._active.append(case)
                self._go_on(case, None)

    def _listen(self, timeout: float | None) -> None:
        for event in self._work.executor.wait(timeout):
            if isinstance(event, Finished) and isinstance(event.job.key, Case | Baseline):
                self._go_on(event.job.key, event.attempt)

    def _go_on(self, case: Case | Baseline, attempt: Attempt | None) -> None:
        try:
            job = next(case.steps) if attempt is None else case.steps.send(attempt)
        except StopIteration as end:
            self._active.remove(case)
            case.discard()
            if end.value is not None:
                self.answer(end.value)
        else:
            self._work.executor.start(job)
