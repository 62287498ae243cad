"""The page of targets says what targets read and do."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from bot.deploy.targets.options import VERBS, CommandOptions, ProcessOptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "targets.md").read_text(encoding="utf-8")
SLOTS = {"ports": "slots"}


def keys(section: str) -> set[str]:
    text = PAGE.partition(f"## `{section}`")[2].partition("\n## ")[0]
    return {key for cell in re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE) for key in re.findall(r"`(\w+)`", cell)}


def test_every_key_of_a_process_target_has_its_row() -> None:
    assert {SLOTS.get(field.name, field.name) for field in fields(ProcessOptions)} <= keys("process")


def test_every_key_of_a_command_target_has_its_row() -> None:
    assert {field.name for field in fields(CommandOptions)} - {"verbs"} | set(VERBS) <= keys("command")


def test_the_example_is_the_one_that_is_held() -> None:
    example = (ROOT / "tests" / "contracts" / "symlink.sh").read_text(encoding="utf-8")
    assert f"as a target\n{example}```" in PAGE
