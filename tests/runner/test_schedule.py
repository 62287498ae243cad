from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.events import BoxFinished, BoxSlow, BoxStarted, RunFinished, RunStarted, TierFinished, TierStarted, Warned
from runner.executor import Job
from runner.model import Attempt, Box, BoxId, Plan, Quarantine, Verdict
from runner.plan import plan
from runner.schedule import Policy, run
from tests.fakes.executor import ScriptedExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from runner.events import Event

TODAY = "2026-05-04"
GREEN = Attempt(outcome=Verdict.PASSED, exit_code=0, seconds=1.0)
RED = Attempt(outcome=Verdict.FAILED, exit_code=1, seconds=1.0, reason="exit 1")
SKIPS = Attempt(outcome=Verdict.SKIPPED, exit_code=77, seconds=1.0)
EMPTY = Attempt(outcome=Verdict.VACUOUS, exit_code=0, seconds=1.0)


def box(number: int, tier: int = 1, **keys: Any) -> Box:
    keys["after"] = [BoxId("", other) for other in keys.get("after", ())]
    return Box(
        id=BoxId("", number), tier=tier, title=f"Box {number}", kind="command", source=".github/interlock.yml", **keys
    )


class Story:
    """A run that was played, and its events."""

    def __init__(
        self,
        boxes: Iterable[Box] | Plan,
        script: Mapping[int, Sequence[Attempt]] | None = None,
        *,
        jobs: int = 2,
        done: Sequence[BoxFinished] = (),
        prepare: Callable[[], bool] | None = None,
        stop_after: Mapping[int, str] | None = None,
        **policy: Any,
    ) -> None:
        self.events: list[Event] = []
        waits = 0

        def count() -> None:
            nonlocal waits
            waits += 1

        def stop() -> str:
            return [word for after, word in {0: "", **(stop_after or {})}.items() if waits >= after][-1]

        answers = {BoxId("", number): attempts for number, attempts in (script or {}).items()}
        self.executor = ScriptedExecutor(answers, on_wait=count)
        self.last = run(
            boxes if isinstance(boxes, Plan) else plan(boxes, {}),
            executor=self.executor,
            job_of=lambda box, attempt: Job(box=box, root="/r", attempt=attempt, log=f"{box.id}.{attempt}.log"),
            emit=self.events.append,
            policy=Policy(run_id="r1", jobs=jobs, today=TODAY, **policy),
            clock=self.executor.clock,
            done={event.box: event for event in done},
            prepare=prepare,
            stop=stop,
        )

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def verdicts(self) -> dict[int, str]:
        return {event.box.number: str(event.verdict) for event in self.of(BoxFinished)}

    def finished(self, number: int) -> BoxFinished:
        (event,) = [event for event in self.of(BoxFinished) if event.box.number == number]
        assert isinstance(event, BoxFinished)
        return event


def verdict_of(number: int, verdict: Verdict, *, tier: int = 1, green: bool = False) -> BoxFinished:
    return BoxFinished(box=BoxId("", number), tier=tier, title="", verdict=verdict, green=green, at=1.0)


def test_a_run_is_told_from_its_plan_to_its_end() -> None:
    story = Story([box(1), box(2, tier=2)])

    assert [type(event).__name__ for event in story.events] == [
        *("RunStarted", "TierStarted", "BoxStarted", "BoxFinished", "TierFinished"),
        *("TierStarted", "BoxStarted", "BoxFinished", "TierFinished", "RunFinished"),
    ]
    assert story.last == story.events[-1]
    assert (story.last.exit_code, story.last.counts) == (0, {"passed": 2})


def test_the_next_tier_is_blocked_by_the_red_box_and_the_one_after_it_by_the_same() -> None:
    story = Story([box(1), box(2), box(3, tier=2), box(4, tier=3)], {2: [RED]})

    assert story.verdicts() == {1: "passed", 2: "failed", 3: "blocked", 4: "blocked"}
    assert [story.finished(number).blocked_by for number in (3, 4)] == ["2", "2"]
    assert story.finished(3).reason == "box 2 of an earlier tier is red"
    assert [(event.tier, event.green) for event in story.of(TierFinished)] == [(1, False), (2, False), (3, False)]
    assert [event.tier for event in story.of(TierStarted)] == [1]
    assert story.last.exit_code == 1


