"""A delivery whose flow fails by a bug, and a run that was left without one: begun again, given up, never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from bot.domain.run_states import RunState
from bot.flows import conclude, on_delivery, reconcile, redeliver
from bot.flows.context import Context
from bot.flows.dispatch import FLOWS_PER_DELIVERY
from bot.flows.requests import open_run
from bot.store.database import open_writer
from bot.store.deliveries import Inbox
from bot.store.runs import Run
from tests.fakes.world import REPO, World, box, open_world

BOXES = {"boxes/tier-1/1_ok.sh": box(title="Fine")}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as world:
        world.repository(BOXES)
        await world.settle()
        yield world


class Bug:
    """Stands before `open_run` and fails as often as it is told."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def __call__(self, *args: object, **named: object) -> Run:
        if self.left:
            self.left -= 1
            message = "a bug of ours"
            raise RuntimeError(message)
        return await open_run(*args, **named)  # type: ignore[arg-type]  # it passes on what it is given.


def outcomes(world: World) -> list[str]:
    """What became of the deliveries that opened a pull request."""
    engine = open_writer(world.running.settings.app_database)
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT outcome FROM deliveries WHERE event = 'pull_request'"))
        said = [str(row.outcome) for row in found]
    engine.dispose()
    return said


async def ended(world: World) -> None:
    """Wait until every flow's end stands in the engine's database, which is a little later than its last step."""
    async with asyncio.timeout(30):
        while await world.running.ctx.engine.unfinished():
            await asyncio.sleep(0.01)


async def sweep(world: World) -> None:
    """One look for what was left behind, and the flows that it starts."""
    await world.hub.settled()
    await world.running.dispatch.idle()
    await ended(world)
    await world.running.dispatch.sweep()
    await ended(world)


async def test_a_delivery_whose_flow_failed_gets_another_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_delivery, "open_run", Bug(times=2))
    pr = await world.open_pull_request({"x": "y"})
    await sweep(world)
    assert pr.checks() == {}
    await sweep(world)
    await world.settle()
    assert pr.conclusion == "success"


async def test_a_delivery_that_fails_every_time_is_given_up_with_its_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug = Bug(times=1000)
    monkeypatch.setattr(on_delivery, "open_run", bug)
    await world.open_pull_request({"x": "y"})
    for _ in range(FLOWS_PER_DELIVERY - 1):
        await sweep(world)
    assert await world.running.ctx.inbox.count_open() == 1
    await sweep(world)
    assert await world.running.ctx.inbox.count_open() == 0
    assert outcomes(world) == ["given up: its flow failed every time; see the log"]
    assert 1000 - bug.left == FLOWS_PER_DELIVERY


async def test_a_run_that_lost_its_flow_gets_one(world: World) -> None:
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    [run] = [run for run in await world.runs() if run.pr]
    await open_run(
        world.running.ctx,
        installation_id=run.installation_id,
        repo_id=run.repo_id,
        repo=run.repo,
        pr=run.pr,
        head_sha=run.head_sha,
        base_ref=run.base_ref,
        again="a-crash-came-before-its-flow",
    )
    await sweep(world)
    await world.settle()
    assert [run.state for run in await world.runs() if run.pr] == [RunState.FINISHED, RunState.FINISHED]
    assert pr.conclusion == "success"


async def rewind(ctx: Context, run_id: str) -> None:
    """Let a run that has ended stand where a crash would have left it; the product itself never goes back."""
    async with ctx.runs._engine.begin() as connection:
        await connection.execute(
            sa.text("UPDATE runs SET state = :state, finished_at = NULL WHERE id = :id"),
            {"state": str(RunState.RUNNING), "id": run_id},
        )


