"""A controller that is killed at any point of a deployment: users notice nothing, and it ends where it should."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.deploy.files import DeployFiles
from bot.deploy.journal import read, verify
from bot.deploy.supervise import carry_out
from bot.deploy.wishes import Wish, wish
from bot.domain.deploy.states import State
from bot.localhub.contract import Contract, Violation
from bot.localhub.contract_wire import ContractMiddleware
from bot.localhub.hub import LocalHub
from tests.fakes.app_in_slot import ask, behaves, command, end_everything, free_port
from tests.fakes.bot_process import BotProcess, bot_process
from tests.fakes.crashes import BACK, POINTS, Point
from tests.fakes.rollout import HAS, Rollout, Users, a_release, kill_controller, reaches
from tests.fakes.world import OK, REPO

BOX = "boxes/tier-1/1_ok.sh"

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


@pytest.fixture
async def hub() -> AsyncIterator[LocalHub]:
    violations: list[Violation] = []
    hub = LocalHub()
    hub.app = ContractMiddleware(hub.app, Contract.load(), violations.append)
    await hub.start()
    yield hub
    await hub.stop()
    assert violations == []


@contextlib.asynccontextmanager
async def deploying_bot(hub: LocalHub, directory: Path) -> AsyncIterator[BotProcess]:
    """A bot that may deploy on this machine; what outlives it on purpose is ended too."""
    settings = {"INTERLOCK_DEPLOY_TARGETS": "process", "INTERLOCK_DEPLOY_UNCONFINED": "yes"}
    async with bot_process(hub, directory, settings=settings) as bot:
        try:
            yield bot
        finally:
            await bot.kill()
            await end_everything(bot.data_dir)


def production(port: int, *, seconds: float) -> dict[str, str]:
    """An environment that follows main."""
    target = f'{{kind: process, command: "{command()}", listen: "127.0.0.1:{port}", health: /}}'
    watch = f"{{for: {seconds}s, probes: [{{http: /, every: 50ms}}], traffic: false}}"
    lines = ["when: {push: main}", f"target: {target}", f"watch: {watch}", "rollback: {drain: 100ms}"]
    return {".github/interlock.yml": "environments:\n  production:\n" + "".join(f"    {line}\n" for line in lines)}


async def ended(hub: LocalHub, nth: int) -> list[str]:
    """What GitHub was told of a deployment, once that is over."""
    async with asyncio.timeout(60):
        while True:
            rows = hub.deploying.deployments(REPO)
            if len(rows) > nth and hub.deploying.state_of(rows[nth]) in {"success", "failure", "error"}:
                said = [(status.state, status.description) for status in hub.deploying.statuses(rows[nth])]
                assert len(said) == len(set(said)), "everything is told once"
                return [state for state, _ in said]
            await asyncio.sleep(0.05)


def of(bot: BotProcess, number: int) -> DeployFiles:
    return DeployFiles(bot.data_dir / "deployments" / str(number))


@pytest.mark.deployment(11, 21)
@pytest.mark.parametrize("state", ["preparing", "baking"])
async def test_a_bot_killed_during_a_deployment_finds_it_ended_and_tells_github_once(
    hub: LocalHub, tmp_path: Path, state: str
) -> None:
    port = free_port()
    async with deploying_bot(hub, tmp_path) as bot:
        files = {BOX: OK, **behaves("one"), **production(port, seconds=0.5)}
        hub.create_repository(REPO, files=files, collaborators={"mona": "write"})
        await ended(hub, 0)
        assert ask(port) == (200, "one")
        hub.commit(REPO, "main", behaves("two"), "Change", "mona")
        await reaches(of(bot, 2), "state", state=state)
        await bot.kill()
        if state == "baking":  # from here on nobody has to be asked.
            await reaches(of(bot, 2), "state", state="succeeded")
            assert ask(port) == (200, "two")
        await bot.start()
        told = await ended(hub, 1)
    assert told[-1] == "success"
    assert [state for state, _ in itertools.groupby(told)] == ["pending", "in_progress", "success"]
    assert verify(read(of(bot, 2))) == ""


@pytest.mark.deployment(11, 14, 21)
async def test_while_the_bot_is_dead_a_bad_release_is_rolled_back_and_told_afterwards(
    hub: LocalHub, tmp_path: Path
) -> None:
    port = free_port()
    async with deploying_bot(hub, tmp_path) as bot:
        files = {BOX: OK, **behaves("one"), **production(port, seconds=3)}
        hub.create_repository(REPO, files=files, collaborators={"mona": "write"})
        await ended(hub, 0)
        hub.commit(REPO, "main", behaves("two", bad_after=30), "Change", "mona")
        await reaches(of(bot, 2), "watch")
        await bot.kill()
        await reaches(of(bot, 2), "state", state="rolled_back")
        assert ask(port) == (200, "one")
        await bot.start()
        assert (await ended(hub, 1))[-1] in {"failure", "error"}
