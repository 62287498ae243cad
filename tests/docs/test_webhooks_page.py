"""The page of webhooks says of every event and action what the code says."""

from __future__ import annotations

import re

from bot.domain.webhook_events import EVENTS
from bot.flows import housekeeping
from bot.web import patience, webhooks
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs" / "reference" / "webhooks.md").read_text(encoding="utf-8")


def table() -> list[str]:
    """A row for each meaning of each event, in the order of the code."""
    rows = []
    for event, actions in EVENTS.items():
        by_meaning: dict[str, list[str]] = {}
        for action, meaning in actions.items():
            says = meaning.says if meaning.acts else f"nothing: {meaning.says}"
            by_meaning.setdefault(says, []).append(f"`{action}`" if action else "")
        rows += [f"| `{event}` | {', '.join(sorted(names))} | {says} |" for says, names in by_meaning.items()]
    return rows


def test_every_event_and_action_is_on_the_page_with_what_is_done() -> None:
    shown = re.findall(r"^\| `[a-z_]+` \|.*\|$", PAGE, re.MULTILINE)
    assert shown == table(), "the table should be:\n" + "\n".join(table())


def test_the_page_names_the_limits_as_they_are() -> None:
    for figure in (
        f"{webhooks.MAX_BODY // 2**20} MiB",
        f"{webhooks.MAX_HEAD // 1024} KiB",
        f"{webhooks.READ_SECONDS:g} s",
        f"{patience.HEAD_SECONDS:g} s",
        f"{housekeeping.BODIES_KEPT.days} days",
        f"{housekeeping.DELIVERIES_KEPT.days} days",
    ):
        assert figure in PAGE, figure


def test_the_page_names_every_answer_of_the_door() -> None:
    source = (ROOT / "bot" / "web" / "webhooks.py").read_text(encoding="utf-8")
    given = set(re.findall(r"(?:Unread|_refuse)\((\d{3})", source)) | {"202", "405"}
    assert set(re.findall(r"^\| (\d{3}) \|", PAGE, re.MULTILINE)) == given
