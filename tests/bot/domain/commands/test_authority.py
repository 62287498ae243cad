from __future__ import annotations

import ast
from pathlib import Path

import pytest

import bot
from bot.domain.commands.asked import Rerun
from bot.domain.commands.authority import Allowed, Need, Refused, is_lookalike, may
from bot.domain.commands.buttons import PRESSED, rerun_of
from bot.domain.commands.entry import Surface
from bot.domain.commands.pinning import other_than_meant
from bot.domain.commands.registry import REGISTRY
from bot.domain.commands.telling import REASONS

HEAD = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
OTHER = "5c936ed753dc7fc0b171f65c09e7a398fcff5015"


@pytest.mark.parametrize("permission", ["admin", "maintain", "write"])
def test_writers_may_steer_runs(permission: str) -> None:
    assert may(permission, Need.WRITE) == Allowed()


@pytest.mark.requirement("S-30")
@pytest.mark.parametrize("permission", ["triage", "read", "none", "", "OWNER", "Write", "MEMBER"])
def test_nobody_else_may(permission: str) -> None:
    refused = may(permission, Need.WRITE)
    assert refused == Refused("not_permitted", "only people with write permission in this repository can steer it")
    assert may(permission, Need.NOTHING) == Allowed()


@pytest.mark.parametrize(("permission", "allowed"), [("admin", True), ("maintain", True), ("write", False)])
def test_only_who_maintains_a_repository_may_freeze_it(permission: str, allowed: bool) -> None:
    assert isinstance(may(permission, Need.MAINTAIN), Allowed) is allowed


@pytest.mark.requirement("S-19")
@pytest.mark.parametrize(("login", "looks"), [("x[bot]", True), ("X[BOT]", True), ("robot", False), ("bot", False)])
def test_a_login_with_the_suffix_of_apps_is_a_lookalike(login: str, looks: bool) -> None:
    assert is_lookalike(login) is looks


@pytest.mark.requirement("S-2")
@pytest.mark.parametrize(
    ("at", "is_fork", "code"),
    [
        pytest.param("", False, None, id="none-named"),
        pytest.param("", True, None, id="none-named-on-a-fork"),
        pytest.param(HEAD, True, None, id="the-head"),
        pytest.param(HEAD[:7], False, None, id="the-beginning-of-the-head"),
        pytest.param(HEAD[:39], True, "short_sha", id="the-beginning-on-a-fork"),
        pytest.param(OTHER, False, "other_head", id="another"),
        pytest.param(OTHER, True, "other_head", id="another-on-a-fork"),
        pytest.param(HEAD[8:20], False, "other_head", id="the-middle-of-the-head"),
        pytest.param(HEAD + "0", False, "other_head", id="more-than-the-head"),
    ],
)
def test_a_command_acts_on_the_commit_that_it_names_or_on_none(at: str, is_fork: bool, code: str | None) -> None:
    refused = other_than_meant(at, head_sha=HEAD, is_fork=is_fork)
    assert (refused and refused.code) == code


@pytest.mark.requirement("S-2")
def test_a_refusal_names_both_commits() -> None:
    refused = other_than_meant(OTHER, head_sha=HEAD, is_fork=False)
    assert refused
    assert refused.because == f"`{OTHER}` is not the head of this pull request, which is `{HEAD}`"


def test_what_a_button_stands_for_is_a_command() -> None:
    assert {button.identifier: rerun_of(button.identifier) for button in PRESSED} == {
        "rerun_failed": Rerun("failed"),
        "rerun_all": Rerun("all"),
    }
    assert rerun_of("explain") is rerun_of("deploy") is None


def test_the_action_says_what_commands_say() -> None:
    said = {command.topic for command in REGISTRY if Surface.ACTION in command.offered}
    assert said == {"run", "falsify"}, "its inputs `select` and `falsify`"


def test_every_reason_that_somebody_can_be_given_is_explained() -> None:
    """The audit and REST promise one of these words."""
    calls = [
        node
        for part in ("domain", "flows")
        for file in (Path(bot.__file__).parent / part).rglob("*.py")
        if file.parent.name != "deploy"  # where plans are refused, by a sentence alone.
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"Refused", "MayNot"}
    ]
    codes = {arg.value for call in calls for arg in call.args[:1] if isinstance(arg, ast.Constant)}
    assert codes
    assert codes <= set(REASONS)
