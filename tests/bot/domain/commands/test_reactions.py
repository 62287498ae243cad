from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.commands.reactions import FINAL, Change, Reaction, change

EYES, ROCKET, CONFUSED = Reaction.EYES, Reaction.ROCKET, Reaction.CONFUSED


@pytest.mark.parametrize(
    ("shown", "wanted", "asked"),
    [
        pytest.param((), EYES, Change((), (EYES,)), id="read"),
        pytest.param((EYES,), EYES, Change((), ()), id="read-again"),
        pytest.param((EYES,), ROCKET, Change((), (ROCKET,)), id="done"),
        pytest.param((EYES,), CONFUSED, Change((), (CONFUSED,)), id="refused"),
        pytest.param((EYES, ROCKET), CONFUSED, Change((ROCKET,), (CONFUSED,)), id="failed-after-all"),
        pytest.param((EYES, CONFUSED, ROCKET), ROCKET, Change((CONFUSED,), ()), id="a-crash-between-two-calls"),
        pytest.param((ROCKET,), EYES, Change((), ()), id="a-final-one-is-not-taken-back"),
    ],
)
def test_what_a_comment_shows_next(shown: tuple[Reaction, ...], wanted: Reaction, asked: Change) -> None:
    assert change(shown, wanted) == asked


@given(st.lists(st.tuples(st.sampled_from(Reaction), st.integers(0, 2)), max_size=12), st.sampled_from(FINAL))
def test_whatever_was_cut_off_before_the_last_word_stands_alone(
    cut_off: list[tuple[Reaction, int]], last: Reaction
) -> None:
    """Each change is carried out in part: as many of its calls as the number says."""
    shown: list[Reaction] = []
    for wanted, calls in [*cut_off, (last, 9)]:
        asked = change(shown, wanted)
        steps = [(shown.remove, one) for one in asked.remove] + [(shown.append, one) for one in asked.add]
        for do, one in steps[:calls]:
            do(one)
    assert [one for one in shown if one in FINAL] == [last]
    assert len(shown) == len(set(shown))
