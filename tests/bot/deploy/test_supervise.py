"""Controllers as processes: they outlive whoever started them, and are found, followed and started again."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bot.deploy.journal import Entry, read, verify
from bot.deploy.supervise import carry_out, is_carried_out
from bot.deploy.wishes import Wish, wish
from bot.domain.deploy.states import State
from tests.fakes.rollout import HAS, Rollout, a_release, controller_of, is_controller, kill_controller, reaches

A, B = a_release("a"), a_release("b")


@pytest.fixture
async def rollout(tmp_path: Path) -> AsyncIterator[Rollout]:
    if not HAS["haproxy"]:
        pytest.skip("missing component: haproxy")
    async with Rollout(tmp_path).cleaned() as rollout:
        await rollout.put_live(A)
        yield rollout


async def test_a_deployment_is_carried_out_by_a_process_of_its_own(rollout: Rollout) -> None:
    files = await rollout.deployment(B, A)
    told: list[Entry] = []

    async def tell(entries: Sequence[Entry]) -> None:
        told.extend(entries)

    ended = await carry_out(files, rollout.place, replace(rollout.terms(), on_entries=tell))
    assert ended.state is State.SUCCEEDED
    assert tuple(told) == read(files)
    assert verify(told) == ""
    assert controller_of(files) != os.getpid()
    assert not is_carried_out(files)


async def test_a_controller_outlives_whoever_started_it_and_is_followed_by_the_next(rollout: Rollout) -> None:
    files = await rollout.deployment(B, A)
    first = asyncio.create_task(rollout.carry_out(files))
    await reaches(files, "state", state="baking")
    pid = controller_of(files)
    first.cancel()
    await asyncio.wait({first})
    assert pid is not None
    assert is_controller(pid)
    assert os.getsid(pid) == pid
    ended = await rollout.carry_out(files)
    assert ended.state is State.SUCCEEDED
    assert controller_of(files) == pid


async def test_two_who_carry_out_the_same_have_one_controller_between_them(rollout: Rollout) -> None:
    files = await rollout.deployment(B, A)
    ends = await asyncio.gather(rollout.carry_out(files), rollout.carry_out(files))
    assert [end.state for end in ends] == [State.SUCCEEDED] * 2
    assert sum(entry.data.get("what") == "started" for entry in read(files)) == 1


async def test_a_deployment_that_has_ended_starts_nothing(rollout: Rollout) -> None:
    files = await rollout.deployment(B, A)
    before = await rollout.carry_out(files)
    entries = read(files)
    assert await rollout.carry_out(files) == before
    assert read(files) == entries


async def test_a_held_deployment_ends_and_a_wish_starts_it_again(rollout: Rollout) -> None:
    rollout.section = {"watch": {"for": 0.2, "probes": [], "traffic": False}}
    files = await rollout.deployment(B, A)
    assert (await rollout.carry_out(files)).state is State.HELD
    assert (await rollout.carry_out(files)).state is State.HELD
    wish(files, Wish.ROLLBACK, "mona")
    assert (await rollout.carry_out(files)).state is State.ROLLED_BACK
    assert (await rollout.target(0).observe()).live == "blue"


async def test_a_controller_that_cannot_be_started_ends_the_deployment_before_any_user_sees_it(
    rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.deploy.supervise.BACKOFF", (0.0,))
    files = await rollout.deployment(B, A)
    files.plan.write_text("{", "utf-8")
    ended = await rollout.carry_out(files)
    assert ended.state is State.ABORTED
    assert ended.because.startswith("its controller cannot be started: json.decoder.JSONDecodeError")
    assert (await rollout.carry_out(files)) == ended


async def test_a_target_that_the_operator_does_not_allow_is_refused_with_the_way_out(rollout: Rollout) -> None:
    files = await rollout.deployment(B, A)
    terms = rollout.terms()
    environ = {**terms.environ, "INTERLOCK_DEPLOY_TARGETS": ""}
    ended = await carry_out(files, rollout.place, replace(terms, environ=environ))
    assert ended.state is State.ABORTED
    assert ended.because.endswith("set INTERLOCK_DEPLOY_TARGETS=process")


async def test_a_damaged_journal_is_held_and_nothing_is_done(rollout: Rollout) -> None:
    files = await rollout.deployment(B, A)
    files.journal.write_text('{"seq": 1}\n{"seq": 2}\n', "utf-8")
    ended = await rollout.carry_out(files)
    assert ended.state is State.HELD
    assert ended.because.startswith("nobody can tell where the deployment is: line 1 is no entry")
    assert (await rollout.target(0).observe()).slots["green"].running is False


async def test_secrets_reach_the_release_and_nothing_else(rollout: Rollout) -> None:
    target = {**rollout.settings["target"], "secrets": ["PASSWORD"]}
    rollout.section = {"target": target, "on": {"after_switch": ['echo "$PASSWORD"; test ${#PASSWORD} -eq 11']}}
    files = await rollout.deployment(B, A)
    terms = replace(rollout.terms(), secrets={"PASSWORD": "s3cr3t-w0rd"})
    carried = asyncio.create_task(carry_out(files, rollout.place, terms))
    await reaches(files, "state", state="baking")
    pid = controller_of(files)
    shown = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    assert b"s3cr3t" not in shown
    assert (await carried).state is State.SUCCEEDED
    assert not [path for path in files.directory.rglob("*") if path.is_file() and b"s3cr3t" in path.read_bytes()]


async def test_a_full_disk_keeps_nobody_from_the_way_back(rollout: Rollout) -> None:
    rollout.section = {"watch": {"for": 30.0, "probes": [{"http": "/", "every": 0.05}], "traffic": False}}
    files = await rollout.deployment(B, A)
    carried = asyncio.create_task(rollout.carry_out(files))
    await reaches(files, "watch")
    pid = controller_of(files)
    assert pid is not None
    size = files.journal.stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 100, resource.RLIM_INFINITY))
    wish(files, Wish.ROLLBACK, "mona")
    async with asyncio.timeout(10):
        while (await rollout.target(0).observe()).live != "blue":
            await asyncio.sleep(0.02)
    assert "rolling_back" not in [entry.data.get("state") for entry in read(files)]
    assert (await carried).state is State.ROLLED_BACK  # written down by one that found room again.


async def test_the_end_of_a_controller_is_no_end_of_what_it_started(rollout: Rollout) -> None:
    files = await rollout.deployment(B, A)
    carried = asyncio.create_task(rollout.carry_out(files))
    await reaches(files, "state", state="baking")
    green = rollout.slot_pid("green")
    carried.cancel()
    await asyncio.wait({carried})
    kill_controller(files)
    os.kill(green, 0)
    os.kill(rollout.slot_pid("blue"), 0)
    assert (await rollout.carry_out(files)).state is State.SUCCEEDED
