from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import BadMetadata, Cycle
from runner.model import Box, BoxId
from runner.plan import check_after, plan
from tests.runner.boxes import box


def ids(*numbers: int) -> list[BoxId]:
    return [BoxId("", number) for number in numbers]


def order(boxes: list[Box], durations: dict[int, float]) -> list[list[int]]:
    known = {BoxId("", number): seconds for number, seconds in durations.items()}
    return [[box.id.number for box in tier] for tier in plan(boxes, known).tiers]


def test_tiers_ascend_and_the_longest_goes_first_within_each() -> None:
    boxes = [box(5, 2), box(1, 1), box(2, 1), box(3, 1)]
    assert order(boxes, {1: 1.0, 2: 3.0, 3: 2.0, 5: 9.0}) == [[2, 3, 1], [5]]


def test_equally_long_boxes_go_by_number() -> None:
    assert order([box(3), box(1), box(2)], {}) == [[1, 2, 3]]


def test_a_box_without_history_counts_for_its_timeout() -> None:
    assert order([box(1), box(2, timeout=600), box(3, timeout=5)], {1: 50.0}) == [[2, 1, 3]]


def test_a_chain_of_waiting_boxes_counts_for_the_box_that_it_waits_for() -> None:
    boxes = [box(1), box(2), box(3, after=ids(1))]
    assert order(boxes, {1: 1.0, 2: 5.0, 3: 5.0}) == [[1, 2, 3]]


def test_after_a_box_of_an_earlier_tier_changes_no_order() -> None:
    assert order([box(1, 1), box(2, 2), box(3, 2, after=ids(1))], {1: 1.0, 2: 2.0, 3: 1.0}) == [[1], [2, 3]]


@given(st.data())
def test_the_plan_holds_every_box_once_and_none_before_what_it_waits_for(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    boxes = [
        box(
            number,
            data.draw(st.integers(1, 3)),
            after=ids(*data.draw(st.sets(st.integers(0, number - 1), max_size=3))) if number else [],
        )
        for number in range(count)
    ]
    durations = data.draw(st.dictionaries(st.sampled_from(ids(*range(count))), st.floats(0, 1e6)))
    planned = plan(boxes, durations)
    assert sorted(box.id for box in planned.boxes) == ids(*range(count))
    for tier in planned.tiers:
        assert len({box.tier for box in tier}) == 1
        place = {box.id: position for position, box in enumerate(tier)}
        assert all(place[earlier] < place[box.id] for box in tier for earlier in box.after if earlier in place)
    assert [tier[0].tier for tier in planned.tiers] == sorted({box.tier for box in boxes})


def test_a_chain_of_ten_thousand_boxes_is_no_trouble() -> None:
    boxes = [box(number, source="x", after=ids(number - 1) if number else []) for number in range(10_000)]
    check_after(boxes)
    assert [box.id.number for box in plan(boxes, {}).boxes] == list(range(10_000))


@pytest.mark.parametrize(
    ("boxes", "error", "said"),
    [
        pytest.param(
            [box(1, after=ids(1), source="b/1.sh", line=4)],
            Cycle,
            "b/1.sh:4: boxes wait for each other: 1 → 1 (take one `after` away)",
            id="itself",
        ),
        pytest.param(
            [box(1, source="b/1.sh"), box(9, after=ids(2)), box(2, after=ids(3)), box(3, after=ids(2, 1))],
            Cycle,
            "boxes/tier-1/02_box.sh:1: boxes wait for each other: 2 → 3 → 2 (take one `after` away)",
            id="a-circle-and-a-box-behind-it",
        ),
        pytest.param(
            [box(4, after=[BoxId("api", 7)])],
            BadMetadata,
            "boxes/tier-1/04_box.sh:1: box 4 waits for box api/7, which does not exist (mend its `after`)",
            id="unknown",
        ),
        pytest.param(
            [box(4, after=ids(5)), box(5, 2)],
            BadMetadata,
            "boxes/tier-1/04_box.sh:1: box 4 in tier 1 waits for box 5 in the later tier 2"
            " (`after` names boxes of the same or an earlier tier)",
            id="later-tier",
        ),
    ],
)
def test_an_after_that_cannot_be_honoured_is_refused(boxes: list[Box], error: type[Exception], said: str) -> None:
    with pytest.raises(error) as refused:
        check_after(boxes)
    assert str(refused.value) == said
