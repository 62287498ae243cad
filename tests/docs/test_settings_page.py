"""The page of settings says what the settings are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.ops.settings import PREFIX, Settings

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
ROWS = {name.lower(): row for name, row in re.findall(rf"^\| `{PREFIX}([A-Z_]+)` \| (.*)$", PAGE, re.MULTILINE)}


def test_every_setting_has_a_row_and_every_row_is_a_setting() -> None:
    assert set(ROWS) == set(Settings.model_fields)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_a_row_says_what_the_setting_says_of_itself(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    beginning = description.split(";")[0].split(" (")[0]
    assert beginning in ROWS[name] or beginning.split(",")[0] in ROWS[name]


@pytest.mark.parametrize("name", ["log", "log_level", "github_api_url", "drain_seconds"])
def test_a_row_has_the_default(name: str) -> None:
    default = str(Settings.model_fields[name].default).removesuffix(".0")
    assert f"`{default}`" in ROWS[name].split("|")[0]
