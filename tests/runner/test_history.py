from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.events import BoxFinished
from runner.history import KEPT, History
from runner.model import BoxId, Verdict

TWENTY_ONE = BoxId("", 21)


def finished(verdict: str, *, seconds: float = 1.0, green: bool = False, box: BoxId = TWENTY_ONE) -> BoxFinished:
    return BoxFinished(box=box, tier=1, title="x", verdict=Verdict(verdict), green=green, at=0.0, seconds=seconds)


def test_what_is_recorded_is_there_after_saving_and_loading(tmp_path: Path) -> None:
    path = str(tmp_path / "state" / "history.json")
    history = History.load(path)
    history.record(finished("passed", seconds=2.0, green=True))
    history.record(finished("failed", seconds=4.0, box=BoxId("api", 3)))
    assert history.save()
    again = History.load(path)
    assert again.durations() == {TWENTY_ONE: 2.0, BoxId("api", 3): 4.0}
    assert again.failed() == {BoxId("api", 3)}
    assert [entry.name for entry in (tmp_path / "state").iterdir()] == ["history.json"]


def test_a_duration_is_the_median_of_the_last_ones() -> None:
    history = History("")
    for seconds in [100.0] * 10 + [1.0, 2.0, 3.0, 10.0] * 5:
        history.record(finished("passed", seconds=seconds, green=True))
    assert history.durations() == {TWENTY_ONE: 2.5}


def test_the_file_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    history = History(str(path))
    for _ in range(3 * KEPT):
        history.record(finished("passed", green=True))
    history.save()
    assert len(json.loads(path.read_text())["boxes"]["21"]["seconds"]) == KEPT


@pytest.mark.parametrize(
    ("verdict", "green", "red"),
    [
        pytest.param("passed", True, False, id="passed"),
        pytest.param("failed", False, True, id="failed"),
        pytest.param("vacuous", False, True, id="vacuous"),
        pytest.param("skipped", True, False, id="skipped-that-may"),
        pytest.param("skipped", False, True, id="skipped-that-may-not"),
        pytest.param("flaky", False, True, id="flaky-where-that-is-red"),
    ],
)
def test_failed_is_what_was_last_not_green(verdict: str, green: bool, red: bool) -> None:
    history = History("")
    history.record(finished("passed" if red else "failed", green=red))
    history.record(finished(verdict, green=green))
    assert history.failed() == ({TWENTY_ONE} if red else set())


@pytest.mark.parametrize("before", ["passed", "failed"])
@pytest.mark.parametrize("verdict", ["blocked", "cancelled"])
def test_a_box_that_was_held_back_is_not_green_and_keeps_its_durations(verdict: str, before: str) -> None:
    history = History("")
    history.record(finished(before, seconds=3.0, green=before == "passed"))
    history.record(finished(verdict, seconds=0.0))
    assert history.failed() == {TWENTY_ONE}
    assert history.durations() == {TWENTY_ONE: 3.0}


@pytest.mark.parametrize("verdict", ["skipped", "errored", "vacuous", "cached"])
def test_an_attempt_that_did_no_work_teaches_no_duration(verdict: str) -> None:
    history = History("")
    history.record(finished(verdict, seconds=0.01))
    assert history.durations() == {}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("{", id="cut-off"),
        pytest.param("[]", id="list"),
        pytest.param('{"schema": "runner.history/9", "boxes": {}}', id="another-schema"),
        pytest.param('{"schema": "runner.history/1", "boxes": {"x": {"seconds": [], "red": true}}}', id="no-number"),
        pytest.param(
            '{"schema": "runner.history/1", "boxes": {"21": {"seconds": [1], "red": true}, "2": 1}}', id="half"
        ),
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_a_file_that_cannot_be_read_is_an_empty_history(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    history = History.load(str(path))
    assert (history.durations(), history.failed()) == ({}, set())
    history.record(finished("passed", green=True))
    assert history.save()
    assert History.load(str(path)).durations() == {TWENTY_ONE: 1.0}


def test_numbers_that_are_none_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    path.write_text('{"schema": "runner.history/1", "boxes": {"21": {"seconds": [NaN, -1, "x", 2.0], "red": false}}}')
    assert History.load(str(path)).durations() == {TWENTY_ONE: 2.0}


def test_a_place_that_cannot_be_written_costs_only_the_history(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    history = History(str(tmp_path / "file" / "history.json"))
    history.record(finished("passed", green=True))
    assert not history.save()