def test_a_red_box_lets_the_rest_of_its_tier_run() -> None:
    assert Story([box(1), box(2), box(3)], {1: [RED]}, jobs=1).verdicts() == {1: "failed", 2: "passed", 3: "passed"}


def test_fail_fast_box_starts_nothing_after_the_first_red_box() -> None:
    story = Story([box(1), box(2), box(3, tier=2)], {1: [RED]}, jobs=1, fail_fast="box")

    assert story.verdicts() == {1: "failed", 2: "blocked", 3: "blocked"}
    assert story.finished(2).blocked_by == "1"


def test_fail_fast_never_opens_every_gate() -> None:
    story = Story([box(1), box(2, tier=2)], {1: [RED]}, fail_fast="never")

    assert story.verdicts() == {1: "failed", 2: "passed"}
    assert story.last.exit_code == 1


def test_a_quarantined_red_box_is_listed_and_does_not_gate_until_its_date() -> None:
    until_today = Quarantine(until=TODAY, reason="known")
    story = Story([box(1, quarantine=until_today), box(2, tier=2)], {1: [RED]})
    assert (story.verdicts(), story.last.exit_code) == ({1: "failed", 2: "passed"}, 0)
    assert not story.finished(1).gating

    until_yesterday = Quarantine(until="2026-05-03", reason="known")
    story = Story([box(1, quarantine=until_yesterday), box(2, tier=2)], {1: [RED]})
    assert (story.verdicts(), story.last.exit_code) == ({1: "failed", 2: "blocked"}, 1)


