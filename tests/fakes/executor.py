"""An executor that plays a script on a clock of its own: the second implementation of `runner.executor.Executor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.executor import Finished, Slow
from runner.model import Attempt, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runner.executor import Job
    from runner.model import BoxId

PASSES = Attempt(outcome=Verdict.PASSED, exit_code=0, seconds=1.0)


class Played:
    """One job as it was played: from when to when, on the executor's clock."""

    def __init__(self, job: Job, start: float, end: float, attempt: Attempt) -> None:
        self.job = job
        self.start = start
        self.end = end
        self.attempt = attempt

    def overlaps(self, other: Played) -> bool:
        return self.start < other.end and other.start < self.end


class ScriptedExecutor:
    """Answers each attempt from `script`, in order; the last answer repeats, and a box without one passes.

    An attempt takes as long as its `seconds` say. `on_wait` is called before time moves, for a test that interrupts.
    """

    def __init__(
        self, script: Mapping[BoxId, Sequence[Attempt]] | None = None, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        self.now = 1000.0
        self.played: list[Played] = []
        self.most = 0
        self._script = dict(script or {})
        self._on_wait = on_wait
        self._running: list[Played] = []

    def clock(self) -> float:
        return self.now

    def start(self, job: Job) -> None:
        answers = self._script.get(job.box.id, [PASSES])
        attempt = answers[min(job.attempt, len(answers)) - 1]
        played = Played(job, self.now, self.now + attempt.seconds, attempt)
        self.played.append(played)
        self._running.append(played)
        self.most = max(self.most, len(self._running))

    def wait(self, timeout: float | None) -> Sequence[Finished | Slow]:
        self._on_wait()
        if not self._running:
            return []
        first = min(self._running, key=lambda played: played.end)
        if timeout is not None and first.end > self.now + timeout:
            self.now += timeout
            return []
        happened: list[Finished | Slow] = []
        if first.end - first.start > first.job.box.slow:
            happened.append(Slow(first.job, first.job.box.slow))
        self.now = max(self.now, first.end)
        for played in [played for played in self._running if played.end <= self.now]:
            self._running.remove(played)
            happened.append(Finished(played.job, played.attempt, played.start))
        return happened

    def cancel(self, job: Job | None = None) -> None:
        for played in self._running:
            if job is None or played.job is job:
                played.end = self.now
                played.attempt = Attempt(outcome=Verdict.CANCELLED, reason="the run was stopped")

    def close(self) -> None:
        self._running.clear()

    def interval(self, box_id: BoxId) -> Played:
        """The only attempt of a box."""
        (played,) = [played for played in self.played if played.job.box.id == box_id]
        return played
