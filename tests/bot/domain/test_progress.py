from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.domain.progress import Phase, Progress
from runner.events import BoxFinished, BoxSlow, Event, RunStarted, SetupFinished, SetupStarted, TierFinished, Warned
from runner.model import BoxId, Verdict
from tests.bot.domain.story import (
    TIERS,
    all_green,
    finished,
    planned,
    run_finished,
    run_started,
    started,
    tier_two_red,
)

VERDICTS = st.sampled_from(list(Verdict))


@st.composite
def box_stories(draw: st.DrawFn) -> dict[int, list[Event]]:
    """For each box, its own events in order; a story may stop anywhere, as after a kill."""
    stories: dict[int, list[Event]] = {}
    for number in TIERS:
        story: list[Event] = [started(number)]
        if draw(st.booleans()):
            story.append(BoxSlow(box=BoxId("", number), seconds=1.0, at=1001.5))
        if draw(st.booleans()):
            story.append(started(number, at=1001.7, attempt=2))
        story.append(finished(number, draw(VERDICTS), gating=draw(st.booleans())))
        stories[number] = story[: draw(st.integers(0, len(story)))]
    return stories


@st.composite
def interleaved(draw: st.DrawFn, stories: dict[int, list[Event]]) -> list[Event]:
    queues = {number: list(story) for number, story in stories.items() if story}
    events: list[Event] = []
    while queues:
        number = draw(st.sampled_from(sorted(queues)))
        events.append(queues[number].pop(0))
        if not queues[number]:
            del queues[number]
    return events


@given(box_stories(), st.data())
def test_folding_a_beginning_and_then_the_rest_is_folding_all(
    stories: dict[int, list[Event]], data: st.DataObject
) -> None:
    events = [run_started(), *data.draw(interleaved(stories)), run_finished()]
    at = data.draw(st.integers(0, len(events)))
    assert Progress.of(events[:at]).fold(events[at:]) == Progress.of(events)


@given(box_stories(), st.data())
def test_the_order_of_different_boxes_does_not_matter(stories: dict[int, list[Event]], data: st.DataObject) -> None:
    one, other = data.draw(interleaved(stories)), data.draw(interleaved(stories))
    assert Progress.of([run_started(), *one]) == Progress.of([run_started(), *other])


@given(box_stories(), st.booleans(), st.data())
def test_nothing_is_green_while_a_box_has_not_run(
    stories: dict[int, list[Event]], ended: bool, data: st.DataObject
) -> None:
    end = [run_finished(green=True)] if ended else []
    progress = Progress.of([run_started(), *data.draw(interleaved(stories)), *end])
    ran = {
        event.box.number
        for story in stories.values()
        for event in story
        if isinstance(event, BoxFinished) and event.verdict not in {Verdict.BLOCKED, Verdict.CANCELLED}
    }
    if not ended or ran != set(TIERS):
        assert not progress.green
    for tier in progress.tiers:
        assert not (tier.green and {box.box.number for box in tier.boxes} - ran)


def test_a_run_of_green_boxes_is_green() -> None:
    progress = Progress.of(all_green())
    assert progress.green
    assert [tier.green for tier in progress.tiers] == [True, True, True]
    assert progress.counts == {"passed": 5}


def test_a_run_without_boxes_is_not_green() -> None:
    assert not Progress.of([RunStarted(run_id="r", at=1.0, jobs=1, boxes=()), run_finished()]).green


def test_a_run_that_was_cut_off_is_not_green() -> None:
    assert not Progress.of(all_green()[:-1]).green


def test_a_red_box_makes_its_tier_red_and_the_blocked_tier_not_run() -> None:
    tiers = Progress.of(tier_two_red()).tiers
    assert [(tier.number, tier.green, tier.red, tier.did_not_run) for tier in tiers] == [
        (1, True, False, False),
        (2, False, True, False),
        (3, False, False, True),
    ]


def test_a_red_box_in_quarantine_does_not_gate() -> None:
    progress = Progress.of([run_started(7), finished(7, Verdict.FAILED, gating=False), run_finished()])
    assert progress.green
    assert progress.boxes[0].red_in_quarantine


def test_a_blocked_box_in_quarantine_is_not_green() -> None:
    progress = Progress.of([run_started(7), finished(7, Verdict.BLOCKED, gating=False), run_finished()])
    assert not progress.green


def test_a_failed_box_that_calls_itself_green_is_red() -> None:
    lie = finished(7, Verdict.FAILED)
    lie.green = True
    assert not Progress.of([run_started(7), lie, run_finished()]).green


def test_kept_verdicts_count_beside_a_partial_run() -> None:
    kept = [finished(n) for n in (7, 12, 22, 30)]
    progress = Progress.of([run_started(21), finished(21), run_finished()], kept=kept, expected=planned(*TIERS))
    assert progress.green
    assert [box.box.number for box in progress.boxes if box.kept] == [7, 12, 22, 30]


def test_a_box_that_runs_again_is_not_kept() -> None:
    progress = Progress.of([run_started(21)], kept=[finished(21)])
    (box,) = progress.boxes
    assert (box.phase, box.kept, box.green) == (Phase.QUEUED, False, False)


def test_a_box_of_the_suite_that_nobody_ran_is_missing_and_nothing_is_green() -> None:
    progress = Progress.of([run_started(21), finished(21), run_finished()], expected=planned(21, 22))
    assert progress.counts == {"missing": 1, "passed": 1}
    assert not progress.green


def test_a_box_that_the_plan_calls_done_without_a_verdict_is_missing() -> None:
    progress = Progress.of([run_started(7, 12, done=(7,)), finished(12), run_finished()])
    assert progress.counts == {"missing": 1, "passed": 1}
    assert not progress.green


def test_a_continued_run_keeps_what_was_done_and_queues_what_was_running() -> None:
    killed: list[Event] = [run_started(), finished(7), started(12)]
    again: list[Event] = [run_started(done=(7,), at=2000.0)]
    progress = Progress.of([*killed, *again])
    assert {box.box.number: box.phase for box in progress.boxes if TIERS[box.box.number] == 1} == {
        7: Phase.FINISHED,
        12: Phase.QUEUED,
    }
    assert progress.at == 1000.0


def test_a_continued_run_is_not_finished_by_the_end_of_its_first_part() -> None:
    assert not Progress.of([*all_green(), run_started(21)]).finished


def test_a_retry_counts_from_the_first_attempt() -> None:
    (box,) = Progress.of([run_started(21), started(21, at=1.0), started(21, at=5.0, attempt=2)]).boxes
    assert (box.started, box.attempt) == (1.0, 2)


def test_setup_tiers_and_warnings_are_remembered() -> None:
    progress = Progress.of(
        [
            run_started(7),
            SetupStarted(suite="", run="make deps", at=1000.0),
            SetupFinished(suite="", ok=False, seconds=3.0, reason="exit code 2", output="no rule", at=1003.0),
            TierFinished(tier=1, green=True, seconds=4.0, at=1010.0),
            Warned(message="no bubblewrap", at=1.0),
            Warned(message="no bubblewrap", at=2.0),
        ]
    )
    (setup,) = progress.failed_setups
    assert (setup.run, setup.reason, setup.seconds) == ("make deps", "exit code 2", 3.0)
    assert progress.tier_seconds == {1: 4.0}
    assert progress.warnings == ("no bubblewrap",)


def test_a_late_start_does_not_undo_a_verdict() -> None:
    (box,) = Progress.of([run_started(21), finished(21), started(21, attempt=2)]).boxes
    assert (box.phase, box.green) == (Phase.FINISHED, True)
