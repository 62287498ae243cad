from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model import Box, BoxId
from runner.shards import Shard, part, read_shard
from tests.runner.boxes import box
from tests.runner.command_line import Repository

if TYPE_CHECKING:
    from pathlib import Path


def ids(*numbers: int) -> list[BoxId]:
    return [BoxId("", number) for number in numbers]


def parts(boxes: list[Box], of: int, durations: dict[int, float]) -> list[list[int]]:
    known = {BoxId("", number): seconds for number, seconds in durations.items()}
    return [[box.id.number for box in part(boxes, known, Shard(index, of))] for index in range(1, of + 1)]


@pytest.mark.parametrize(
    ("text", "shard"),
    [
        pytest.param("1/1", Shard(1, 1), id="all"),
        pytest.param("5/5", Shard(5, 5), id="the-last"),
        pytest.param("0/5", None, id="counted-from-one"),
        pytest.param("6/5", None, id="beyond-the-last"),
        pytest.param("1/0", None, id="of-none"),
        pytest.param("1/257", None, id="more-than-a-matrix-has"),
        pytest.param("1", None, id="of-what"),
        pytest.param("-1/2", None, id="negative"),
        pytest.param("1/2\n", None, id="a-line-end"),
        pytest.param("\u0661/\u0662", None, id="other-digits"),
    ],
)
def test_a_shard_is_read_or_refused(text: str, shard: Shard | None) -> None:
    assert read_shard(text) == shard
    assert shard is None or str(shard) == text


def test_parts_are_about_equally_long() -> None:
    durations = {1: 8.0, 2: 4.0, 3: 3.0, 4: 1.0}
    assert parts([box(number) for number in durations], 2, durations) == [[1], [2, 3, 4]]


def test_each_tier_is_dealt_out_by_itself() -> None:
    boxes = [box(1, 1), box(2, 1), box(3, 2), box(4, 2)]
    assert parts(boxes, 2, {1: 9.0, 2: 1.0, 3: 5.0, 4: 4.0}) == [[1, 4], [2, 3]]


def test_boxes_that_wait_for_one_another_stay_together() -> None:
    boxes = [box(1), box(2, after=ids(1)), box(3, after=ids(2)), box(4)]
    assert parts(boxes, 2, dict.fromkeys(range(1, 5), 1.0)) == [[1, 2, 3], [4]]


def test_a_box_that_waits_for_one_that_was_not_selected_stays_with_nobody() -> None:
    boxes = [box(2, after=ids(1)), box(3, after=ids(1))]
    assert parts(boxes, 2, {}) == [[2], [3]]


@given(st.data())
def test_every_box_is_in_exactly_one_part_whatever_the_order_in_which_they_are_given(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 12))
    boxes = [
        box(
            number,
            data.draw(st.integers(1, 3)),
            after=ids(*data.draw(st.sets(st.integers(0, number - 1), max_size=2))) if number else [],
        )
        for number in range(count)
    ]
    known = data.draw(st.dictionaries(st.sampled_from(range(12)), st.floats(0, 1e6)))
    of = data.draw(st.integers(1, 5))
    shared = parts(boxes, of, known)
    assert sorted(number for numbers in shared for number in numbers) == list(range(count))
    again = parts(data.draw(st.permutations(boxes)), of, known)
    assert [sorted(numbers) for numbers in again] == [sorted(numbers) for numbers in shared]
    where = {number: place for place, numbers in enumerate(shared) for number in numbers}
    assert all(where[box.id.number] == where[earlier.number] for box in boxes for earlier in box.after)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    for number in (1, 2, 3):
        made.box(number, "exit 0")
    return made


def test_the_shards_of_a_run_have_all_boxes_and_none_twice(repository: Repository) -> None:
    ran = [set(repository.verdicts("--shard", f"{index}/2")) for index in (1, 2)]
    assert ran == [{1, 3}, {2}]


def test_what_one_machine_remembers_changes_no_shard(repository: Repository) -> None:
    repository.box(4, "exit 1")
    assert repository.runner("run").code == 1
    # `failed` is a memory too, and this machine's alone.
    ended = repository.runner("run", "failed", "--shard", "1/2")
    assert (ended.code, ended.err) == (4, "runner: no box was red in the last run\n")


def test_a_shard_reads_the_named_history_and_leaves_it_as_it_was(repository: Repository, tmp_path: Path) -> None:
    history = tmp_path / "history.json"
    seconds = {"1": 9.0, "2": 1.0, "3": 1.0}
    boxes = {number: {"seconds": [each], "red": False} for number, each in seconds.items()}
    history.write_text(json.dumps({"schema": "runner.history/1", "boxes": boxes}))
    before = history.read_bytes()
    ran = [set(repository.verdicts("--shard", f"{index}/2", "--history", str(history))) for index in (1, 2)]
    assert ran == [{1}, {2, 3}]
    assert history.read_bytes() == before


@pytest.mark.parametrize("command", ["run", "falsify"])
def test_an_empty_shard_is_green(repository: Repository, command: str) -> None:
    ended = repository.runner(command, "--shard", "9/9")
    assert (ended.code, ended.err) == (0, "")
    assert "0 boxes" in ended.out


def test_a_shard_that_cannot_be_read_is_a_mistake_of_the_command_line(repository: Repository) -> None:
    ended = repository.runner("run", "--shard", "3/2")
    assert (ended.code, ended.err) == (2, "runner: --shard must be such as 2/5, not '3/2' (see `runner --help`)\n")
