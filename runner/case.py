"""One box on its way to an answer: the runs that it asks for, and what they show.

A case is a conversation: `steps` yields the job that it wants run next, is sent the attempt, and returns the proof.
Where the control happens is the ground's affair (runner.scene).
"""

from __future__ import annotations

from runner.controls import Stale
from runner.proof import Answer, Proof, is_broken, judge, overreached, refused
from runner.scene import EditsItself

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, MutableMapping, Sequence

    from runner.executor import Job
    from runner.model import Attempt, Box, BoxId, Control
    from runner.scene import Ground, Scene

    Steps = Generator[Job, Attempt, Proof]
    Look = Generator[Job, Attempt, None]


class Baseline:
    """Runs one box healthy and notes the attempt in `baselines`."""

    def __init__(self, box: Box, ground: Ground, baselines: MutableMapping[BoxId, Attempt]) -> None:
        self.box = box
        self.locks = frozenset(box.locks)
        self.steps = self._run()
        self._ground = ground
        self._baselines = baselines

    def is_ready(self) -> bool:
        """There is nothing to prepare."""
        return True

    def wait(self) -> None:
        """There is nothing to wait for."""

    def discard(self) -> None:
        """Nothing is left."""

    def _run(self) -> Look:
        self._baselines[self.box.id] = yield self._ground.baseline(self.box, self)


class Case:
    """Falsifies one box.

    Args:
        box: the box.
        controls: what is done to it, one after the other: its own, or automatic ones. Each must turn it red.
        ground: where.
        baselines: healthy runs that were made already; one that this case makes is added.
        neighbours: boxes that must stay as they are under the control; none unless overreach is looked for.
    """

    def __init__(
        self,
        box: Box,
        controls: Sequence[Control],
        ground: Ground,
        *,
        baselines: MutableMapping[BoxId, Attempt],
        neighbours: Sequence[Box] = (),
    ) -> None:
        self.box = box
        self.locks = frozenset(lock for each in (box, *neighbours) for lock in each.locks)
        self.steps = self._falsify()
        self._scenes = [(control, ground.scene(box, control, self)) for control in controls]
        self._where = ground.where
        self._baselines = baselines
        self._neighbours = neighbours
        self._spent = 0.0

    def is_ready(self) -> bool:
        """Whether it can begin without waiting."""
        return all(scene.is_ready() for _, scene in self._scenes)

    def wait(self) -> None:
        """Block until it is ready."""
        for _, scene in self._scenes:
            scene.wait()

    def discard(self) -> None:
        """It is answered, or given up."""
        for _, scene in self._scenes:
            scene.discard()

    def _falsify(self) -> Steps:
        proof = Proof(self.box, Answer.NO_CONTROL, "it has no control")
        for control, scene in self._scenes:
            proof = yield from self._under(control, scene)
            if proof.answer is not Answer.PROVEN:
                break
        return proof.but(seconds=self._spent)

    def _under(self, control: Control, scene: Scene) -> Steps:
        try:
            # First, since a control that does not fit any more is known without running the box.
            yield from self._timed(scene.sabotage())
            return (yield from self._compare(control, scene))
        except Stale as why:
            return self._nothing(control, Answer.STALE, str(why))
        except EditsItself as why:
            return self._nothing(control, Answer.UNPROVEN, str(why))
        except OSError as why:
            return self._nothing(control, Answer.UNPROVEN, f"the control could not be prepared: {why}")

    def _compare(self, control: Control, scene: Scene) -> Steps:
        """Run the box with and without the control, and more often when that shows too little."""
        baseline = self._baselines.get(self.box.id)
        if baseline is None:
            baseline = yield scene.healthy(self.box)
            self._spent += baseline.seconds
            self._baselines[self.box.id] = baseline
        if problem := refused(baseline):
            return self._nothing(control, Answer.UNPROVEN, problem + self._where, baseline)
        sabotaged = yield scene.sabotaged(self.box)
        self._spent += sabotaged.seconds
        proof = judge(self.box, baseline, sabotaged, control=control if self._is_automatic(control) else None)
        if proof.answer is Answer.BLIND:
            look = yield from scene.look_again(proof.reason)
            self._spent += look.seconds
            return proof.but(answer=look.answer, reason=look.reason)
        if proof.answer is Answer.PROVEN:
            return (yield from self._look_around(control, scene, proof))
        return proof

    def _nothing(self, control: Control, answer: Answer, reason: str, baseline: Attempt | None = None) -> Proof:
        """The answer without a run under the control."""
        return Proof(
            self.box,
            answer,
            reason,
            automatic=self._is_automatic(control),
            control=control.where,
            baseline=baseline.outcome.value if baseline else "",
            output=baseline.output if baseline else "",
        )

    def _is_automatic(self, control: Control) -> bool:
        return control is not self.box.control

    def _timed(self, runs: Look) -> Look:
        try:
            job = next(runs)
            while True:
                attempt = yield job
                self._spent += attempt.seconds
                job = runs.send(attempt)
        except StopIteration:
            return

    def _look_around(self, control: Control, scene: Scene, proof: Proof) -> Steps:
        """Run the neighbours under the control, too. One that is red is run again: it may just be flaky."""
        broken = []
        for neighbour in self._neighbours:
            before = self._baselines.get(neighbour.id)
            if before is None or refused(before) or neighbour.id in control.also:
                continue
            for _ in range(2):
                attempt = yield scene.sabotaged(neighbour)
                self._spent += attempt.seconds
                if not is_broken(attempt):
                    break
            else:
                broken.append(neighbour)
        return overreached(proof, broken)
