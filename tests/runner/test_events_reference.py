from __future__ import annotations

from pathlib import Path

import pytest

from runner.events import TYPES

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "events.md").read_text()


@pytest.mark.parametrize("name", TYPES)
def test_every_event_and_each_of_its_fields_is_in_the_reference(name: str) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    fields = row.split("|")[3]

    assert [field for field in TYPES[name].__slots__ if f"`{field}`" not in fields] == []
