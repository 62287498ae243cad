"""The bot is killed at some moment, started again, and nobody on GitHub can tell.

The moments are drawn from a seed, over the whole life of a run: from before its delivery was read to after its verdict.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from bot.flows.run_files import RunFiles
from bot.localhub.contract import Contract, Violation
from bot.localhub.contract_wire import ContractMiddleware
from bot.localhub.hub import LocalHub
from runner.events import BoxFinished, BoxStarted, from_line
from runner.model import BoxId, Verdict
from tests.fakes.bot_process import BotProcess, bot_process, processes_of_runs
from tests.fakes.world import REPO, box

SLOW = {f"boxes/tier-{tier}/{tier}{n}_slow.sh": box("sleep 0.15", title=f"Slow {n}") for tier in (1, 2) for n in (1, 2)}
LIFE = 3.0
"""Seconds that the run of the story takes here, roughly; the moments of the kill are spread over it."""


@pytest.fixture
async def hub() -> object:
    violations: list[Violation] = []
    hub = LocalHub()
    hub.app = ContractMiddleware(hub.app, Contract.load(), violations.append)
    await hub.start()
    yield hub
    await hub.stop()
    assert violations == []


async def redeliver_what_failed(hub: LocalHub) -> None:
    """What a person does on GitHub's page: GitHub itself never repeats a delivery."""
    await hub.settled()
    done = {delivery.guid for delivery in hub.deliveries() if delivery.status_code == 202}
    for delivery in hub.deliveries():
        if delivery.guid not in done:
            done.add(delivery.guid)
            hub.redeliver(delivery)
    await hub.settled()


async def concluded(hub: LocalHub, sha: str, seconds: float = 40) -> None:
    """Wait until the head has its verdict."""
    async with asyncio.timeout(seconds):
        while not any(run.name == "Interlock" and run.conclusion for run in hub.check_runs(REPO, sha)):
            await asyncio.sleep(0.05)


async def quiet(hub: LocalHub, bot: BotProcess) -> None:
    """Wait until nothing is left to do."""
    async with asyncio.timeout(40):
        while True:
            await hub.settled()
            parts = (await bot.get("/health/detailed")).json()["parts"]
            if not parts["database"]["open_deliveries"] + parts["database"]["open_runs"] + parts["flows"]["unfinished"]:
                return
            await asyncio.sleep(0.05)


def records(bot: BotProcess) -> list[RunFiles]:
    """The files of every run."""
    return [RunFiles(directory=path) for path in sorted((bot.data_dir / "runs").iterdir())]


def verdicts_twice(files: RunFiles) -> list[BoxId]:
    """Boxes that were started again although a verdict stood in an earlier record."""
    decided: set[BoxId] = set()
    again = []
    for path in files.records():
        events = [from_line(line) for line in path.read_text().splitlines()]
        again += [event.box for event in events if isinstance(event, BoxStarted) and event.box in decided]
        decided |= {
            event.box
            for event in events
            if isinstance(event, BoxFinished) and event.verdict not in (Verdict.CANCELLED, Verdict.BLOCKED)
        }
    return again


@pytest.mark.parametrize("seed", range(8))
async def test_a_kill_at_any_moment_costs_nothing_but_time(hub: LocalHub, tmp_path: Path, seed: int) -> None:
    moment = random.Random(seed).uniform(0, LIFE)
    hub.create_repository(REPO, files=SLOW, collaborators={"mona": "write"})
    async with bot_process(hub, tmp_path) as bot:
        sha = hub.commit(REPO, "topic", {"x": "y"}, "Change", "mona")
        pull = hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
        await asyncio.sleep(moment)
        await bot.kill()
        await bot.start()
        await redeliver_what_failed(hub)
        await concluded(hub, sha)
        await quiet(hub, bot)

        runs = hub.check_runs(REPO, sha)
        assert {run.conclusion for run in runs} == {"success"}
        assert Counter(run.name for run in runs) == {"Interlock": 1, "Interlock / tier 1": 1, "Interlock / tier 2": 1}
        assert len(hub.comments(REPO, pull.number)) == 1
        assert [verdicts_twice(files) for files in records(bot)] == [[]] * len(records(bot))
        assert processes_of_runs(bot.data_dir) == []


async def test_killed_again_and_again_it_still_ends(hub: LocalHub, tmp_path: Path) -> None:
    dice = random.Random(7)
    hub.create_repository(REPO, files=SLOW, collaborators={"mona": "write"})
    async with bot_process(hub, tmp_path) as bot:
        sha = hub.commit(REPO, "topic", {"x": "y"}, "Change", "mona")
        hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
        await hub.settled()
        for _ in range(5):
            await asyncio.sleep(dice.uniform(0.1, 1.2))
            await bot.kill()
            await bot.start()
        await concluded(hub, sha)
        await quiet(hub, bot)
        runs = hub.check_runs(REPO, sha)
        assert Counter(run.name for run in runs) == {"Interlock": 1, "Interlock / tier 1": 1, "Interlock / tier 2": 1}
        assert [verdicts_twice(files) for files in records(bot)] == [[]] * len(records(bot))


