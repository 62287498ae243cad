from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inline_snapshot import snapshot

from bot.domain.freeze import Freeze, holding, over, sentence

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def freeze(name: str = "a", **facts: Any) -> Freeze:
    given: dict[str, Any] = {
        "repo_id": 1,
        "branch": "main",
        "by": "mona",
        "because": "the release",
        "since": NOON,
        **facts,
    }
    return Freeze(id=name, **given)


@pytest.mark.parametrize(
    ("facts", "at", "holds"),
    [
        pytest.param({}, NOON, True, id="from-its-first-moment"),
        pytest.param({}, NOON - HOUR, False, id="not-before"),
        pytest.param({}, NOON + 10_000 * HOUR, True, id="until-somebody-lifts-it"),
        pytest.param({"until": NOON + HOUR}, NOON + HOUR - timedelta(microseconds=1), True, id="to-its-end"),
        pytest.param({"until": NOON + HOUR}, NOON + HOUR, False, id="its-end-does-not-count"),
        pytest.param({"until": NOON.astimezone(timezone(2 * HOUR)) + HOUR}, NOON + HOUR, False, id="in-another-zone"),
        pytest.param({"lifted_at": NOON}, NOON, False, id="lifted"),
        pytest.param({"branch": "develop"}, NOON, False, id="another-branch"),
        pytest.param({"branch": ""}, NOON, True, id="every-branch"),
    ],
)
def test_when_a_freeze_holds(facts: dict[str, Any], at: datetime, holds: bool) -> None:
    assert freeze(**facts).holds("main", at) is holds


@pytest.mark.parametrize(
    ("others", "decides"),
    [
        pytest.param([freeze("b", branch="", until=NOON + 2 * HOUR)], "b", id="the-longer-one-of-every-branch"),
        pytest.param([freeze("b", branch="", until=NOON + HOUR / 2)], "a", id="the-longer-one-of-the-branch"),
        pytest.param([freeze("b", branch="")], "b", id="one-without-an-end"),
        pytest.param([freeze("b", branch="", until=NOON + HOUR)], "a", id="ending-together-the-branch-decides"),
        pytest.param([freeze("b", branch="", lifted_at=NOON)], "a", id="lifted-ones-do-not-count"),
    ],
)
def test_the_freeze_that_holds_longest_decides(others: list[Freeze], decides: str) -> None:
    found = holding([*others, freeze("a", until=NOON + HOUR)], branch="main", now=NOON)
    assert found
    assert found.id == decides


@given(
    st.permutations(
        [freeze(n, branch=b, until=u) for n, b, u in [("a", "", None), ("b", "main", NOON + HOUR), ("c", "main", None)]]
    )
)
def test_what_people_read_does_not_depend_on_the_order_of_rows(freezes: list[Freeze]) -> None:
    found = holding(freezes, branch="main", now=NOON)
    assert found
    assert found.id == "c"


@given(
    ends=st.lists(st.none() | st.integers(-3, 3), max_size=5),
    now=st.integers(-3, 3),
    lifted=st.lists(st.booleans(), max_size=5),
)
def test_what_is_over_holds_no_more_and_what_holds_is_not_over(
    ends: list[int | None], now: int, lifted: list[bool]
) -> None:
    at = NOON + now * HOUR
    freezes = [
        freeze(
            str(n),
            since=NOON - 9 * HOUR,
            until=None if end is None else NOON + end * HOUR,
            lifted_at=at if gone else None,
        )
        for n, (end, gone) in enumerate(zip(ends, lifted, strict=False))
    ]
    standing = {f.id for f in freezes if f.lifted_at is None}
    holds = {f.id for f in freezes if f.holds("main", at)}
    assert standing == holds ^ {f.id for f in over(freezes, at)}


def test_a_freeze_reads_as_one_line() -> None:
    said = [
        sentence(freeze(until=datetime(2026, 12, 24, 18, tzinfo=timezone(HOUR)))),
        sentence(freeze(because="two\nlines\u202e", until=NOON + timedelta(seconds=5))),
        sentence(freeze()),
    ]
    assert said == snapshot(
        [
            "frozen until 2026-12-24 17:00 UTC: the release (by @mona)",
            "frozen until 2026-01-02 12:00:05 UTC: two lines (by @mona)",
            "frozen: the release (by @mona)",
        ]
    )
