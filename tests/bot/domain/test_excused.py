"""Somebody answers for a box: it gates no more, and nothing else changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain import comment
from bot.domain.checks import Check, Shown, checks, frozen
from bot.domain.progress import Excused, Progress
from bot.domain.report import RunState
from runner.events import Event, RunFinished
from runner.model import BoxId, Verdict
from tests.bot.domain.story import TITLES, finished, run_started

BECAUSE = Excused("mona", "the mirror is <b>down</b>, ask @hub")
VERDICTS = st.dictionaries(st.sampled_from(sorted(TITLES)), st.sampled_from(Verdict), min_size=1)


def ended(verdicts: dict[int, Verdict], *excused: int) -> Progress:
    green = all(verdict in {Verdict.PASSED, Verdict.CACHED} for verdict in verdicts.values())
    over = RunFinished(exit_code=0 if green else 1, green=green, seconds=1.0, counts={}, at=1003.0)
    events: list[Event] = [run_started(*verdicts), *(finished(n, verdict) for n, verdict in verdicts.items()), over]
    return Progress.of(events, excused={BoxId("", n): BECAUSE for n in excused})


@given(verdicts=VERDICTS, excused=st.sets(st.sampled_from(sorted(TITLES))))
def test_only_what_ran_can_be_excused_and_only_what_is_excused_is_let_pass(
    verdicts: dict[int, Verdict], excused: set[int]
) -> None:
    state = ended(verdicts, *excused)
    held = {
        n
        for n, verdict in verdicts.items()
        if verdict in {Verdict.BLOCKED, Verdict.CANCELLED}
        or (verdict not in {Verdict.PASSED, Verdict.CACHED} and n not in excused)
    }
    assert state.green is (not held)
    assert {box.box.number for box in state.boxes if not box.counts_as_green} == held
    assert all(box.executed and not box.green for box in state.red_and_excused)


@given(verdicts=VERDICTS)
def test_excusing_what_is_green_changes_nothing(verdicts: dict[int, Verdict]) -> None:
    green = [n for n, verdict in verdicts.items() if verdict is Verdict.PASSED]
    assert ended(verdicts, *green).green is ended(verdicts).green


def test_a_run_that_was_interrupted_is_not_green_by_an_excuse() -> None:
    cut = RunFinished(exit_code=5, green=False, seconds=1.0, counts={}, at=1003.0)
    state = Progress.of([run_started(7), finished(7, Verdict.FAILED), cut], excused={BoxId("", 7): BECAUSE})
    assert not state.green


def shown(state: Progress) -> tuple[Check, ...]:
    return checks(state, shown=Shown(subject_note="For `f00df00`", run_url=""), state=RunState.FINISHED)


def test_the_check_says_who_answers_for_what() -> None:
    overall, tier, *_ = shown(ended({7: Verdict.FAILED, 12: Verdict.PASSED}, 7))
    assert (overall.conclusion, tier.conclusion) == ("success", "success")
    assert overall.title == "1 box green, 1 excused by @mona: the mirror is <b>down</b>, ask @hub"
    assert tier.title == "1 failed but excused, 1 passed"
    assert overall.summary == snapshot("""\
For `f00df00`

- 7 Lint failed, excused by @\u200dmona: the mirror is &lt;b&gt;down&lt;/b&gt;, ask @\u200dhub

- tier 1: 1 failed but excused, 1 passed

Logs and timings are on the run's page (sandbox `full`, trust `T1`)\
""")


def test_the_comment_says_it_too_and_notifies_nobody() -> None:
    said = comment.render(
        ended({7: Verdict.FAILED, 12: Verdict.PASSED}, 7), head_sha="f00df00", run_url="", state=RunState.FINISHED
    )
    assert said.body == snapshot("""\
✅ **Interlock** — 1 box green, 1 excused by @\u200dmona: the mirror is &lt;b&gt;down&lt;/b&gt;, ask @\u200dhub

- 7 Lint failed, excused by @\u200dmona: the mirror is &lt;b&gt;down&lt;/b&gt;, ask @\u200dhub

For `f00df00` · `/help`\
""")
    assert "@mona" not in said.body
    assert "@hub" not in said.body


def test_the_check_of_a_tier_names_whom_somebody_excused() -> None:
    _, tier = shown(ended({7: Verdict.FAILED, 12: Verdict.PASSED}, 7))
    assert tier.conclusion == "success"
    assert "7 Lint failed, excused by @\u200dmona" in tier.summary


@pytest.mark.parametrize("verdict", [Verdict.PASSED, Verdict.FAILED])
def test_a_freeze_holds_whatever_was_found_and_keeps_it(verdict: Verdict) -> None:
    overall, tier = shown(ended({7: verdict}))
    held = frozen(overall, "frozen: the release (by @hub)")
    assert (held.status, held.conclusion, held.title) == (
        "completed",
        "action_required",
        "frozen: the release (by @hub)",
    )
    assert overall.title in held.summary
    assert overall.summary in held.summary
    assert held.text == overall.text
    assert tier.conclusion == overall.conclusion


def test_the_comment_tells_of_a_freeze_first() -> None:
    said = comment.render(
        ended({7: Verdict.PASSED}),
        head_sha="f00df00",
        run_url="",
        state=RunState.FINISHED,
        hold="frozen: the release (by @hub)",
    )
    assert said.body == snapshot("""\
⏸️ **Interlock** — frozen: the release (by @\u200dhub)

Without that: 1 box is green

For `f00df00` · `/help`\
""")
