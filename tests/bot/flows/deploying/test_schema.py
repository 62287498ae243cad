from __future__ import annotations

import pytest

from bot.domain.deploy.schema_guard import Range, read_range


@pytest.mark.parametrize(
    ("text", "means"),
    [
        pytest.param("12..15\n", Range(12, 15), id="both ends"),
        pytest.param("12..", Range(12, None), id="from"),
        pytest.param("..15", Range(None, 15), id="up to"),
        pytest.param(" 12 ", Range(12, 12), id="one"),
        pytest.param("15..12", None, id="the wrong way round"),
        pytest.param("..", None, id="no end"),
        pytest.param("", None, id="nothing"),
        pytest.param("1215..x", None, id="words"),
        pytest.param("12 .. 15", None, id="spaces"),
    ],
)
def test_a_range_of_schemas_is_read_or_refused(text: str, means: Range | None) -> None:
    assert read_range(text) == means
