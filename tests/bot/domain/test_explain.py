"""What the button `Explain` answers, as far as no story shows it."""

from __future__ import annotations

from bot.domain.checks import Shown
from bot.domain.explain import explain
from bot.domain.progress import Progress
from bot.domain.scrutiny import NOTHING_KNOWN, Scrutiny, Weakening
from runner.events import Event
from runner.model import Verdict
from tests.bot.domain.story import all_green, finished, run_finished, run_started


def test_a_red_box_in_quarantine_is_explained_too() -> None:
    events: list[Event] = [run_started(7, 12), finished(7), finished(12, Verdict.FAILED, gating=False), run_finished()]
    said = explain(Progress.of(events), NOTHING_KNOWN, Shown(), number=3)
    assert "### 12 Adds" in said
    assert "### 7 Lint" not in said


def test_what_the_change_weakens_is_said() -> None:
    weaker = Weakening(box="7", says="box 7 may take 60 s instead of 10 s", file="", line=0, gone=True)
    said = explain(Progress.of(all_green()), Scrutiny(weakened=(weaker,)), Shown(), number=3)
    assert "box 7 may take 60 s instead of 10 s" in said


def test_why_nothing_ran_is_said_in_place_of_a_verdict() -> None:
    said = explain(Progress(), NOTHING_KNOWN, Shown(run_url="https://x.example/3"), number=3, because="it was *closed*")
    assert said == "**[Run 3](https://x.example/3)** — it was \\*closed\\*"
