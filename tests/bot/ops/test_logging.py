"""What the logs may show, and what else may leave the process."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from bot.ops import logging as logs
from bot.ops.own_secrets import OWN
from bot.store.audit import Audit, Entry
from bot.store.database import open_database
from tests.bot.github.wire import Wire, answer


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


LONG = f"ghs_1234567_eyJ{'hbGciOi-JSUzI1_' * 4}.eyJ{'pc3MiOiIx' * 12}.{'Ab-9_' * 68}"
PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 6 + "-----END RSA PRIVATE KEY-----"
SECRETS = [
    pytest.param("ghs_" + "a1B2" * 9, "a1B2a1B2", id="short-token"),
    pytest.param(LONG, "pc3MiOiIxpc3", id="long-token"),
    pytest.param(PEM, "MIIEvQIBADANBgkqhkiG9w0", id="private-key"),
    pytest.param("of-the-hook-itself", "of-the-hook-itself", id="webhook-secret"),
    pytest.param("Authorization: Bearer abcdef0123456789", "abcdef0123456789", id="authorization"),
    pytest.param("https://x-access-token:p4ssw0rd@github.com/o/r", "p4ssw0rd", id="in-an-address"),
]


def fail(words: str) -> None:
    raise LookupError(words) from ValueError(words)


@pytest.fixture(autouse=True)
def _learned() -> None:
    OWN.learn("webhook-secret-of-a-test", "of-the-hook-itself")


@pytest.mark.requirement("S-27", "S-28")
@pytest.mark.parametrize("form", ["json", "pretty"])
@pytest.mark.parametrize(("secret", "canary"), SECRETS)
def test_no_log_line_has_a_secret(form: str, secret: str, canary: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(form=form, level="info")
    log = structlog.get_logger()
    with structlog.contextvars.bound_contextvars(bound=secret):
        log.info(
            "thing_happened", said=f"git said {secret}", deep={"list": [secret, (secret,)]}, error=LookupError(secret)
        )
        try:
            fail(f"could not reach {secret}")
        except LookupError:
            log.exception("step_crashed")
            logging.getLogger("uvicorn.error").exception("failed with %s", secret)
        logging.getLogger("asyncio").error("Task exception was never retrieved: %r", secret)
    said = capsys.readouterr().err
    assert "thing_happened" in said
    assert said.count("library_logged") == 2
    assert canary not in said


FORGED = (
    'x\r\n2026-01-02 [info     ] run_finished conclusion=success\u2028{"event": "run_finished"}\x1b[2K\x1b[1A\u202e'
)


@pytest.mark.requirement("S-17")
@pytest.mark.parametrize("form", ["json", "pretty"])
def test_no_value_can_forge_a_line(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(form=form, level="info")
    log = structlog.get_logger()
    log.warning("branch_seen", name=FORGED, nothing="")
    logging.getLogger("uvicorn.error").warning(FORGED)
    try:
        fail(FORGED)
    except LookupError:
        log.exception("step_crashed")
    said = capsys.readouterr().err
    lines = said.splitlines()
    if form == "json":
        assert [json.loads(line)["event"] for line in lines] == ["branch_seen", "library_logged", "step_crashed"]
    begun = [line for line in lines if re.match(r"\S", line)]
    assert len(begun) == 3, said
    assert not set(said) & set("\x1b\r\u2028\u202e\x00")


@pytest.mark.requirement("S-27")
@pytest.mark.parametrize(("secret", "canary"), SECRETS)
async def test_nothing_that_is_written_to_a_repository_has_a_secret(secret: str, canary: str) -> None:
    wire = Wire(script=[answer({"id": 1}, 201), answer({"id": 1}, 201)])
    async with wire.app() as app:
        github = app.installation(1)
        await github.post("/repos/o/r/issues/1/comments", {"body": f"it said {secret}"})
        notes = [{"path": "a", "message": secret}]
        await github.post("/repos/o/r/check-runs", {"output": {"text": secret, "annotations": notes}})
    assert len(wire.asked) == 2
    assert all(canary.encode() not in request.content for request in wire.asked)


@pytest.mark.requirement("S-27")
@pytest.mark.parametrize(("secret", "canary"), SECRETS)
async def test_no_row_of_the_audit_has_a_secret(tmp_path: Path, secret: str, canary: str) -> None:
    database = await open_database(f"sqlite+aiosqlite:///{tmp_path}/app.sqlite")
    at = datetime(2026, 1, 2, tzinfo=UTC)
    entry = Entry(
        id="x", at=at, actor="mona", action="boxes run", decision="noted", repo_id=1, repo="o/r", detail=secret
    )
    await Audit(database).write(entry)
    [row] = await Audit(database).recent()
    assert canary not in repr(row)
    assert row.entry.at == at
    await database.dispose()
