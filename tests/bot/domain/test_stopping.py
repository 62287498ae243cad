"""A stop survives its row, and reads like a sentence."""

from __future__ import annotations

import pytest

from bot.domain.stopping import Cancelled, Stop, Superseded, from_text, in_words, to_text


@pytest.mark.parametrize(
    ("stop", "text", "words"),
    [
        pytest.param(Superseded("cafe1230"), "superseded:cafe1230", "superseded by cafe123", id="newer-head"),
        pytest.param(Cancelled("@mona"), "@mona", "cancelled by @mona", id="by-command"),
        pytest.param(
            Cancelled("closing the pull request"),
            "closing the pull request",
            "cancelled by closing the pull request",
            id="closed",
        ),
    ],
)
def test_a_stop_is_read_back_from_its_row(stop: Stop, text: str, words: str) -> None:
    assert to_text(stop) == text
    assert from_text(text) == stop
    assert in_words(stop) == words


def test_a_run_that_nobody_stops_has_no_stop() -> None:
    assert from_text("") is None