@pytest.mark.parametrize(
    ("keys", "attempts", "policy", "expected"),
    [
        pytest.param({}, [RED, GREEN], {}, ("failed", False, 1), id="no-retries"),
        pytest.param({"retries": 2}, [RED, GREEN], {}, ("flaky", True, 2), id="flaky-is-green"),
        pytest.param({"retries": 2}, [RED, GREEN], {"flaky_fails": True}, ("flaky", False, 2), id="flaky-fails"),
        pytest.param(
            {"retries": 2, "flaky": "pass"},
            [RED, GREEN],
            {"flaky_fails": True},
            ("flaky", True, 2),
            id="the-box-decides",
        ),
        pytest.param({"retries": 2}, [RED], {}, ("failed", False, 3), id="used-up"),
        pytest.param({"retries": 2}, [RED], {"retries": 0}, ("failed", False, 1), id="overridden"),
        pytest.param({"retries": 2}, [EMPTY, GREEN], {}, ("vacuous", False, 1), id="vacuous-is-not-retried"),
        pytest.param({"retries": 2}, [SKIPS, GREEN], {}, ("skipped", False, 1), id="skipped-is-not-retried"),
        pytest.param({"may_skip": True}, [SKIPS], {}, ("skipped", True, 1), id="may-skip"),
    ],
)
def test_retries(
    keys: dict[str, Any], attempts: list[Attempt], policy: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    event = Story([box(1, **keys)], {1: attempts}, **policy).finished(1)

    assert (event.verdict, event.green, event.attempts) == expected


def test_a_flaky_box_says_how_it_was_red_and_how_long_all_its_attempts_took() -> None:
    event = Story([box(1, retries=1)], {1: [RED, GREEN]}).finished(1)

    assert (event.reason, event.exit_code, event.seconds) == ("exit 1", 1, 2.0)


def test_a_box_waits_for_what_it_comes_after_and_is_blocked_when_that_is_red() -> None:
    story = Story([box(1, after=[2]), box(2), box(3)], jobs=3)
    assert story.executor.interval(BoxId("", 1)).start >= story.executor.interval(BoxId("", 2)).end

    story = Story([box(1, after=[2]), box(2), box(3)], {2: [RED]}, jobs=3)
    assert story.verdicts() == {2: "failed", 3: "passed", 1: "blocked"}
    assert (story.finished(1).blocked_by, story.finished(1).reason) == ("2", "box 2 is red")


def test_a_box_runs_when_what_it_comes_after_was_not_selected() -> None:
    assert Story([box(1, after=[2])]).verdicts() == {1: "passed"}


def test_done_boxes_are_announced_not_run_and_counted() -> None:
    story = Story([box(1), box(2, tier=2)], done=[verdict_of(1, Verdict.PASSED, green=True)])

    (started,) = story.of(RunStarted)
    assert [(planned.box.number, planned.done) for planned in started.boxes] == [(1, True), (2, False)]
    assert story.verdicts() == {2: "passed"}
    assert (story.last.exit_code, story.last.counts) == (0, {"passed": 2})


@pytest.mark.parametrize("planned", [pytest.param(True, id="in-the-plan"), pytest.param(False, id="not-in-the-plan")])
def test_a_red_box_of_an_earlier_run_keeps_the_gate_closed(planned: bool) -> None:
    boxes = [box(1), box(2, tier=2)] if planned else [box(2, tier=2)]
    story = Story(boxes, done=[verdict_of(1, Verdict.FAILED)])

    assert story.verdicts() == {2: "blocked"}
    assert story.finished(2).blocked_by == "1"
    assert story.last.exit_code == 1


@pytest.mark.parametrize("verdict", [Verdict.BLOCKED, Verdict.CANCELLED])
def test_a_box_that_did_not_run_the_last_time_is_due(verdict: Verdict) -> None:
    assert Story([box(1)], done=[verdict_of(1, verdict)]).verdicts() == {1: "passed"}


def test_a_failed_setup_blocks_every_box() -> None:
    story = Story([box(1), box(2, tier=2)], prepare=lambda: False)

    assert story.executor.played == []
    assert {event.blocked_by for event in story.of(BoxFinished)} == {"setup"}
    assert story.verdicts() == {1: "blocked", 2: "blocked"}
    assert story.last.exit_code == 1


def test_the_setup_is_not_prepared_when_nothing_is_left_to_run() -> None:
    prepared: list[str] = []

    def prepare() -> bool:
        prepared.append("once")
        return True

    story = Story([box(1)], done=[verdict_of(1, Verdict.PASSED, green=True)], prepare=prepare)
    assert (prepared, story.last.exit_code) == ([], 0)

    Story([box(1), box(2)], prepare=prepare)
    assert prepared == ["once"]


def test_draining_lets_running_boxes_end_and_starts_nothing_more() -> None:
    story = Story([box(1), box(2), box(3, tier=2)], jobs=1, stop_after={1: "drain"})

    assert story.verdicts() == {1: "passed", 2: "cancelled", 3: "cancelled"}
    assert story.last.exit_code == 5


def test_a_red_box_that_somebody_answers_for_is_listed_and_does_not_gate() -> None:
    story = Story([box(1), box(2), box(3, tier=2)], {1: [RED]}, excused=[BoxId("", 1)])

    assert story.verdicts() == {1: "failed", 2: "passed", 3: "passed"}
    assert (story.finished(1).gating, story.last.exit_code, story.last.green) == (False, 0, True)


def test_a_second_interrupt_ends_what_the_first_one_let_run() -> None:
    takes = {
        number: [Attempt(outcome=Verdict.PASSED, seconds=seconds)] for number, seconds in ((1, 1), (2, 2), (3, 99))
    }
    story = Story([box(1), box(2), box(3), box(4)], takes, jobs=3, stop_after={1: "drain", 2: "kill"})

    assert story.verdicts() == {1: "passed", 2: "passed", 3: "cancelled", 4: "cancelled"}
    assert (story.last.exit_code, story.executor.now) == (5, 1002.0)


def test_an_interrupt_is_never_green_even_when_every_box_still_passed() -> None:
    story = Story([box(1)], stop_after={1: "drain"})

    assert story.verdicts() == {1: "passed"}
    assert (story.last.exit_code, story.last.green) == (5, False)


def test_a_box_that_something_else_cancelled_makes_the_run_interrupted() -> None:
    story = Story([box(1), box(2)], {1: [Attempt(outcome=Verdict.CANCELLED, seconds=1.0)]})

    assert story.verdicts() == {1: "cancelled", 2: "passed"}
    assert (story.last.exit_code, story.last.green) == (5, False)


def test_a_box_that_was_red_and_waits_for_its_retry_is_failed_and_not_blocked() -> None:
    story = Story([box(1, retries=1), box(2)], {1: [RED, GREEN], 2: [RED]}, fail_fast="box")

    assert story.verdicts() == {1: "failed", 2: "failed"}
    assert (story.finished(1).attempts, story.finished(1).reason, story.finished(1).blocked_by) == (1, "exit 1", "")


def test_killing_cancels_what_runs() -> None:
    long = Attempt(outcome=Verdict.PASSED, seconds=500.0)
    story = Story([box(1), box(2)], {1: [long]}, stop_after={1: "kill"})

    assert story.verdicts() == {1: "cancelled", 2: "passed"}
    assert (story.last.exit_code, story.executor.now) == (5, 1001.0)


def test_a_stop_before_the_first_box_starts_none() -> None:
    story = Story([box(1)], stop_after={0: "kill"})

    assert (story.verdicts(), story.executor.played, story.last.exit_code) == ({1: "cancelled"}, [], 5)


def test_slow_boxes_and_leaks_are_told_and_judge_nothing() -> None:
    leaky = Attempt(outcome=Verdict.PASSED, seconds=5.0, leaked=["sleep 9 (pid 7)"])
    story = Story([box(1, slow=2.0)], {1: [leaky]})

    assert [(event.box.number, event.seconds) for event in story.of(BoxSlow)] == [(1, 2.0)]
    assert [event.message for event in story.of(Warned)] == ["box 1 left processes running, ended: sleep 9 (pid 7)"]
    assert story.finished(1).leaked == ("sleep 9 (pid 7)",)
    assert story.last.exit_code == 0


def test_boxes_that_wait_for_each_other_end_as_blocked_and_not_never() -> None:
    story = Story(Plan([[box(1, after=[2]), box(2, after=[1])]]))

    assert story.verdicts() == {1: "blocked", 2: "blocked"}


OUTCOMES = [GREEN, RED, SKIPS, EMPTY, Attempt(outcome=Verdict.ERRORED, seconds=0.5)]


@st.composite
def suites(draw: st.DrawFn) -> tuple[list[Box], dict[int, list[Attempt]]]:
    """A suite of any shape: `after` points to smaller numbers of the same or an earlier tier."""
    tiers = sorted(draw(st.lists(st.integers(1, 3), min_size=1, max_size=10)))
    boxes = []
    for number, tier in enumerate(tiers, 1):
        after = draw(st.sets(st.integers(1, number - 1), max_size=2)) if number > 1 else ()
        locks = draw(st.sets(st.sampled_from(["db", "port"]), max_size=2))
        boxes.append(box(number, tier, after=sorted(after), locks=sorted(locks), retries=draw(st.integers(0, 2))))
    attempts = st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=3)
    return boxes, {number: draw(attempts) for number in range(1, len(boxes) + 1) if draw(st.booleans())}


