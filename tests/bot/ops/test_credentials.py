"""Credentials are written whole, private, and never over others unasked."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.localhub import keys
from bot.ops.credentials import CredentialsExist, CredentialsNotWritten, require_room, write_credentials
from bot.ops.settings import BadSettings, load_settings

TOLD: dict[str, str | int] = {"github_app_id": 7, "public_url": "https://bot.example"}


def write(data_dir: Path, secret: str = "s1") -> Path:
    return write_credentials(data_dir, TOLD, private_key=keys.process_key(), webhook_secret=secret)


@pytest.mark.requirement("S-28")
def test_only_the_owner_can_read_them_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        place = write(tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()} == {
        "interlock.toml": 0o600,
        "private-key.pem": 0o600,
        "webhook-secret": 0o600,
    }


def test_the_bot_finds_them_with_nothing_but_its_data_directory(tmp_path: Path) -> None:
    write(tmp_path)
    settings, warnings = load_settings({"INTERLOCK_DATA_DIR": str(tmp_path)}, cwd=tmp_path)
    assert (settings.github_app_id, settings.public_url) == (7, "https://bot.example")
    assert settings.webhook_secrets == ("s1",)
    assert settings.github_private_key.get_secret_value() == keys.process_key().strip()
    assert warnings == ()


def test_they_move_with_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    write(tmp_path / "made")
    (tmp_path / "made").rename(tmp_path / "moved")
    settings, _ = load_settings({"INTERLOCK_DATA_DIR": str(tmp_path / "moved")}, cwd=tmp_path)
    assert settings.webhook_secrets == ("s1",)


def test_the_environment_and_the_working_directory_win_over_them(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "interlock.toml").write_text('webhook_secret = "own"\nlog = "pretty"\n')
    environ = {"INTERLOCK_DATA_DIR": str(tmp_path), "INTERLOCK_PUBLIC_URL": "https://other.example"}
    settings, _ = load_settings(environ, cwd=tmp_path)
    assert settings.webhook_secrets == ("own",)
    assert (settings.public_url, settings.log, settings.github_app_id) == ("https://other.example", "pretty", 7)


def test_a_data_directory_named_in_the_working_directorys_file_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    (tmp_path / "interlock.toml").write_text(f'data_dir = "{tmp_path / "data"}"\n')
    assert load_settings({}, cwd=tmp_path)[0].github_app_id == 7


def test_nothing_is_written_over_credentials_unasked(tmp_path: Path) -> None:
    place = write(tmp_path)
    with pytest.raises(CredentialsExist, match="--replace"):
        require_room(tmp_path, replace=False)
    require_room(tmp_path, replace=True)
    assert (place / "webhook-secret").read_text() == "s1\n"


def test_those_that_were_replaced_are_kept_beside(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "s2")
    write(tmp_path, "s3")
    assert (tmp_path / "credentials" / "webhook-secret").read_text() == "s3\n"
    assert (tmp_path / "credentials.before" / "webhook-secret").read_text() == "s2\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["credentials", "credentials.before"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = write(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", str(place))

    monkeypatch.setattr("bot.ops.credentials.os.fsync", full)
    with pytest.raises(CredentialsNotWritten, match="No space left on device"):
        write(tmp_path, "s2")
    assert (place / "webhook-secret").read_text() == "s1\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["credentials"]


def test_a_place_that_cannot_be_written_is_told_before_anybody_is_sent_to_github(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CredentialsNotWritten, match="--data-dir"):
        require_room(tmp_path / "file" / "data", replace=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_writes_for_the_bot_belongs_to_the_bot(tmp_path: Path) -> None:
    os.chown(tmp_path, 4711, 4712)
    place = write(tmp_path)
    owners = {(path.stat().st_uid, path.stat().st_gid) for path in (place, *place.iterdir())}
    assert owners == {(4711, 4712)}


@given(url=st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_comes_back_from_the_file_as_it_was(tmp_path_factory: pytest.TempPathFactory, url: str) -> None:
    data_dir = tmp_path_factory.mktemp("data")
    place = write_credentials(data_dir, {"public_url": url}, private_key="k", webhook_secret="s")
    assert tomllib.loads((place / "interlock.toml").read_text("utf-8"))["public_url"] == url


def test_systemd_hands_the_secrets_over_by_name(tmp_path: Path) -> None:
    handed = tmp_path / "handed"
    handed.mkdir()
    (handed / "github_private_key").write_text(keys.process_key())
    (handed / "webhook_secret").write_text("from-systemd\n")
    environ = {
        "CREDENTIALS_DIRECTORY": str(handed),
        "INTERLOCK_GITHUB_APP_ID": "7",
        "INTERLOCK_DATA_DIR": str(tmp_path),
    }
    assert load_settings(environ, cwd=tmp_path)[0].webhook_secrets == ("from-systemd",)
    environ["INTERLOCK_WEBHOOK_SECRET"] = "from-the-environment"
    assert load_settings(environ, cwd=tmp_path)[0].webhook_secrets == ("from-the-environment",)


@pytest.mark.requirement("S-21")
def test_without_a_secret_in_any_place_it_does_not_start(tmp_path: Path) -> None:
    handed = tmp_path / "handed"
    handed.mkdir()
    (handed / "webhook_secret").write_text(" , \n")
    place = write(tmp_path)
    (place / "webhook-secret").write_text("")
    for environ in ({}, {"CREDENTIALS_DIRECTORY": str(handed)}):
        with pytest.raises(BadSettings, match="WEBHOOK_SECRET is empty: without it anybody could send webhooks"):
            load_settings({**environ, "INTERLOCK_DATA_DIR": str(tmp_path)}, cwd=tmp_path)
