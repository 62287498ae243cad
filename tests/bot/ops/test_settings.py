from __future__ import annotations

from pathlib import Path

import pytest

from bot.ops.settings import BadSettings, Settings, load_settings

PEM = "-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----"
GOOD = {
    "INTERLOCK_GITHUB_APP_ID": "7",
    "INTERLOCK_GITHUB_PRIVATE_KEY": PEM,
    "INTERLOCK_WEBHOOK_SECRET": "new, old",
    "INTERLOCK_DATA_DIR": "data",
}


def load(tmp_path: Path, **changes: str | None) -> Settings:
    environ = {**GOOD, **{f"INTERLOCK_{k.upper()}": v for k, v in changes.items() if v is not None}}
    for name, value in changes.items():
        if value is None:
            environ.pop(f"INTERLOCK_{name.upper()}", None)
    return load_settings(environ, cwd=tmp_path)[0]


@pytest.mark.requirement("S-21")
def test_two_secrets_are_accepted_while_one_replaces_the_other(tmp_path: Path) -> None:
    assert load(tmp_path).webhook_secrets == ("new", "old")


@pytest.mark.requirement("S-21")
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"webhook_secret": None}, r"INTERLOCK_WEBHOOK_SECRET is not set \(nor .*_FILE\)", id="no-secret"),
        pytest.param({"webhook_secret": " , "}, "INTERLOCK_WEBHOOK_SECRET is empty: without it", id="empty-secret"),
        pytest.param({"github_private_key": "nonsense"}, "INTERLOCK_GITHUB_PRIVATE_KEY is not a PEM", id="not-pem"),
        pytest.param({"github_app_id": "seven"}, "INTERLOCK_GITHUB_APP_ID must be a whole number", id="not-a-number"),
        pytest.param({"log": "xml"}, "INTERLOCK_LOG must be one of 'pretty' or 'json'", id="not-a-form"),
        pytest.param({"max_runs": "0"}, "INTERLOCK_MAX_RUNS must be greater than or equal to 1", id="too-little"),
        pytest.param({"database_url": "postgresql://x"}, "DATABASE_URL must begin with sqlite", id="not-sqlite"),
        pytest.param({"github_api_url": "http://ghe.example"}, "would travel unencrypted", id="plain-http"),
        pytest.param({"github_api_url": "ftp://x"}, "must begin with http", id="not-http"),
        pytest.param({"webhook_secrt": "x"}, r"did you mean INTERLOCK_WEBHOOK_SECRET\?", id="misspelt"),
        pytest.param(
            {"github_private_key": None, "github_private_key_file": "/no/such"}, "cannot read /no/such", id="no-file"
        ),
        pytest.param({"webhook_secret_file": "/no/such"}, "SECRET and .*_FILE are both set: keep one", id="both"),
    ],
)
def test_a_mistake_is_named_with_its_setting(tmp_path: Path, changes: dict[str, str | None], sentence: str) -> None:
    with pytest.raises(BadSettings, match=sentence):
        load(tmp_path, **changes)


def test_who_has_no_settings_is_told_where_they_were_looked_for_and_who_writes_them(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings({"INTERLOCK_DATA_DIR": "data"}, cwd=tmp_path)
    assert caught.value.way_out.startswith("let `interlock setup` write them: there is no data/credentials/")
    with pytest.raises(BadSettings) as caught:
        load(tmp_path, log="xml")
    assert not caught.value.way_out


def test_a_file_that_cannot_be_read_is_one_mistake(tmp_path: Path) -> None:
    (tmp_path / "hook").write_bytes(b"\xff")
    with pytest.raises(BadSettings) as caught:
        load(
            tmp_path,
            github_private_key=None,
            github_private_key_file="/no/such",
            webhook_secret=None,
            webhook_secret_file=str(tmp_path / "hook"),
        )
    assert str(caught.value).splitlines() == [
        "INTERLOCK_GITHUB_PRIVATE_KEY_FILE: cannot read /no/such: No such file or directory",
        f"INTERLOCK_WEBHOOK_SECRET_FILE: {tmp_path / 'hook'} is not text",
    ]


def test_a_directory_named_like_the_file_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "interlock.toml").mkdir()
    with pytest.raises(BadSettings, match=r"interlock\.toml: cannot be read: Is a directory"):
        load(tmp_path)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadSettings) as caught:
        load_settings({}, cwd=tmp_path)
    assert len(str(caught.value).splitlines()) == 3


def test_a_secret_in_a_file_needs_no_environment_variable(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("from-file\n")
    settings = load(tmp_path, webhook_secret=None, webhook_secret_file=str(tmp_path / "hook"))
    assert settings.webhook_secrets == ("from-file",)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "interlock.toml").write_text('log = "pretty"\nmax_runs = 3\n')
    settings = load(tmp_path, max_runs="5")
    assert (settings.log, settings.max_runs) == ("pretty", 5)


def test_the_environment_wins_over_the_files_other_spelling(tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("from-file")
    (tmp_path / "interlock.toml").write_text(f'webhook_secret_file = "{tmp_path / "hook"}"\n')
    assert load(tmp_path, webhook_secret="set-directly").webhook_secrets == ("set-directly",)
    (tmp_path / "interlock.toml").write_text('webhook_secret = "in-the-toml"\n')
    named = load(tmp_path, webhook_secret=None, webhook_secret_file=str(tmp_path / "hook"))
    assert named.webhook_secrets == ("from-file",)


def test_every_misspelt_name_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "interlock.toml").write_text('max_run = 3\nlogs = "json"\n')
    with pytest.raises(BadSettings) as caught:
        load(tmp_path)
    assert str(caught.value).splitlines() == [
        f"{tmp_path / 'interlock.toml'}: logs is not a setting (did you mean log?)",
        f"{tmp_path / 'interlock.toml'}: max_run is not a setting (did you mean max_runs?)",
    ]


def test_a_foreign_name_only_warns(tmp_path: Path) -> None:
    _, warnings = load_settings({**GOOD, "INTERLOCK_ZZZZ": "1"}, cwd=tmp_path)
    assert warnings == ("INTERLOCK_ZZZZ is not a setting and is ignored",)


def test_no_secret_shows_in_a_representation(tmp_path: Path) -> None:
    shown = repr(load(tmp_path)) + str(load(tmp_path).model_dump())
    assert "new, old" not in shown
    assert "BEGIN RSA" not in shown