@given(
    suite=suites(), jobs=st.integers(1, 4), stop=st.dictionaries(st.integers(0, 4), st.sampled_from(["drain", "kill"]))
)
def test_every_planned_box_gets_exactly_one_verdict(
    suite: tuple[list[Box], dict[int, list[Attempt]]], jobs: int, stop: dict[int, str]
) -> None:
    boxes, script = suite
    story = Story(boxes, script, jobs=jobs, stop_after=dict(sorted(stop.items())))

    assert sorted(event.box for event in story.of(BoxFinished)) == [box.id for box in boxes]
    assert sum(story.last.counts.values()) == len(boxes)
    assert story.last.green == (story.last.exit_code == 0)


@given(suite=suites(), jobs=st.integers(1, 4))
def test_never_more_at_once_than_jobs_and_never_two_with_one_lock(
    suite: tuple[list[Box], dict[int, list[Attempt]]], jobs: int
) -> None:
    story = Story(*suite, jobs=jobs)

    assert story.executor.most <= jobs
    for one, other in combinations(story.executor.played, 2):
        if set(one.job.box.locks) & set(other.job.box.locks):
            assert not one.overlaps(other)


@given(suite=suites(), jobs=st.integers(1, 4))
def test_no_box_starts_before_its_earlier_tiers_are_complete_and_green(
    suite: tuple[list[Box], dict[int, list[Attempt]]], jobs: int
) -> None:
    boxes, script = suite
    story = Story(boxes, script, jobs=jobs)

    tier_of = {box.id: box.tier for box in boxes}
    complete: dict[BoxId, bool] = {}
    for event in story.events:
        if isinstance(event, BoxFinished):
            complete[event.box] = event.green
        elif isinstance(event, BoxStarted):
            earlier = [box_id for box_id, tier in tier_of.items() if tier < event.tier]
            assert all(complete.get(box_id) for box_id in earlier)


@given(suite=suites(), jobs=st.integers(1, 4))
def test_a_run_is_green_exactly_when_every_box_is(suite: tuple[list[Box], dict[int, list[Attempt]]], jobs: int) -> None:
    story = Story(*suite, jobs=jobs)

    assert story.last.green == all(event.green for event in story.of(BoxFinished))
    assert isinstance(story.events[-1], RunFinished)
