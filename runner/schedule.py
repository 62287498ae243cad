"""Runs a plan through an executor and tells it as events. Knows no process, no file and no terminal.

A tier starts when all of the earlier ones have their verdicts and none that gates is red; otherwise its boxes are
`blocked`. Within a tier the plan's order holds, except that a box waits for what it comes `after` and for its locks.
"""

from __future__ import annotations

from runner.events import (
    BoxFinished,
    BoxSlow,
    BoxStarted,
    PlannedBox,
    RunFinished,
    RunStarted,
    TierFinished,
    TierStarted,
    Warned,
)
from runner.executor import Finished
from runner.line import Line
from runner.model import Box, BoxId, Plan, Verdict
from runner.verdict import decide, flaky_fails, is_gating, is_green, run_exit_code, should_retry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from runner.events import Event
    from runner.executor import Executor, Job, Slow
    from runner.model import Attempt

SETUP = "setup"
GREEN_OUTPUT = 4096
# A verdict of an earlier run that says that the box did not run; it is due now.
_NOT_RUN = frozenset({Verdict.BLOCKED, Verdict.CANCELLED})


class Policy:
    """How a run is to be made; the same for all its boxes.

    `jobs` boxes at most run at once. `retries` overrides each box's own unless it is None. `flaky_fails` is what a box
    without a `flaky` key does. `fail_fast`: "tier" finishes a tier before its red box blocks the next, "box" starts
    nothing more after the first red one, "never" lets no tier block another. `today` is the ISO date in UTC, for
    quarantines; `excused` are boxes that gate no more than quarantined ones; `sandbox` and `trust` are told in the
    events and not acted on. `repro` words the command that runs a box again.
    """

    __slots__ = (
        "excused",
        "fail_fast",
        "flaky_fails",
        "jobs",
        "repro",
        "retries",
        "run_id",
        "sandbox",
        "today",
        "trust",
    )

    def __init__(
        self,
        *,
        run_id: str,
        jobs: int,
        today: str,
        flaky_fails: bool = False,
        retries: int | None = None,
        fail_fast: str = "tier",
        sandbox: str = "off",
        trust: str = "",
        repro: str = "runner run {box}",
        excused: Collection[BoxId] = (),
    ) -> None:
        self.excused = frozenset(excused)
        self.run_id = run_id
        self.jobs = jobs
        self.today = today
        self.flaky_fails = flaky_fails
        self.retries = retries
        self.fail_fast = fail_fast
        self.sandbox = sandbox
        self.trust = trust
        self.repro = repro


def run(
    plan: Plan,
    *,
    executor: Executor,
    job_of: Callable[[Box, int], Job],
    emit: Callable[[Event], None],
    policy: Policy,
    clock: Callable[[], float],
    done: Mapping[BoxId, BoxFinished] | None = None,
    prepare: Callable[[], bool] | None = None,
    stop: Callable[[], str] = str,
) -> RunFinished:
    """Run a plan to its end.

    Args:
        plan: what to run, in order.
        executor: runs the jobs; it is left idle, not closed.
        job_of: the job of a box's attempt, counted from 1.
        emit: takes every event, `RunStarted` first and `RunFinished` last.
        policy: see there.
        clock: Unix seconds.
        done: verdicts of earlier runs. These boxes are not run again and count for the gates, also those that are not
            in the plan; one that was blocked or cancelled is run.
        prepare: called after `RunStarted` and before the first box, unless there is nothing to run; when it returns
            False no box is started, and all are blocked by "setup".
        stop: asked whenever something happened; "drain" starts nothing more, "kill" also ends what runs.

    Returns:
        The last event, whose exit code is the run's.
    """
    earlier = {box_id: event for box_id, event in (done or {}).items() if event.verdict not in _NOT_RUN}
    the_run = _Run(
        plan, executor=executor, job_of=job_of, emit=emit, policy=policy, clock=clock, done=earlier, stop=stop
    )
    return the_run.run(prepare)


