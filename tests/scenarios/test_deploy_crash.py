"""A controller that is killed at any point of a deployment: users notice nothing, and it ends where it should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.deploy.files import DeployFiles
from bot.deploy.journal import read, verify
from bot.deploy.supervise import carry_out
from bot.deploy.wishes import Wish, wish
from bot.domain.deploy.states import State
from tests.fakes.crashes import BACK, POINTS, Point
from tests.fakes.rollout import HAS, Rollout, Users, a_release, kill_controller, reaches

A, B = a_release("a"), a_release("b")


@pytest.fixture
async def rollout(tmp_path: Path) -> AsyncIterator[Rollout]:
    if not HAS["haproxy"]:
        pytest.skip("missing component: haproxy")
    async with Rollout(tmp_path).cleaned() as rollout:
        await rollout.put_live(A)
        yield rollout


async def asked_back(files: DeployFiles) -> None:
    """A person who wants the release before, as soon as the new one is watched."""
    await reaches(files, "watch")
    wish(files, Wish.ROLLBACK, "mona")


@pytest.mark.deployment(11)
@pytest.mark.parametrize("point", POINTS, ids=str)
async def test_a_controller_killed_at_any_point_under_load_converges_and_loses_no_request(
    rollout: Rollout, tmp_path: Path, point: Point
) -> None:
    going_back = point.end is BACK
    rollout.section = {"watch": {"for": 30.0 if going_back else 1.0, "probes": [{"http": "/", "every": 0.05}]}}
    files = await rollout.deployment(B, A)
    mark = tmp_path / "killed"
    async with Users(rollout.port).coming() as users:
        person = asyncio.create_task(asked_back(files)) if going_back else None
        async with asyncio.timeout(90):
            ended = await carry_out(files, rollout.place, replace(rollout.terms(), argv=point.argv(mark)))
        before = users.total
        while users.total < before + 20:  # whoever comes afterwards is served too.
            await asyncio.sleep(0.01)
    if person is not None:
        await person
    assert mark.exists(), "nobody was killed"
    assert ended.state is point.end
    assert users.failed == []
    entries = read(files)
    assert verify(entries) == ""
    right, slot = (A, "blue") if going_back else (B, "green")
    seen = await rollout.target(0).observe()
    assert (seen.live, seen.slots[slot].release, seen.slots[slot].running) == (slot, right.id, True)
    routed = [entry.data["weights"] for entry in entries if entry.kind == "done" and entry.data["call"] == "route"]
    routed += [entry.data["weights"] for entry in entries if entry.kind == "seen" and entry.data["what"] == "target"]
    assert {slot: share for slot, share in routed[-1].items() if share} == {slot: 100}
    assert sum(entry.kind == "intent" and entry.data["call"] == "start" for entry in entries) <= 2


@pytest.mark.deployment(11)
async def test_when_bot_and_controller_are_killed_together_the_next_start_brings_it_to_its_end(
    rollout: Rollout,
) -> None:
    files = await rollout.deployment(B, A)
    async with Users(rollout.port).coming() as users:
        bot = asyncio.create_task(rollout.carry_out(files))
        await reaches(files, "watch")
        bot.cancel()
        kill_controller(files)
        await asyncio.wait({bot})
        assert (await rollout.carry_out(files)).state is State.SUCCEEDED
    assert users.failed == []


@pytest.mark.deployment(11, 14)
async def test_without_the_bot_a_bad_release_is_rolled_back_all_the_same(rollout: Rollout) -> None:
    rollout.section = {"watch": {"for": 60.0, "probes": [{"http": "/", "every": 0.1}]}}
    files = await rollout.deployment(B, A)
    async with Users(rollout.port).coming():
        bot = asyncio.create_task(rollout.carry_out(files))
        await reaches(files, "watch")
        bot.cancel()
        await asyncio.wait({bot})
        (files.tree / "fault").write_text("1.0")
        await reaches(files, "state", state="rolled_back")
    assert (await rollout.target(0).observe()).live == "blue"
