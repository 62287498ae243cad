"""What a pull request should have, whatever happened to the deliveries that told of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.desired import (
    CLOSED,
    CLOSING,
    LOSING_ACCESS,
    MOST_RUNS,
    NOT_SHOWN,
    Fine,
    Known,
    Look,
    Pull,
    Start,
    Stop,
    Wish,
    desired,
)

OPEN = Pull(is_open=True, head_sha="head", base_ref="main")
DONE = Known(head_sha="head", base_ref="main", selection="all", state="finished")
GIVEN_UP = replace(DONE, state="cancelled")


@pytest.mark.parametrize(
    ("runs", "wish"),
    [
        pytest.param([], Start(), id="nobody-told-us"),
        pytest.param([replace(DONE, state="queued")], Fine("its head is being tested"), id="queued"),
        pytest.param([replace(DONE, state="running")], Fine("its head is being tested"), id="running"),
        pytest.param([DONE], Look(), id="answered"),
        pytest.param([replace(DONE, is_shown=True)], Fine("its head has an answer"), id="answered-and-shown"),
        pytest.param([replace(DONE, is_shown=False)], Start("unseen1"), id="answered-and-gone-from-github"),
        pytest.param([replace(DONE, state="refused", is_shown=True)], Fine("its head has an answer"), id="refused"),
        pytest.param([replace(DONE, head_sha="older")], Start(), id="a-push-was-missed"),
        pytest.param([replace(DONE, head_sha="older", state="running")], Start(), id="a-push-was-missed-during-a-run"),
        pytest.param([replace(DONE, base_ref="develop")], Start(), id="a-change-of-base-was-missed"),
        pytest.param([replace(DONE, selection="1")], Start(), id="only-a-part-ran"),
        pytest.param([replace(DONE, selection="1", state="queued"), DONE], Fine("its head is being tested"), id="part"),
        pytest.param([replace(DONE, state="superseded")], Start(), id="the-branch-was-moved-back"),
        pytest.param([replace(GIVEN_UP, stop_because=CLOSING)], Start(), id="it-was-reopened"),
        pytest.param([replace(GIVEN_UP, stop_because=LOSING_ACCESS)], Start(), id="we-are-let-in-again"),
        pytest.param([replace(GIVEN_UP, because=CLOSED)], Start(), id="it-was-closed-when-we-looked"),
        pytest.param([replace(GIVEN_UP, because=f"{NOT_SHOWN}: 404")], Start(), id="github-did-not-know-it-yet"),
        pytest.param([replace(GIVEN_UP, stop_because="@mona")], Fine("somebody cancelled it"), id="cancelled"),
        pytest.param(
            [replace(GIVEN_UP, because="the base has no boxes")], Fine("there was nothing to test"), id="no-boxes"
        ),
        pytest.param(
            [replace(GIVEN_UP, because=CLOSED)] * MOST_RUNS, Fine("its head was tested often enough"), id="enough"
        ),
    ],
)
def test_an_open_pull_request_has_a_run_of_its_head_for_its_base(runs: list[Known], wish: Wish) -> None:
    assert desired(OPEN, runs) == wish


@pytest.mark.parametrize(
    ("runs", "wish"),
    [
        pytest.param([], Fine("it is closed"), id="never-heard-of"),
        pytest.param([DONE], Fine("it is closed"), id="answered"),
        pytest.param([DONE, replace(DONE, head_sha="older", state="running")], Stop(), id="something-runs-still"),
    ],
)
def test_a_closed_pull_request_has_nothing_that_runs(runs: list[Known], wish: Wish) -> None:
    assert desired(replace(OPEN, is_open=False), runs) == wish


STATES = ["queued", "running", "finished", "refused", "cancelled", "superseded"]
RUNS = st.lists(
    st.builds(
        Known,
        head_sha=st.sampled_from(["head", "older"]),
        base_ref=st.sampled_from(["main", "develop"]),
        selection=st.sampled_from(["all", "1"]),
        state=st.sampled_from(STATES),
        because=st.sampled_from(["", CLOSED, NOT_SHOWN, "the base has no boxes"]),
        stop_because=st.sampled_from(["", CLOSING, "@mona"]),
        is_shown=st.sampled_from([None, True, False]),
    ),
    max_size=8,
)


@given(RUNS)
def test_whatever_is_started_leaves_nothing_to_wish_for(runs: list[Known]) -> None:
    for _ in range(2 * MOST_RUNS):
        wish = desired(OPEN, runs)
        if isinstance(wish, Fine):
            return
        if isinstance(wish, Look):
            runs = [replace(run, is_shown=True) for run in runs]
        else:
            runs = [replace(DONE, is_shown=True), *runs]
    message = f"still {wish} after all"
    raise AssertionError(message)
