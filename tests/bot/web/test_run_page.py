from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.domain.progress import Progress
from bot.domain.report import RunState
from bot.domain.subject import Subject
from bot.web.gantt import MAX_ROWS, chart
from bot.web.html import content_security_policy
from bot.web.run_page import RunPageModel, RunRow, render_index, render_run
from runner.events import BoxStarted, Event, PlannedBox, RunStarted, SetupFinished
from runner.model import BoxId, Failure, Verdict
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

SUBJECT = Subject(
    repo_id=1, repo="octo/app", installation_id=2, pr=7, base_ref="main", base_sha="ba5e" * 10, head_sha="cafe" * 10
)
HOSTILE = "</pre><script>alert(1)</script><img src=x onerror=y> ' \" javascript:x {{ 7*7 }} \u202e\x1b[2J"


def page(events: list[Event], state: RunState = RunState.FINISHED) -> RunPageModel:
    return RunPageModel(run_id="r1", subject=SUBJECT, progress=Progress.of(events), state=state, now=1005.0)


class Reading(HTMLParser):
    """What a browser would see: tags with their attributes, and the text between."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def test_the_page_says_first_what_is_red_and_why() -> None:
    text = Reading(render_run(page(tier_two_red()), fragment=True)).text
    order = [
        "Tier 2 is red, tier 3 did not run",
        "octo/app #7 · cafecaf merged into main at ba5eba5",
        "1 red box",
        "21 Locks after five failures failed",
        "1 of 3 assertions did not hold",
        "calc.py:3 adds two numbers expected 4, got 0",
        "E assert 0 == 4",
        "runner run 21",
        "Timeline",
        "Tier 3 did not run",
        "held back by 21",
    ]
    places = [text.find(words) for words in order]
    assert -1 not in places, [words for words, at in zip(order, places, strict=True) if at < 0]
    assert places == sorted(places)


def test_the_output_of_a_box_is_folded() -> None:
    tags = Reading(render_run(page(tier_two_red()), fragment=True)).tags
    assert [attrs for tag, attrs in tags if tag == "details"] == [{"id": "log-21"}, {"id": "checkout", "class": "card"}]


def test_a_live_page_refreshes_itself_and_a_finished_one_does_not() -> None:
    live, over = page([run_started(), started(7)], RunState.RUNNING), page(all_green())
    for model, alive in ((live, True), (over, False), (replace(live, ended="superseded by f00df00"), False)):
        whole, part = render_run(model, nonce="n0nce"), render_run(model, fragment=True)
        assert ("data-live" in part) is alive
        assert ("<script" in whole) is alive
        assert ("http-equiv" in whole) is alive


def test_the_fragment_is_the_inside_of_the_page() -> None:
    model = page(tier_two_red())
    part = render_run(model, fragment=True)
    assert part.strip() in render_run(model, nonce="n0nce")
    assert not re.search(r"<(html|body|main|script|style)\b", part)


def test_a_run_that_was_given_up_says_so_and_is_neither_green_nor_red() -> None:
    model = replace(page(all_green()), ended="superseded by f00df00")
    assert (model.headline, model.tone) == ("superseded by f00df00", "held")


def test_a_kept_verdict_is_marked_and_has_no_bar() -> None:
    progress = Progress.of([run_started(21), finished(21), run_finished()], kept=[finished(7)], expected=planned(7, 21))
    bars = {bar.state.box.number: bar.width for bar in chart(progress, now=1005.0).bars}
    assert bars[7] == 0
    assert bars[21] == 100
    shown = render_run(replace(page([]), progress=progress), fragment=True)
    assert "passed, kept" in shown


def test_a_failed_setup_shows_its_output() -> None:
    setup = SetupFinished(suite="", ok=False, seconds=3.2, reason="exit code 2", output="no rule", at=1.0)
    text = Reading(render_run(page([run_started(), setup, run_finished(green=False)]), fragment=True)).text
    assert "Setup failed, so no box ran" in text
    assert "Exit code 2" in text
    assert "no rule" in text


def test_nothing_hostile_becomes_a_tag_an_attribute_or_a_direction() -> None:
    failure = Failure(id=HOSTILE, message=HOSTILE, file=HOSTILE, line=3)
    red = finished(21, Verdict.FAILED, title=HOSTILE, reason=HOSTILE, failures=(failure,), output=HOSTILE)
    model = replace(
        page([run_started(21), red, run_finished(green=False)]),
        subject=replace(SUBJECT, repo=HOSTILE, base_ref=HOSTILE),
        run_id=HOSTILE,
    )
    html = render_run(model, nonce="n0nce")
    seen = Reading(html)
    assert not [tag for tag, _ in seen.tags if tag in {"script", "img", "iframe", "object", "form"}]
    assert not [attrs for _, attrs in seen.tags if any(name.startswith("on") for name in attrs)]
    assert "alert(1)" in seen.text
    assert "{{ 7*7 }}" in seen.text
    assert not re.search("[\u202e\x1b]", html)


@pytest.mark.parametrize(
    "html",
    [
        pytest.param(render_run(page([run_started()], RunState.RUNNING), nonce="n0nce"), id="run"),
        pytest.param(render_index([], nonce="n0nce"), id="index"),
    ],
)
def test_a_page_needs_nothing_that_its_policy_forbids(html: str) -> None:
    for tag, attrs in Reading(html).tags:
        assert "style" not in attrs
        assert not {"src", "srcset"} & set(attrs)
        assert tag not in {"link", "img", "form", "base"}
        if tag in {"script", "style"}:
            assert attrs == {"nonce": "n0nce"}
    assert "'nonce-n0nce'" in content_security_policy("n0nce")
    assert "unsafe" not in content_security_policy("n0nce")


def test_a_run_without_boxes_yet_has_a_page() -> None:
    assert "The boxes are being found" in render_run(page([], RunState.QUEUED))


def test_the_list_links_to_each_run() -> None:
    row = RunRow(
        run_id="r1",
        url="/runs/r1",
        repo="octo/app",
        pr=7,
        head_sha="cafe" * 10,
        headline="tier 2 is red",
        tone="bad",
        at=0.0,
        seconds=61.0,
    )
    seen = Reading(render_index([row]))
    assert ("a", {"href": "/runs/r1"}) in seen.tags
    assert "Tier 2 is red octo/app #7 · cafecaf · 1970-01-01 00:00:00 UTC 1 min 01 s" in seen.text


TIMES = st.floats(0.0, 1e9)
TOLD = st.tuples(TIMES, TIMES, st.sampled_from(list(Verdict)))


@given(
    st.dictionaries(
        st.sampled_from(sorted(TIERS)), st.tuples(TIMES, TIMES, st.sampled_from(list(Verdict))), max_size=5
    ),
    st.sets(st.sampled_from(sorted(TIERS))),
    TIMES,
)
@settings(max_examples=60)
def test_every_bar_stays_inside_the_chart(
    told: dict[int, tuple[float, float, Verdict]], begun: set[int], now: float
) -> None:
    events: list[Event] = [run_started(), *(started(n, at=now / 2) for n in begun)]
    events += [finished(n, verdict, at=at + took, seconds=took) for n, (at, took, verdict) in told.items()]
    drawn = chart(Progress.of(events), now=now)
    assert [bar.y for bar in drawn.bars] == sorted({bar.y for bar in drawn.bars})
    assert {bar.state.box.number for bar in drawn.bars} == set(TIERS)
    for bar in drawn.bars:
        assert 0 <= bar.x <= 100
        assert bar.width >= 0
        assert bar.x + bar.width <= 100.001
        assert bar.y < drawn.height
    assert all(0 <= tick.x <= 100 for tick in drawn.ticks)
    assert len(drawn.ticks) <= 7


def test_a_huge_run_is_drawn_in_part_and_counted() -> None:
    boxes = [PlannedBox(box=BoxId("", n), tier=1, title="t", source="s") for n in range(2_000)]
    begun: list[Event] = [BoxStarted(box=BoxId("", n), tier=1, attempt=1, at=1.0) for n in range(2_000)]
    drawn = chart(Progress.of([RunStarted(run_id="r", at=1.0, jobs=1, boxes=boxes), *begun]), now=2.0)
    assert (len(drawn.bars), drawn.left_out) == (MAX_ROWS, 2_000 - MAX_ROWS)


def test_a_box_that_took_no_time_at_the_very_end_still_has_a_bar() -> None:
    events: list[Event] = [
        run_started(7, 12),
        finished(7, at=1010.0, seconds=10.0),
        finished(12, at=1010.0, seconds=0.0),
    ]
    first, last = chart(Progress.of(events), now=1010.0).bars
    assert first.width == 100
    assert last.width > 0
    assert last.x + last.width <= 100
