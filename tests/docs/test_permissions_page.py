"""The page of permissions says what the App asks for."""

from __future__ import annotations

from bot.domain.grants import GRANTS, SUBSCRIPTIONS
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "reference" / "permissions.md").read_text(encoding="utf-8")


def rows(columns: int) -> list[str]:
    found = [line for line in PAGE.splitlines() if line.startswith("| ") and line.count("|") == columns + 1]
    return [line for line in found if not line.startswith("| set |")]


def test_every_permission_has_its_row_and_there_is_no_other() -> None:
    assert rows(5) == [f"| {g.tier} | {g.title} | {g.level} | {g.purpose} | {g.without} |" for g in GRANTS]


def test_every_event_has_its_row_and_there_is_no_other() -> None:
    assert rows(3) == [f"| {one.tier} | `{one.event}` | {one.without} |" for one in SUBSCRIPTIONS]
