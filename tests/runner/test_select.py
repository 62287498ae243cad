from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import BadSelection, NothingSelected
from runner.model import Box, BoxId
from runner.select import DEEPEST, LONGEST, parse, select
from tests.runner.boxes import box

BOXES = (
    box(1, 1),
    box(7, 1, tags=["smoke"]),
    box(21, 2, tags=["smoke", "slow"]),
    box(22, 3),
    box(41, 4),
    box(21, 2, suite="api"),
    box(30, 3, suite="api", tags=["db"]),
)
FAILED = [BoxId("", 21), BoxId("api", 30), BoxId("", 99)]


def changed(ref: str) -> list[BoxId]:
    return {"origin/main": [BoxId("", 1), BoxId("api", 21)]}.get(ref, [])


def chosen(text: str, boxes: tuple[Box, ...] = BOXES) -> list[str]:
    try:
        return [str(box.id) for box in select(text, boxes, failed=FAILED, changed=changed)]
    except NothingSelected:
        return []


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        pytest.param("21", "21", id="a-number-is-of-the-repository's-own-suite"),
        pytest.param("021", "21", id="leading-zeros-as-in-file-names"),
        pytest.param("21-41", "21 22 41", id="a-range-takes-the-numbers-that-exist"),
        pytest.param("api/21", "api/21", id="a-suite's-number"),
        pytest.param("api/21-30", "api/21 api/30", id="a-suite's-range"),
        pytest.param("api/all", "api/21 api/30", id="a-suite"),
        pytest.param("tier:2", "21 api/21", id="a-tier-of-every-suite"),
        pytest.param("tier 2", "21 api/21", id="a-tier-in-two-words"),
        pytest.param("TIER 2 OR All", "1 7 21 22 41 api/21 api/30", id="keywords-in-any-case"),
        pytest.param("tier:1-2", "1 7 21 api/21", id="tiers"),
        pytest.param("tier:..2", "1 7 21 api/21", id="tiers-up-to"),
        pytest.param("tier:3..", "22 41 api/30", id="tiers-from"),
        pytest.param("tag:smoke", "7 21", id="a-tag"),
        pytest.param("failed", "21 api/30", id="failed-boxes-that-still-exist"),
        pytest.param("changed:origin/main", "1 api/21", id="changed-since-a-ref"),
        pytest.param("all", "1 7 21 22 41 api/21 api/30", id="all"),
        pytest.param("41, 1 7", "1 7 41", id="comma-and-space-are-or-and-order-is-the-suite's"),
        pytest.param("tier:1 and not tag:smoke", "1", id="and-not"),
        pytest.param("1 or tier:2 and tag:slow", "1 21", id="and-before-or"),
        pytest.param("(1 or tier:2) and tag:slow", "21", id="parentheses"),
        pytest.param("not tier:1-3", "41", id="not"),
        pytest.param("not all", "", id="nothing"),
    ],
)
def test_each_form_names_its_boxes(text: str, ids: str) -> None:
    assert " ".join(chosen(text)) == ids


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        pytest.param("", 0, "the selection is empty (`all` selects every box)", id="empty"),
        pytest.param("1, 99", 3, "no box 99 (nearest: 41)", id="unknown-number"),
        pytest.param("30", 0, "no box 30 (did you mean api/30?)", id="the-number-lives-in-a-suite"),
        pytest.param("not 99", 4, "no box 99 (nearest: 41)", id="unknown-number-under-not"),
        pytest.param("1 or (7 and 99)", 12, "no box 99 (nearest: 41)", id="unknown-number-where-it-could-not-matter"),
        pytest.param("8-20", 0, "no box in the range 8-20 (numbers go from 1 to 41)", id="empty-range"),
        pytest.param("41-21", 0, "the range 41-21 ends before it begins (21-41)", id="reversed-range"),
        pytest.param("apo/21", 0, "no suite `apo` (did you mean api?)", id="unknown-suite"),
        pytest.param("tier:9", 0, "no box has tier 9 (there are: 1, 2, 3, 4)", id="unknown-tier"),
        pytest.param("tag:smok", 0, "no box has tag smok (did you mean smoke?)", id="unknown-tag"),
        pytest.param("tier", 0, "`tier` needs a number (tier:4, tier:1-3, tier:..3 or tier:2..)", id="tier-of-what"),
        pytest.param(
            "tier:two", 0, "`two` is not a tier (tier:4, tier:1-3, tier:..3 or tier:2..)", id="tier-in-letters"
        ),
        pytest.param("tag:", 0, "cannot read `tag:` (did you mean `tag:smoke`?)", id="tag-of-what"),
        pytest.param("1 failde", 2, "cannot read `failde` (did you mean `failed`?)", id="misspelt"),
        pytest.param("1-2-3", 0, "cannot read `1-2-3` (a range is 21-41)", id="not-a-range"),
        pytest.param("(1 or 7", 0, "`(` without its `)`", id="unclosed"),
        pytest.param("1)", 1, "`)` without its `(`", id="unopened"),
        pytest.param("1 and", 5, "a box is missing at the end", id="and-what"),
        pytest.param("1,,7", 2, "a box is missing before `,`", id="two-commas"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place_and_a_way_out(text: str, at: int, said: str) -> None:
    with pytest.raises(BadSelection) as refused:
        select(text, BOXES, failed=FAILED, changed=changed)
    assert (refused.value.at, str(refused.value), refused.value.text) == (at, said, text)


def test_changed_is_refused_where_nobody_can_tell() -> None:
    with pytest.raises(BadSelection, match="needs a git work tree"):
        select("changed:main", BOXES)


def test_a_known_selection_without_a_box_is_not_an_empty_success() -> None:
    with pytest.raises(NothingSelected, match="`tier:1 and tier:2` selects no box"):
        select("tier:1 and tier:2", BOXES)
    with pytest.raises(NothingSelected, match="no box was red"):
        select("failed", BOXES)


def test_the_facts_that_a_selection_needs_are_known_before_it_is_evaluated() -> None:
    selection = parse("1, not (failed and changed:a) or changed:b and changed:a")
    assert selection.uses("failed")
    assert selection.uses("changed")
    assert selection.changed_refs() == ("a", "b")
    assert not parse("1 and tag:failed").uses("failed")


def test_ten_thousand_boxes_are_selected_one_by_one() -> None:
    boxes = tuple(box(number, source="x") for number in range(10_000))
    text = ",".join(str(number) for number in range(0, 10_000, 5))
    assert len(text) <= LONGEST
    assert len(select(text, boxes)) == 2000


words = st.sampled_from([
    "1", "7", "21", "22", "41", "7-22", "api/21", "api/21-30", "api/all", "all", "failed", "changed:origin/main",
    "changed:none", "tag:smoke", "tag:slow", "tag:db", "tier:1", "tier 2", "tier:1-3", "tier:..3", "tier:3..",
])  # fmt: skip
expressions = st.recursive(
    words,
    lambda inner: st.one_of(
        inner.map("not ({})".format),
        st.tuples(inner, st.sampled_from([" and ", " or ", ",", " "]), inner).map("".join),
        inner.map("({})".format),
    ),
    max_leaves=8,
)


@given(st.text() | st.text(alphabet="0123456789()-,./: andortigferl\n") | expressions)
def test_no_text_raises_anything_but_a_bad_selection(text: str) -> None:
    try:
        selection = parse(text)
    except BadSelection as refused:
        place, again = refused.at, None
    else:
        place, again = 0, selection
    assert 0 <= place <= len(text)
    assert again is None or parse(str(again)) == again


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("(" * 100_000, id="parentheses"),
        pytest.param("(" * 4000 + "1" + ")" * 4000, id="balanced"),
        pytest.param("not " * 2000 + "1", id="nots"),
        pytest.param("9" * 9000, id="a-long-number"),
    ],
)
def test_no_text_is_too_deep_or_too_long_to_be_refused(text: str) -> None:
    with pytest.raises(BadSelection):
        parse(text)


def test_a_selection_may_be_as_deep_as_promised() -> None:
    deep = "(" * (DEEPEST - 1) + "1" + ")" * (DEEPEST - 1)
    assert parse(deep) == parse("1")


@given(expressions)
def test_printing_and_reading_back_gives_an_equal_selection(text: str) -> None:
    selection = parse(text)
    assert parse(str(selection)) == selection
    assert chosen(str(selection)) == chosen(text)


@given(expressions)
def test_not_not_is_nothing(text: str) -> None:
    assert chosen(f"not not ({text})") == chosen(text)


@given(expressions, expressions)
def test_de_morgan_holds(a: str, b: str) -> None:
    assert chosen(f"not (({a}) or ({b}))") == chosen(f"not ({a}) and not ({b})")
    assert chosen(f"not (({a}) and ({b}))") == chosen(f"not ({a}) or not ({b})")


@given(expressions, expressions)
def test_comma_space_and_or_are_the_same(a: str, b: str) -> None:
    assert parse(f"{a},{b}") == parse(f"{a} {b}") == parse(f"{a} or {b}")
    assert set(chosen(f"{a},{b}")) == set(chosen(a)) | set(chosen(b))
