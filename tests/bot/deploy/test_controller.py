"""The controller, at a small target: what users get, what the journal says, and where the deployment ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bot.deploy.journal import verify
from bot.deploy.target import Dead, NotYet, Unbuildable
from bot.domain.deploy.states import State
from tests.bot.deploy.stage import HAPPY, NEW, OLD, Stage
from tests.fakes.small_target import opened


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "deployment")


async def test_a_good_release_takes_over_and_the_one_before_goes(stage: Stage) -> None:
    async with opened(stage.target):
        assert await stage.run() is State.SUCCEEDED
    assert stage.states == HAPPY
    assert stage.target.calls == ["start green bbbbbbb", "route blue 0 green 100", "drain blue", "stop blue"]
    assert verify(stage.entries) == ""
