"""The picture of a watch is well-formed, says in words what it shows, and takes no foreign text as markup."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deploy.journey import journey_of
from bot.domain.deploy.picture import STANDALONE_CSS, WIDTH, picture
from bot.domain.deploy.record import record_of
from bot.domain.deploy.states import State
from tests.bot.domain.deploy import stories


def record(story: stories.Story, state: State = State.ROLLED_BACK) -> dict[str, Any]:
    row = stories.deployment(state, finished_at=story.at)
    return record_of(row, journey=journey_of(story.lines), plan=stories.plan())


def drawn(said: dict[str, Any]) -> ET.Element:
    return ET.fromstring(picture(said, standalone=True))


def all_of(root: ET.Element, kind: str) -> list[ET.Element]:
    return [one for one in root.iter() if kind in (one.get("class") or "").split()]


def test_failures_the_switch_the_way_back_and_the_crossing_are_drawn() -> None:
    root = drawn(record(stories.rolled_back()))
    assert len(all_of(root, "failed")) == 1
    assert len(all_of(root, "old-ok")) > 10
    assert len(all_of(root, "mark")) == 2
    assert len(all_of(root, "over")) == 1
    assert root.get("aria-label") == "Deployment 12, rolled back: 20 of 1094 answers of the new release failed"


def test_a_good_bake_crosses_nothing() -> None:
    root = drawn(record(stories.good(), State.SUCCEEDED))
    assert all_of(root, "over") == []
    assert all_of(root, "failed") == []


def test_one_failure_among_thousands_is_tall_enough_to_be_seen() -> None:
    story = stories.to_the_watch().watch(traffic=(1, 100_000))
    [bar] = all_of(drawn(record(story)), "failed")
    assert float(bar.get("height", "0")) >= 3


def test_where_the_watch_has_seen_nothing_there_is_no_picture() -> None:
    assert picture(record(stories.to_the_watch())) == ""


def test_in_a_page_it_brings_no_style_of_its_own() -> None:
    assert "<style" not in picture(record(stories.good()))
    assert STANDALONE_CSS in picture(record(stories.good()), standalone=True)


@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    failures=st.integers(0, 10**9),
    after=st.floats(0.001, 1e5),
)
def test_whatever_a_source_is_called_and_however_long_it_took_the_picture_is_xml_within_its_frame(
    name: str, failures: int, after: float
) -> None:
    story = stories.to_the_watch().watch(after=after, probes=(failures, 1))
    said = record(story)
    for each in (*said["watch"]["samples"], *said["watch"]["readings"]):
        each["source"] = f"</text><script>alert(1)</script>{name}"
    root = drawn(said)
    assert not [one for one in root.iter() if one.tag.endswith("script")]
    for bar in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert float(bar.get("x", "0")) + float(bar.get("width", "0")) <= WIDTH + 1


@pytest.mark.parametrize("seconds", [0.001, 30.0, 86_400.0])
def test_the_axis_has_a_few_round_marks(seconds: float) -> None:
    story = stories.to_the_watch().watch(probes=(0, 1)).watch(after=seconds, probes=(0, 1))
    marks = [one for one in all_of(drawn(record(story)), "grid") if one.get("x1") == one.get("x2")]
    assert 1 <= len(marks) <= 10