async def test_a_box_that_ran_while_the_bot_died_is_ended_and_run_again(hub: LocalHub, tmp_path: Path) -> None:
    ran, first, met = tmp_path / "ran", tmp_path / "first", tmp_path / "met"
    waits = box(
        f'if test -e {first}; then kill -0 "$(cat {first})" && touch {met}; echo start >> {ran}; exit 0; fi\n'
        f"echo $$ > {first}; echo start >> {ran}; sleep 100",
        title="Waits the first time",
    )
    once = tmp_path / "once"
    hub.create_repository(REPO, files={"boxes/tier-2/2_waits.sh": box()}, collaborators={"mona": "write"})
    async with bot_process(hub, tmp_path) as bot:
        change = {"boxes/tier-1/1_once.sh": box(f"echo ran >> {once}"), "boxes/tier-2/2_waits.sh": waits}
        sha = hub.commit(REPO, "topic", change, "Change", "mona")
        hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
        async with asyncio.timeout(30):
            while not ran.exists():
                await asyncio.sleep(0.02)
        await bot.kill()
        assert processes_of_runs(bot.data_dir) != [], "the orphan that the next life has to end"
        await bot.start()
        await concluded(hub, sha)
        assert ran.read_text() == "start\nstart\n"
        assert once.read_text() == "ran\n", "a verdict that stands is not made again"
        assert not met.exists(), "the orphan was ended before its box was run again"
        assert processes_of_runs(bot.data_dir) == []


async def test_a_stop_drains_exits_zero_and_resumes_later(hub: LocalHub, tmp_path: Path) -> None:
    go = tmp_path / "go"
    waits = box(f"while ! test -e {go}; do sleep 0.05; done", title="Waits")
    hub.create_repository(REPO, files={"boxes/tier-1/1_waits.sh": box()}, collaborators={"mona": "write"})
    async with bot_process(hub, tmp_path) as bot:
        sha = hub.commit(REPO, "topic", {"boxes/tier-1/1_waits.sh": waits}, "Change", "mona")
        hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
        async with asyncio.timeout(30):
            while not any(run.status == "in_progress" for run in hub.check_runs(REPO, sha)):
                await asyncio.sleep(0.02)
        assert await bot.terminate() == 0
        assert processes_of_runs(bot.data_dir) == []
        assert {run.conclusion for run in hub.check_runs(REPO, sha) if run.name != "Interlock / preview"} == {None}

        go.touch()
        await bot.start()
        await concluded(hub, sha)
        await quiet(hub, bot)  # the checks of the tiers follow the one of all.
        assert {run.conclusion for run in hub.check_runs(REPO, sha) if run.name != "Interlock / preview"} == {"success"}


async def test_an_idle_bot_stops_at_once_with_exit_zero(hub: LocalHub, tmp_path: Path) -> None:
    async with bot_process(hub, tmp_path) as bot:
        assert await bot.terminate() == 0


async def test_two_bots_never_share_a_data_directory(hub: LocalHub, tmp_path: Path) -> None:
    async with bot_process(hub, tmp_path) as bot:
        second = BotProcess(hub, tmp_path)
        second.log = tmp_path / "second.log"
        with pytest.raises(AssertionError, match="another interlock uses"):
            await second.start()
        assert (await bot.get("/health")).status_code == 200


async def test_a_run_leaves_no_temporary_files_even_when_its_runner_was_killed(hub: LocalHub, tmp_path: Path) -> None:
    go = tmp_path / "go"
    waits = box(f'touch "$BOX_TMP/big"; while ! test -e {go}; do sleep 0.05; done', title="Waits")
    hub.create_repository(REPO, files={"boxes/tier-1/1_waits.sh": box()}, collaborators={"mona": "write"})
    async with bot_process(hub, tmp_path) as bot:
        sha = hub.commit(REPO, "topic", {"boxes/tier-1/1_waits.sh": waits}, "Change", "mona")
        hub.open_pull_request(REPO, "topic", "main", "Change", "mona")
        async with asyncio.timeout(30):
            while not list(bot.data_dir.rglob("big")):
                await asyncio.sleep(0.02)
        await bot.kill()
        go.touch()
        await bot.start()
        await concluded(hub, sha)
        await quiet(hub, bot)
        assert [files.scratch for files in records(bot) if files.scratch.exists()] == []
        assert list(bot.data_dir.rglob("big")) == []