@pytest.mark.parametrize("status", ["ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "CANCELLED"])
async def test_a_run_whose_flow_will_not_go_on_says_that_interlock_failed(world: World, status: str) -> None:
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    [run] = [run for run in await world.runs() if run.pr]
    ctx = world.running.ctx
    await rewind(ctx, run.id)
    # It died with the tier announced and nothing recorded.
    tier = pr.check("Interlock / tier 1")
    await ctx.installation(run).patch(f"/repos/octo/app/check-runs/{tier.id}", {"status": "in_progress"})
    for path in ctx.files(run).records():
        path.unlink()
    database = sa.create_engine(world.running.settings.engine_database)
    with database.begin() as connection:
        statement = sa.text("UPDATE workflow_status SET status = :status WHERE workflow_uuid = :id")
        connection.execute(statement, {"status": status, "id": run.id})
    database.dispose()
    await sweep(world)
    assert pr.check("Interlock").title == "Interlock failed"
    assert pr.check("Interlock / tier 1").conclusion == "action_required"
    assert pr.conclusion == "action_required"
    [comment] = pr.comments
    assert "Interlock itself failed" in comment
    assert (await world.runs())[-1].state is RunState.FINISHED


async def test_what_fails_after_a_run_was_cancelled_does_not_make_it_red(world: World) -> None:
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    [run] = [run for run in await world.runs() if run.pr]
    ctx = world.running.ctx
    await rewind(ctx, run.id)
    await ctx.runs.enter(run.id, RunState.CANCELLED, because="cancelled by @mona")
    await conclude.admit_failure(ctx, run.id, "incident-1")
    again = await ctx.run(run.id)
    assert (again.state, again.because) == (RunState.CANCELLED, "cancelled by @mona")
    assert pr.check("Interlock").title != "Interlock failed"


async def test_closing_what_asks_for_nothing_is_repeated_when_the_disk_would_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = world.running.ctx.inbox
    real = type(inbox).close
    left = [1]

    async def close(self: Inbox, outcomes: Sequence[tuple[str, str]]) -> None:
        if left and left.pop():
            raise OperationalError("UPDATE", {}, Exception("disk I/O error"))
        await real(self, outcomes)

    monkeypatch.setattr(type(inbox), "close", close)
    world.hub.commit(REPO, "idea", {"x": "y"}, "Try", "mona")  # a push that nothing reacts to
    await world.hub.settled()
    await world.running.dispatch.idle()
    assert left == []
    assert await inbox.count_open() > 0
    await sweep(world)
    assert await inbox.count_open() == 0
    world.hub.commit(REPO, "idea", {"x": "z"}, "Try again", "mona")
    await world.settle()
    assert await inbox.count_open() == 0


async def test_a_database_that_is_away_for_a_moment_costs_a_delivery_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.running.ctx.engine
    real = type(engine).start
    left = [1]

    async def start(self: object, name: str, flow_id: str, args: object) -> None:
        if left and left.pop():
            raise OperationalError("INSERT", {}, Exception("disk I/O error"))
        await real(self, name, flow_id, args)  # type: ignore[arg-type]  # it is the engine.

    monkeypatch.setattr(type(engine), "start", start)
    pr = await world.open_pull_request({"x": "y"})
    await sweep(world)
    await world.settle()
    assert left == []
    assert pr.conclusion == "success"


def flows_like(world: World, pattern: str) -> list[str]:
    """Ids of flows that the engine remembers."""
    database = sa.create_engine(world.running.settings.engine_database)
    with database.connect() as connection:
        statement = sa.text("SELECT workflow_uuid FROM workflow_status WHERE workflow_uuid LIKE :pattern ORDER BY 1")
        found = [str(one) for one in connection.execute(statement, {"pattern": pattern}).scalars()]
    database.dispose()
    return found


async def test_a_round_that_two_timers_fire_happens_once(world: World) -> None:
    before = flows_like(world, "redeliver:%")
    for _ in range(2):
        await world.running.dispatch.fire(redeliver.NAME, timedelta(days=365), "")
    await world.settle()
    assert len(flows_like(world, "redeliver:%")) == len(before) + 1


async def test_at_start_there_is_a_round_of_each_schedule(world: World) -> None:
    assert [name.split(":")[1] for name in flows_like(world, "re%:start:%")] == ["start", "start"]


async def test_rounds_of_the_past_are_forgotten_and_runs_are_not(world: World) -> None:
    world.hub.faults.drop_delivery("pull_request")
    pr = await world.open_pull_request({"x": "y"})
    await world.running.dispatch.fire(reconcile.NAME, timedelta(minutes=10), reconcile.EVERYWHERE)
    await world.settle()
    [run] = [run for run in await world.runs() if run.pr]
    engine = world.running.ctx.engine
    rounds = flows_like(world, "reconcile:%")
    assert await engine.forget("reconcile:", before=world.running.ctx.clock.now() + timedelta(minutes=1)) == len(rounds)
    assert flows_like(world, "reconcile:%") == []
    assert await engine.status(run.id) == "SUCCESS"
    assert pr.conclusion == "success"
