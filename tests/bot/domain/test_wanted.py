from __future__ import annotations

import pytest

from bot.domain.wanted import mistake_in
from runner.model import Box, BoxId

BOXES = [
    Box(id=BoxId("", number), tier=tier, title=f"Box {number}", kind="file", source=f"{number}", tags=tags)
    for number, tier, tags in ((1, 1, ("smoke",)), (2, 2, ()))
]


@pytest.mark.parametrize("selection", ["all", "1", "tier:2", "tag:smoke and 1", "failed", "failed and tier:2"])
def test_what_names_boxes_of_this_head_is_no_mistake(selection: str) -> None:
    assert mistake_in(selection, BOXES) is None


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        pytest.param("9", "9", id="an-unknown-number"),
        pytest.param("tag:smok", "smok", id="an-unknown-tag"),
        pytest.param("1 and tier:2", "no box", id="words-that-share-no-box"),
        pytest.param("1 or changed:origin/main", "history", id="changed-needs-history"),
        pytest.param("tier:", "tier", id="text-that-cannot-be-read"),
    ],
)
def test_what_means_nothing_here_is_told_before_the_run(selection: str, words: str) -> None:
    assert words in (mistake_in(selection, BOXES) or "")
