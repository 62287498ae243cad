"""What the logs may show."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from bot.ops import logging as logs


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_logged_traceback_does_not_show_local_variables(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        token = "-".join(["ghs", "secret"])  # put together here, so that no line of source holds it.
        raise LookupError(len(token))

    logs.configure(form=form, level="info")
    try:
        fail()
    except LookupError:
        structlog.get_logger().exception("step_crashed")
        logging.getLogger("uvicorn.error").exception("a library's words")

    said = capsys.readouterr().err
    assert said.count("LookupError") >= 2
    assert "ghs-secret" not in said