class _Run:
    def __init__(
        self,
        plan: Plan,
        *,
        executor: Executor,
        job_of: Callable[[Box, int], Job],
        emit: Callable[[Event], None],
        policy: Policy,
        clock: Callable[[], float],
        done: Mapping[BoxId, BoxFinished],
        stop: Callable[[], str],
    ) -> None:
        self._plan = plan
        self._executor = executor
        self._job_of = job_of
        self._emit = emit
        self._policy = policy
        self._clock = clock
        self._done = done
        self._stop = stop
        self._finished: dict[BoxId, BoxFinished] = {}
        self._running: dict[BoxId, Job] = {}
        self._attempts: dict[BoxId, list[Attempt]] = {}
        self._first_started: dict[BoxId, float] = {}
        self._line = Line(())
        self._stopping = ""
        self._blocker = ""  # what keeps everything that has not started from starting: "setup", or a box's id

    def run(self, prepare: Callable[[], bool] | None) -> RunFinished:
        began = self._clock()
        self._emit(self._announcement(began))
        todo = any(box.id not in self._done for box in self._plan.boxes)
        if todo and prepare is not None and not prepare():
            self._blocker = SETUP
        self._ask_stop()
        for tier in self._plan.tiers:
            self._run_tier(tier)
        return self._conclude(began)

    def _announcement(self, at: float) -> RunStarted:
        boxes = [
            PlannedBox(box=box.id, tier=box.tier, title=box.title, source=box.source, done=box.id in self._done)
            for box in self._plan.boxes
        ]
        policy = self._policy
        return RunStarted(
            run_id=policy.run_id, at=at, jobs=policy.jobs, boxes=boxes, sandbox=policy.sandbox, trust=policy.trust
        )

    def _run_tier(self, tier: tuple[Box, ...]) -> None:
        began = self._clock()
        number = tier[0].tier
        self._line = Line(box for box in tier if box.id not in self._done)
        gate = self._blocker or self._closed_gate(number)
        if self._line and not gate and not self._stopping:
            self._emit(TierStarted(tier=number, at=began))
            self._block_behind_earlier_reds(tier)
        while self._line or self._running:
            self._start_what_may(gate)
            if self._running:
                self._listen()
        if any(box.id in self._finished for box in tier):
            green = not any(self._is_red(event) for event in self._verdicts(tier))
            now = self._clock()
            self._emit(TierFinished(tier=number, green=green, seconds=now - began, at=now))

    def _closed_gate(self, tier: int) -> str:
        """The box of an earlier tier that keeps this one shut: the first one, by tier and id."""
        if self._policy.fail_fast == "never":
            return ""
        known = {**self._done, **self._finished}
        reds = [event for event in known.values() if event.tier < tier and self._is_red(event)]
        # What was itself blocked is named by what blocked it.
        causes = [event for event in reds if event.verdict is not Verdict.BLOCKED] or reds
        first = min(causes, key=lambda event: (event.tier, event.box), default=None)
        return "" if first is None else first.blocked_by or str(first.box)

    def _block_behind_earlier_reds(self, tier: tuple[Box, ...]) -> None:
        """Settle what comes after a box of an earlier tier, or of an earlier run, that is not green."""
        for box in tier:
            if box.after and box.id in self._line and (red := self._red_before(box)):
                self._settle(box, Verdict.BLOCKED, self._because(red, ""), blocked_by=red)

    def _start_what_may(self, gate: str) -> None:
        while not (self._stopping or self._blocker or gate) and (behind := self._line.behind_red()) is not None:
            red = self._red_before(behind)
            self._settle(behind, Verdict.BLOCKED, self._because(red, gate), blocked_by=red)
        if self._stopping or self._blocker or gate:
            self._settle_the_rest(self._blocker or gate, gate)
        while len(self._running) < self._policy.jobs and (box := self._line.start()) is not None:
            self._start(box)
        if self._line and not self._running:
            # Nothing runs and nothing may start: the rest waits for itself. Discovery refuses such a suite.
            circle = {box.id: box for box in self._line}
            for box in circle.values():
                waits_for = next(str(other) for other in box.after if other in circle)
                self._settle(box, Verdict.BLOCKED, f"it waits for box {waits_for}, which waits for it", waits_for)

    def _settle_the_rest(self, blocker: str, gate: str) -> None:
        for box in self._line:
            if self._stopping:
                self._settle(box, Verdict.CANCELLED, "the run was stopped before it started")
            else:
                self._settle(box, Verdict.BLOCKED, self._because(blocker, gate), blocked_by=blocker)

    def _red_before(self, box: Box) -> str:
        """The box that this one comes after and that is not green, quarantined or not; "" when there is none."""
        for other in box.after:
            event = self._finished.get(other) or self._done.get(other)
            if event is not None and not event.green:
                return str(other)
        return ""

    @staticmethod
    def _because(blocker: str, gate: str) -> str:
        if blocker == SETUP:
            return "the setup did not succeed"
        return f"box {blocker} of an earlier tier is red" if blocker == gate else f"box {blocker} is red"

    def _start(self, box: Box) -> None:
        attempts = self._attempts.setdefault(box.id, [])
        job = self._job_of(box, len(attempts) + 1)
        self._running[box.id] = job
        now = self._clock()
        self._first_started.setdefault(box.id, now)
        self._emit(BoxStarted(box=box.id, tier=box.tier, attempt=job.attempt, at=now, log=job.log))
        self._executor.start(job)

    def _listen(self) -> None:
        happened: Iterable[Finished | Slow] = self._executor.wait(None)
        self._ask_stop()
        for thing in happened:
            if isinstance(thing, Finished):
                self._take(thing)
            else:
                self._emit(BoxSlow(box=thing.job.box.id, seconds=thing.seconds, at=self._clock()))

    def _ask_stop(self) -> None:
        asked = self._stop()
        if asked == "kill" and self._stopping != "kill":
            self._executor.cancel()
        if asked:
            self._stopping = asked

    def _take(self, finished: Finished) -> None:
        box = finished.job.box
        attempts = self._attempts[box.id]
        attempts.append(finished.attempt)
        del self._running[box.id]
        if finished.attempt.leaked:
            names = ", ".join(finished.attempt.leaked)
            self._emit(Warned(message=f"box {box.id} left processes running, ended: {names}", at=self._clock()))
        retries = box.retries if self._policy.retries is None else self._policy.retries
        if not self._stopping and should_retry(attempts, retries=retries):
            self._line.again(box)  # its tier waits for it
            return
        self._conclude_box(box, finished)

    def _conclude_box(self, box: Box, finished: Finished) -> None:
        attempts = self._attempts[box.id]
        fails = flaky_fails(box, default=self._policy.flaky_fails)
        verdict = decide(attempts)
        told = finished.attempt
        if verdict is not told.outcome:
            # A flaky box passed in the end; what a person wants to know is how it was red.
            told = next(attempt for attempt in reversed(attempts) if attempt.outcome is not Verdict.PASSED)
        green = is_green(verdict, may_skip=box.may_skip, flaky_fails=fails)
        self._finish(
            BoxFinished(
                box=box.id,
                tier=box.tier,
                title=box.title,
                verdict=verdict,
                green=green,
                gating=self._gates(box),
                at=self._clock(),
                attempts=len(attempts),
                started=self._first_started[box.id],
                seconds=sum(attempt.seconds for attempt in attempts),
                cpu=sum(attempt.cpu for attempt in attempts),
                rss_kb=max(attempt.rss_kb for attempt in attempts),
                exit_code=told.exit_code,
                reason=told.reason,
                asserts=told.asserts,
                failures=told.failures,
                metrics=finished.attempt.metrics,
                artifacts=[name for attempt in attempts for name in attempt.artifacts],
                leaked=[name for attempt in attempts for name in attempt.leaked],
                refused=list(dict.fromkeys(end for attempt in attempts for end in attempt.refused)),
                output=told.output[-GREEN_OUTPUT:] if green else told.output,
                output_bytes=told.output_bytes,
                log=told.log,
                source=box.source,
                line=box.line,
                tags=box.tags,
                repro=self._policy.repro.format(box=box.id),
            )
        )

    def _settle(self, box: Box, verdict: Verdict, reason: str, blocked_by: str = "") -> None:
        """Give a box that is not running its verdict; one that waited for a retry keeps what it was."""
        attempts = self._attempts.get(box.id, [])
        if attempts:
            verdict, reason, blocked_by = attempts[-1].outcome, attempts[-1].reason, ""
        last = attempts[-1] if attempts else None
        self._finish(
            BoxFinished(
                box=box.id,
                tier=box.tier,
                title=box.title,
                verdict=verdict,
                green=False,
                gating=self._gates(box),
                at=self._clock(),
                attempts=len(attempts),
                started=self._first_started.get(box.id, 0.0),
                seconds=sum(attempt.seconds for attempt in attempts),
                exit_code=last.exit_code if last else None,
                failures=last.failures if last else (),
                output=last.output if last else "",
                output_bytes=last.output_bytes if last else 0,
                log=last.log if last else "",
                reason=reason,
                source=box.source,
                line=box.line,
                tags=box.tags,
                blocked_by=blocked_by,
                repro=self._policy.repro.format(box=box.id),
            )
        )

    def _finish(self, event: BoxFinished) -> None:
        self._finished[event.box] = event
        self._line.leave(event.box, green=event.green)
        self._emit(event)
        if self._policy.fail_fast == "box" and self._is_red(event) and not self._blocker:
            self._blocker = str(event.box)

    def _verdicts(self, boxes: Iterable[Box]) -> list[BoxFinished]:
        return [self._finished.get(box.id) or self._done[box.id] for box in boxes]

    def _gates(self, box: Box) -> bool:
        return box.id not in self._policy.excused and is_gating(box, today=self._policy.today)

    @staticmethod
    def _is_red(event: BoxFinished) -> bool:
        return event.gating and not event.green

    def _conclude(self, began: float) -> RunFinished:
        events = self._verdicts(self._plan.boxes)
        counts: dict[str, int] = {}
        for event in events:
            counts[event.verdict.value] = counts.get(event.verdict.value, 0) + 1
        cancelled = any(event.verdict is Verdict.CANCELLED for event in events)
        stopped = cancelled or bool(self._stopping)
        code = run_exit_code((not self._is_red(event) for event in events), interrupted=stopped)
        now = self._clock()
        finished = RunFinished(exit_code=code, green=code == 0, seconds=now - began, counts=counts, at=now)
        self._emit(finished)
        return finished
