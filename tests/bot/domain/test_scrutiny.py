"""What is told of a run besides verdicts, from documents that strangers had a hand in."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.scrutiny import (
    Proofs,
    Scrutiny,
    proofs,
    proofs_section,
    unproved,
    weakened_headline,
    weakened_list,
    weakenings,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["box", "says", "answer", "line"]), inner),
    max_leaves=12,
)
ASKED = {"1": "One", "api/2": "Two", "3": "Three"}


def answers(*given_: tuple[str, int, str]) -> dict[str, Any]:
    return {"boxes": [{"suite": suite, "box": box, "title": "T", "answer": said} for suite, box, said in given_]}


def test_a_box_that_was_asked_about_and_not_answered_is_never_counted_as_proven() -> None:
    found = proofs(answers(("", 1, "proven")), ASKED, cut_off="it took too long")
    assert (found.proven, [proof.box for proof in found.missing]) == (1, ["api/2", "3"])
    assert {proof.answer for proof in found.missing} == {"unanswered"}


def test_an_answer_about_a_box_that_nobody_asked_about_counts_for_nothing() -> None:
    assert proofs(answers(("", 9, "proven"), ("", 1, "proven")), {"1": "One"}).proven == 1


def test_an_answer_that_is_no_word_of_ours_is_no_proof() -> None:
    assert proofs(answers(("", 1, "PROVEN"), ("", 3, "yes")), ASKED).proven == 0


@given(JSON, JSON)
def test_no_document_breaks_the_telling(changes: object, boxes: object) -> None:
    assert isinstance(weakened_list(weakenings({"changes": changes})), str)
    assert proofs({"boxes": boxes}, ASKED).proven <= len(ASKED)


@pytest.mark.parametrize(
    ("falsify", "known", "waits", "short"),
    [
        pytest.param("require", None, True, 0, id="required-and-not-there"),
        pytest.param("require", proofs({}, ASKED), False, 3, id="required-and-missing"),
        pytest.param("require", proofs(answers(("", 1, "proven")), {"1": "One"}), False, 0, id="required-and-there"),
        pytest.param("tell", None, False, 0, id="told-and-not-there"),
        pytest.param("tell", proofs({}, ASKED), False, 0, id="told-and-missing"),
        pytest.param("off", None, False, 0, id="off"),
    ],
)
def test_proofs_gate_only_where_they_are_required(falsify: Any, known: Proofs | None, waits: bool, short: int) -> None:
    scrutiny = Scrutiny(falsify=falsify, proofs=known)
    assert (scrutiny.waits, scrutiny.short) == (waits, short)
    assert bool(unproved(scrutiny)) == (waits or short > 0)


def test_what_is_told_of_proofs() -> None:
    document = answers(("", 1, "proven"), ("api", 2, "blind"), ("", 3, "no_control"))
    document["boxes"][0]["cached"] = True
    assert proofs_section(proofs(document, ASKED)) == snapshot("""\
**3 boxes, 1 proved capable of failing (1 reused)**

| box | answer | |
|--|--|--|
| api/2 T | blind | stays green under its own sabotage |

Without a control, so nobody knows whether they can fail: `3`\
""")


def test_what_is_told_of_a_weakened_box_is_harmless_markdown() -> None:
    changes = [
        {"box": "1", "says": "box 1 (<img src=x> @octo) was removed", "file": "boxes/1.sh", "line": 3, "gone": True},
        {"box": "2", "says": "box 2 may skip itself now", "file": "boxes/2.sh", "line": 4},
        {"box": "", "says": "report.falsify is off instead of tell", "file": ".github/interlock.yml", "line": 1},
    ]
    found = weakenings({"changes": changes})
    assert weakened_headline(found) == snapshot(
        "This change removes or weakens 2 boxes and what the whole repository asks of them"
    )
    assert weakened_list(found) == snapshot("""\
**This change removes or weakens 2 boxes and what the whole repository asks of them**

- box 1 (&lt;img src=x&gt; @\u200docto) was removed
- box 2 may skip itself now (`boxes/2.sh:4`)
- report.falsify is off instead of tell (`.github/interlock.yml:1`)\
""")
