from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.preview import _KEYS, PREVIEW, preview
from bot.domain.text import BUDGET, size
from runner.commands.list_boxes import described
from runner.model import Box, BoxId

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


def box(number: int, **keys: Any) -> dict[str, Any]:
    usual = {"suite": "", "box": number, "tier": 1, "title": f"Box {number}", "kind": "file", "timeout": 60.0}
    return {**usual, "control": None, **keys}


def side(*boxes: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"boxes": list(boxes), "setups": {}, "settings": {}, "errors": [], **keys}


def told(before: dict[str, Any], after: dict[str, Any], *changes: dict[str, Any]) -> list[str]:
    check = preview({"before": before, "after": after, "changes": list(changes)})
    return [line for line in check.summary.splitlines() if line.startswith("| ")][1:] if check else []


@pytest.mark.parametrize(
    ("before", "after", "rows"),
    [
        pytest.param(side(box(1)), side(box(1)), [], id="nothing"),
        pytest.param(
            side(),
            side(box(1)),
            ["| 1 Box 1 | added | tier 1; timeout 60 s; no control: nothing proves that it can fail |"],
            id="added",
        ),
        pytest.param(side(box(1)), side(), ["| 1 Box 1 | removed |  |"], id="removed"),
        pytest.param(
            side(box(1)),
            side(box(1, tier=2, timeout=5.0)),
            ["| 1 Box 1 | changed | tier: 1 → 2; timeout: 60 s → 5 s |"],
            id="changed",
        ),
        pytest.param(
            side(box(1, control={"kind": "edit", "where": "a:1"})),
            side(box(1, control={"kind": "edit", "where": "a:9"})),
            [],
            id="a-control-that-only-moved",
        ),
        pytest.param(
            side(settings={"report": {"falsify": "tell"}}),
            side(settings={"report": {"falsify": "off"}}),
            ["| `report.falsify` (proofs that boxes can turn red) | `tell` | `off` |"],
            id="a-setting",
        ),
        pytest.param(
            side(setups={"": {"run": "make", "timeout": 600.0}}),
            side(),
            [
                "| `setup.run` (before the boxes) | `make` | nothing |",
                "| `setup.timeout` (before the boxes) | 600 s | nothing |",
            ],
            id="the-setup",
        ),
    ],
)
def test_each_difference_is_one_row(before: dict[str, Any], after: dict[str, Any], rows: list[str]) -> None:
    assert told(before, after) == rows


def test_whoever_mends_a_broken_base_is_told_so_and_of_no_setting() -> None:
    error = {"message": "x", "file": ".github/interlock.yml", "line": 1, "hint": "", "place": ""}
    check = preview({"before": side(errors=[error]), "after": side(box(1), settings={"a": 1}), "changes": []})
    assert check
    assert check.title == "1 added of 1 box after the merge"
    assert "This change mends it." in check.summary


@pytest.mark.parametrize("key", ["network", "secrets"])
def test_what_a_box_asks_for_is_told_with_the_terms_of_it(key: str) -> None:
    for before in (side(), side(box(1))):
        check = preview({"before": before, "after": side(box(1, **{key: ["x"]})), "changes": []})
        assert check
        assert "Secrets go to protected branches only" in check.summary


def test_no_key_of_a_box_changes_unheard() -> None:
    """What says nothing of what is run, or stands in a row of its own, is named here."""
    elsewhere = {"suite", "box", "source", "line", "file"}
    assert {*described(Box(id=BoxId("", 1), tier=1, title="One", source="boxes/1.sh", kind="file"))} - elsewhere == {
        *_KEYS
    }


def test_boxes_that_trade_numbers_are_renumbered_not_added_and_removed() -> None:
    before = side(box(1, title="A"), box(2, title="B"))
    after = side(box(2, title="A"), box(1, title="B"))
    changes = [{"kind": "renumbered", "box": "1", "now": "2"}, {"kind": "renumbered", "box": "2", "now": "1"}]
    assert told(before, after, *changes) == ["| 2 A | renumbered | was `1` |", "| 1 B | renumbered | was `2` |"]


def test_a_number_that_another_program_takes_over_is_a_new_box() -> None:
    before, after = side(box(1, title="A")), side(box(2, title="A"), box(1, title="New"))
    rows = told(before, after, {"kind": "renumbered", "box": "1", "now": "2"})
    assert [row.split(" | ")[1] for row in rows] == ["renumbered", "added"]


@pytest.mark.requirement("S-14")
def test_a_broken_configuration_is_red_with_a_note_on_each_line() -> None:
    errors = [
        {"message": "unknown key 'boxs'", "file": ".github/interlock.yml", "line": n, "hint": "", "place": ""}
        for n in (1, 3)
    ]
    check = preview({"before": side(), "after": {"errors": errors}, "changes": []})
    assert check is not None
    assert (check.conclusion, check.title) == ("failure", "the new configuration is broken in 2 places")
    assert [note.start_line for note in check.annotations] == [1, 3]


def test_what_is_wrong_with_the_organisation_s_file_is_no_fault_of_the_change() -> None:
    error = {"message": "x", "file": "organisation/.github/interlock.yml", "line": 1, "hint": "", "place": "default"}
    assert preview({"before": {"errors": [error]}, "after": {"errors": [error]}, "changes": []}) is None


@given(st.fixed_dictionaries({"before": JSON, "after": JSON, "changes": JSON}))
def test_no_document_makes_it_raise(document: dict[str, Any]) -> None:
    preview(document)


@given(st.text(max_size=40), st.text(max_size=40))
@pytest.mark.requirement("S-17")
def test_no_title_or_secret_breaks_the_table_or_mentions_anybody(title: str, secret: str) -> None:
    hostile = f"{title}|@octo <!-- x -->\n| {title}"
    rows = told(side(), side(box(1, title=hostile, secrets=[f"{secret}|`@octo"], control={"kind": "env"})))
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 4
    assert "<!--" not in rows[0]


def test_ten_thousand_boxes_fit() -> None:
    check = preview({"before": side(), "after": side(*(box(n, title="x" * 90) for n in range(10_000))), "changes": []})
    assert check is not None
    assert check.name == PREVIEW
    assert size(check.summary) <= BUDGET
    assert check.title == "10000 added of 10000 boxes after the merge"
    assert "and 9900 more" in check.summary
