"""What the doctor sees of a machine, and what it leaves as it was."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.commands.doctor_machine import data_findings, database_finding, release_findings, sandbox_finding
from bot.localhub import keys
from bot.ops.settings import Settings
from bot.store.database import SCHEMA_VERSION, open_database
from bot.store.inspection import inspect


def settings(data_dir: Path, **more: Any) -> Settings:
    return Settings(
        **more,
        data_dir=data_dir,
        github_app_id=7,
        github_private_key=SecretStr(keys.process_key()),
        webhook_secret=SecretStr("s"),
    )


def url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def schema(path: Path, version: int) -> None:
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {version}")
    database.close()


async def test_a_database_in_use_is_read_and_left_alone(tmp_path: Path) -> None:
    engine = await open_database(url(tmp_path / "app.sqlite"))
    facts = inspect(url(tmp_path / "app.sqlite"))
    await engine.dispose()
    assert (facts.schema, facts.journal, facts.trouble) == (SCHEMA_VERSION, "wal", "")
    assert database_finding(facts).good


def test_looking_for_a_database_does_not_make_one(tmp_path: Path) -> None:
    told = database_finding(inspect(url(tmp_path / "app.sqlite")))
    assert told.good
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_a_newer_version_keeps_the_bot_from_starting(tmp_path: Path) -> None:
    schema(tmp_path / "app.sqlite", SCHEMA_VERSION + 1)
    told = database_finding(inspect(url(tmp_path / "app.sqlite")))
    assert told.level == "configuration"
    assert told.found.endswith(f"has schema {SCHEMA_VERSION + 1}, this version knows {SCHEMA_VERSION}")


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "app.sqlite").write_bytes(b"not a database, but long enough to be taken for one" * 40)
    told = database_finding(inspect(url(tmp_path / "app.sqlite")))
    assert told.level == "error"
    assert "not a database" in told.found


RUNG = {"level": "bubblewrap", "why_not": "it is not installed", "fix": "apt-get install bubblewrap"}


@pytest.mark.parametrize(
    ("asked", "full", "better", "level", "fix"),
    [
        pytest.param("auto", True, [], "ok", "", id="full"),
        pytest.param("auto", False, [RUNG], "warning", "apt-get install bubblewrap", id="less"),
        pytest.param("full", False, [RUNG], "error", "apt-get install bubblewrap", id="less-than-demanded"),
        pytest.param("off", False, [], "warning", "unset INTERLOCK_SANDBOX", id="switched-off"),
    ],
)
def test_the_sandbox_is_judged_by_what_was_asked_for(
    asked: str, full: bool, better: list[dict[str, str]], level: str, fix: str
) -> None:
    told = sandbox_finding({"asked": asked, "level": "landlock", "full": full, "better": better})
    assert (told.level, told.fix) == (level, fix)


@pytest.mark.requirement("S-28")
def test_a_key_that_was_laid_down_readable_for_everybody_is_told(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("k")
    key.chmod(0o644)
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    found = list(data_findings(settings(data_dir), {"INTERLOCK_GITHUB_PRIVATE_KEY_FILE": str(key)}))
    (told,) = [one for one in found if one.name == "secrets"]
    assert told.fix == f"chmod 600 {key}"
    key.chmod(0o640)
    found = list(data_findings(settings(data_dir), {"INTERLOCK_GITHUB_PRIVATE_KEY_FILE": str(key)}))
    assert all(one.good for one in found if one.name == "secrets")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")
def test_run_as_another_user_it_says_as_whom() -> None:
    with tempfile.TemporaryDirectory() as open_to_all:
        Path(open_to_all).chmod(0o755)
        assert _seen_by_another_user(Path(open_to_all) / "data") == 0


def _seen_by_another_user(data_dir: Path) -> int:
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, 4711, 4711)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setuid(4712)
            (told,) = data_findings(settings(data_dir), {})
            code = 0 if told.level == "error" and "sudo -u '#4711' interlock doctor" in told.fix else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_nothing_is_said_of_releases_where_none_may_run(tmp_path: Path) -> None:
    assert list(release_findings(settings(tmp_path))) == []


@pytest.mark.parametrize(
    ("said", "level", "found", "fix"),
    [
        pytest.param(
            {"deploy_targets": "command", "deploy_user": "no-such-user"},
            "error",
            "none can run here",
            "INTERLOCK_DEPLOY_USER names no-such-user, whom this machine does not know",
            id="an-unknown-user",
        ),
        pytest.param(
            {"deploy_targets": "command", "deploy_unconfined": "yes"},
            "warning",
            "they run as the bot's own user and see all that it sees",
            "set INTERLOCK_DEPLOY_USER where the bot is root, install bubblewrap where it is not",
            id="unconfined",
        ),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs releases as somebody else")
def test_what_keeps_releases_from_running_is_told_before_the_first(
    said: dict[str, str], level: str, found: str, fix: str, tmp_path: Path
) -> None:
    first, *_ = release_findings(settings(tmp_path, **said))
    assert (first.level, first.found, first.fix) == (level, found, fix)


def test_a_process_target_needs_a_router(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = settings(tmp_path, deploy_targets="process", deploy_unconfined="yes")
    monkeypatch.setattr("bot.deploy.routers.choosing.which", lambda _name, _where: "")
    *_, router = release_findings(said)
    assert (router.level, router.found) == ("error", "there is none, so no target of kind process works")
    assert "apt-get install haproxy" in router.fix
