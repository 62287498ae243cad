"""Ten thousand boxes: found, planned, selected and run without a step that grows with their square."""

from __future__ import annotations

import json
import sys
from collections import deque
from typing import TYPE_CHECKING

import pytest

from runner.executor import Finished, Job
from runner.model import Attempt, Verdict
from runner.plan import plan
from runner.report.step_summary import step_summary
from runner.schedule import Policy, run
from runner.select import select
from tests.runner.boxes import box
from tests.runner.command_line import Repository, of
from tests.runner.stories import finished

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import FrameType
    from typing import Any

    from runner.model import Box

MANY, SOME = 10_000, 300
LARGEST_KB = 100 * 1024


class InTurn:
    """An executor whose jobs end one after the other; every tenth is red."""

    def __init__(self) -> None:
        self._jobs: deque[Job] = deque()

    def start(self, job: Job) -> None:
        self._jobs.append(job)

    def wait(self, timeout: float | None) -> Sequence[Finished]:
        del timeout  # nothing has to be waited for.
        job = self._jobs.popleft()
        red = job.box.id.number % 10 == 0 and "red" in job.box.tags
        return [Finished(job, Attempt(outcome=Verdict.FAILED if red else Verdict.PASSED), 0.0)]

    def cancel(self, job: Job | None = None) -> None:
        raise AssertionError(job)

    def close(self) -> None:
        raise AssertionError


def steps(work: Callable[[], object]) -> int:
    """Calls that some work makes, those into C included."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def run_of(boxes: list[Box]) -> Callable[[], object]:
    def work() -> None:
        policy = Policy(run_id="run", jobs=4, today="2026-01-01", retries=1)
        told: list[Any] = []
        run(
            plan(boxes, {}),
            executor=InTurn(),
            job_of=lambda box, attempt: Job(box=box, root="/", attempt=attempt),
            emit=told.append,
            policy=policy,
            clock=lambda: 0.0,
        )
        assert sum(type(event).__name__ == "BoxFinished" for event in told) == len(boxes)

    return work


def chain(count: int, *, first: int = 1, **fields: Any) -> list[Box]:
    boxes = [box(first, **fields)]
    for number in range(first + 1, first + count):
        boxes.append(box(number, after=(boxes[-1].id,), **fields))
    return boxes


SUITES: dict[str, Callable[[int], list[Box]]] = {
    "plain": lambda count: [box(number) for number in range(1, count + 1)],
    "one-comes-after-another": lambda count: [*chain(2), *(box(number) for number in range(3, count + 1))],
    "all-after-the-first": lambda count: [box(1), *(box(n, after=(box(1).id,)) for n in range(2, count + 1))],
    "a-chain": chain,
    "all-after-a-red-one": lambda count: [
        box(10, tags=("red",)),
        *(box(number, after=(box(10).id,)) for number in range(11, count + 10)),
    ],
    "a-chain-after-a-red-one": lambda count: chain(count, first=10, tags=("red",)),
    "one-lock": lambda count: [box(number, locks=("port",)) for number in range(1, count + 1)],
    "crossed-locks": lambda count: [box(n, locks=("ab", "ba")[n % 2]) for n in range(1, count + 1)],
    "half-red-and-retried": lambda count: [box(number, tags=("red",)) for number in range(1, count + 1)],
}


@pytest.mark.parametrize("name", SUITES)
def test_four_times_as_many_boxes_take_four_times_as_many_steps(name: str) -> None:
    few, many = steps(run_of(SUITES[name](400))), steps(run_of(SUITES[name](1600)))

    assert many < 4.6 * few


def test_selecting_and_planning_take_steps_in_proportion() -> None:
    def work(count: int) -> Callable[[], object]:
        boxes = [box(number, tier=1 + number % 9, tags=("a", "b")[number % 2 :]) for number in range(1, count + 1)]
        durations = {each.id: each.id.number / 100 for each in boxes}
        return lambda: plan(select("tier:1-5 and tag:b or 1-400", boxes), durations)

    assert steps(work(4000)) < 4.6 * steps(work(1000))


def test_ten_thousand_are_listed_and_some_of_them_run_in_little_memory(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    for tier in (1, 2, 3):
        (repository.root / f"boxes/tier-{tier}").mkdir(parents=True)
    for number in range(1, MANY + 1):
        path = repository.root / f"boxes/tier-{2 if number <= SOME else 1}/{number}_box.sh"
        path.write_text("#!/bin/sh\n:\n")
        path.chmod(0o755)
    repository.box(MANY + 1, "grep VmHWM /proc/$PPID/status", tier=3)
    listed = json.loads(repository.runner("list", "--json").out)["boxes"]
    assert len(listed) == MANY + 1
    events = repository.events("tier:2-3", "-j", "4")
    told = {event.box.number: event for event in of("BoxFinished", events)}

    assert {str(event.verdict) for event in told.values()} == {"passed"}
    assert len(told) == SOME + 1
    assert int(told[MANY + 1].output.split()[1]) < LARGEST_KB


def test_a_summary_of_ten_thousand_red_boxes_fits_where_github_takes_it() -> None:
    reds = [finished(n, verdict=Verdict.FAILED, green=False, output="x" * 2000) for n in range(1, MANY + 1)]
    text = step_summary(reds, "10000 boxes: 10000 failed", finished=True)

    assert len(text.encode()) < 1 << 20
    assert "10000 boxes: 10000 failed" in text
