"""A journal is read as what happened, whole or half, and whatever a crash has left of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deploy.journey import MOST_SAMPLES, Act, Sample, journey_of, thinned
from tests.bot.domain.deploy.stories import Story, good, rolled_back, to_the_watch


def test_no_journal_is_no_journey() -> None:
    journey = journey_of(())
    assert (journey.stays, journey.acts, journey.head, journey.entries) == ((), (), "", 0)


def test_it_begins_where_it_was_locked() -> None:
    assert [stay.state for stay in journey_of(good().lines).stays] == [
        "locked",
        "preparing",
        "smoking",
        "switching",
        "baking",
        "retiring",
        "succeeded",
    ]


@given(cut=st.integers(0, len(rolled_back().lines)))
def test_a_journal_that_ends_anywhere_can_be_read(cut: int) -> None:
    journey = journey_of(rolled_back().lines[:cut])
    assert journey.entries == cut


def test_a_call_that_a_crash_cut_off_is_shown_as_begun_and_its_repeat_as_done() -> None:
    story = Story().then("intent", call="start", slot="green").call("start", slot="green")
    first, second = journey_of(story.lines).acts
    assert (first.ok, first.seconds) == (None, None)
    assert (second.ok, second.seconds) == (True, 0.2)


@pytest.mark.parametrize(
    ("data", "ok", "because"),
    [
        pytest.param({"seconds": 0.1}, True, "", id="a call that went well"),
        pytest.param({"problem": "no route to host"}, False, "no route to host", id="a call that did not"),
        pytest.param({"ok": False, "because": "box 30 is red"}, False, "box 30 is red", id="smoke"),
        pytest.param({"code": 0, "output": "warm"}, True, "", id="a hook"),
        pytest.param({"code": 3, "output": "one\ncold\n"}, False, "ended with 3: one\ncold", id="a hook that failed"),
        pytest.param({"word": "wait", "because": "frozen until Monday"}, False, "frozen until Monday", id="gates"),
    ],
)
def test_how_an_act_ended_is_told_in_its_own_words(data: dict[str, object], ok: bool, because: str) -> None:
    story = Story().then("intent", call="x").then("done", 0.5, call="x", **data)
    [act] = journey_of(story.lines).acts
    assert (act.ok, act.because) == (ok, because)
    assert isinstance(act, Act)
    assert act.seconds is not None


def test_the_end_of_what_a_release_printed_is_kept() -> None:
    assert journey_of(rolled_back().lines).tail.endswith("KeyError: 'price'\n")


@pytest.mark.parametrize(
    ("story", "verdict"),
    [
        pytest.param(good(), "good", id="good"),
        pytest.param(rolled_back(), "bad", id="bad"),
        pytest.param(
            to_the_watch().watch(probes=(0, 1)).enter("held", "inconclusive: 1 of the 17 samples that it takes"),
            "inconclusive",
            id="inconclusive",
        ),
        pytest.param(
            to_the_watch().watch(probes=(9, 0), old=(9, 0)).enter("held", "not the release: of 9 questions …"),
            "not_the_release",
            id="not the release",
        ),
        pytest.param(
            to_the_watch()
            .watch(probes=(0, 1))
            .then("wish", wish="rollback", by="mona")
            .enter("rolling_back", "mona …"),
            "",
            id="somebody decided",
        ),
        pytest.param(to_the_watch().watch(probes=(0, 1)), "", id="it goes on"),
        pytest.param(to_the_watch(), "", id="nothing was seen"),
    ],
)
def test_the_watchs_verdict_is_what_it_said_and_nobody_elses(story: Story, verdict: str) -> None:
    assert journey_of(story.lines).evidence.verdict == verdict


@given(
    st.lists(
        st.builds(
            Sample,
            at=st.floats(0, 1e6),
            source=st.sampled_from(["probes", "traffic"]),
            side=st.sampled_from(["new", "old"]),
            successes=st.integers(0, 50),
            failures=st.integers(0, 50),
        ),
        max_size=60,
    ),
    st.integers(4, 20),
)
def test_putting_samples_together_loses_none_of_them(samples: list[Sample], most: int) -> None:
    fewer = thinned(samples, most=most)
    for side in ("new", "old"):
        for count in ("successes", "failures"):
            assert sum(getattr(one, count) for one in fewer if one.side == side) == sum(
                getattr(one, count) for one in samples if one.side == side
            )
    assert len(fewer) <= most + 4


def test_a_day_of_samples_is_kept_small() -> None:
    story = to_the_watch()
    for _ in range(4 * MOST_SAMPLES):
        story.watch(probes=(0, 1), traffic=(0, 40))
    evidence = journey_of(story.lines).evidence
    assert len(evidence.samples) <= MOST_SAMPLES + 4
    assert len(evidence.readings) <= MOST_SAMPLES + 4
    assert evidence.counted("new") == (4 * MOST_SAMPLES * 41, 0)
