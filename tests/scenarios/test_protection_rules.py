"""Jobs of GitHub Actions that wait for Interlock's gates: asked for the right commit, answered once, never for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.deploy.deployment import Approval
from bot.flows.deploying import protecting
from bot.flows.nudges import ConsiderAll
from bot.localhub.clock import Clock as HubClock
from bot.localhub.records import PendingDeployment
from bot.localhub.views import environments
from bot.store.audit import Entry
from bot.store.protections import Protection
from tests.fakes.world import OK, RED, REPO, World, open_world

DAY = timedelta(days=1)
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
BOX = "boxes/tier-1/1_box.sh"


def configured(gates: str = '[{boxes: "tier:1"}]', *, expires: str = "2h") -> str:
    target = "{kind: process, command: ./serve, health: /up, slots: {blue: 8081, green: 8082}}"
    return f"environments:\n  production:\n    target: {target}\n    gates: {gates}\n    expires: {expires}\n"


APPROVED = "[{approvals: {count: 1, from: ['role:write'], not: [author, requester]}}]"


class Clock(HubClock):
    """The time of both, by which assertions are judged too."""

    def judging(self) -> float:
        return self.seconds()

    def pass_by(self, time: timedelta) -> None:
        self.advance(time.total_seconds())


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
async def world(tmp_path: Path, clock: Clock) -> AsyncIterator[World]:
    async with open_world(tmp_path, hub_clock=clock, bot_clock=clock) as world:
        yield world


def repository(world: World, config: str, *, box: str = OK) -> str:
    """octo/app with this configuration, whose production asks us; where main stands."""
    people = {"mona": "write", "ada": "write", "eve": "read"}
    world.repository({BOX: box, ".github/interlock.yml": config}, collaborators=people)
    world.hub.deploying.environment(REPO, "production", asks_us=True)
    sha = world.hub.forge.git(world.hub.repository(REPO)).branch("main")
    assert sha
    return sha


def job(world: World, sha: str, environment: str = "production") -> PendingDeployment:
    return world.hub.deploying.want(REPO, environment, sha=sha, by="mona")


def answers(world: World, pending: PendingDeployment) -> list[str]:
    """What our rule said, oldest first; what is no answer begins with a question mark."""
    return [one["state"] or f"? {one['comment']}" for one in world.hub.deploying.waiting(pending).comments]


async def look_again(world: World) -> None:
    world.running.ctx.nudges.give(ConsiderAll(world.hub.repository(REPO).id))
    await world.settle()


async def approve(world: World, by: str) -> None:
    """What `/approve production` leaves behind."""
    ctx = world.running.ctx
    deployment = await protecting.awaiting(ctx, world.hub.repository(REPO).id, "production")
    assert deployment
    given = Approval(
        id=f"comment:{by}",
        repo_id=deployment.repo_id,
        environment="production",
        deployment=deployment.id,
        sha=deployment.sha,
        artifact=deployment.artifact,
        config=deployment.config,
        by=by,
        given_at=ctx.clock.now(),
    )
    await ctx.approvals.add(given)


async def audited(world: World, action: str = "protection rule production") -> list[Entry]:
    rows = await world.running.ctx.audit.recent()
    return [row.entry for row in rows if row.entry.action == action]


async def test_a_job_goes_on_when_the_boxes_are_green_on_its_commit(world: World) -> None:
    sha = repository(world, configured())
    await world.settle()
    pending = job(world, sha)
    await world.settle()
    assert answers(world, pending) == ["approved"]
    assert world.hub.deploying.waiting(pending).state == "approved"
    (entry,) = await audited(world)
    assert (entry.decision, entry.reason, entry.head_sha) == ("allowed", "gates_pass", sha)


@pytest.mark.deployment(3)
async def test_a_redelivered_question_is_answered_once(world: World) -> None:
    sha = repository(world, configured())
    await world.settle()
    pending = job(world, sha)
    await world.settle()
    (asked,) = [one for one in world.hub.deliveries() if one.event == "deployment_protection_rule"]
    for _ in range(2):
        world.hub.redeliver(asked)
    await world.settle()
    assert answers(world, pending) == ["approved"]
    assert len(await audited(world)) == 1


@pytest.mark.deployment(3)
@pytest.mark.requirement("S-31")
async def test_a_job_waits_for_somebody_else_than_who_started_it(world: World) -> None:
    sha = repository(world, configured(APPROVED))
    await world.settle()
    pending = job(world, sha)
    await world.settle()
    (told,) = answers(world, pending)
    assert told.startswith("? ")
    assert "0 of 1 approvals" in told
    await approve(world, "mona")
    await look_again(world)
    assert world.hub.deploying.waiting(pending).state == "waiting", "who started it does not approve it"
    await approve(world, "ada")
    await look_again(world)
    assert answers(world, pending)[-1] == "approved"


@pytest.mark.deployment(4)
async def test_people_open_and_close_the_gate_of_a_job_by_comment(world: World) -> None:
    sha = repository(world, configured(APPROVED))
    pull = await world.open_pull_request({"a": "b"})
    first = job(world, sha)
    await world.settle()
    pull.say("/approve production", by="mona")
    await world.settle()
    assert world.hub.deploying.waiting(first).state == "waiting", "who started it does not approve it"
    pull.say('/reject production because "not today"', by="ada")
    await world.settle()
    assert answers(world, first)[-1] == "rejected"
    second = world.hub.deploying.want(
        REPO, "production", sha=sha, by="mona", run=world.hub.deploying.workflow_run(first)
    )
    await world.settle()
    assert world.hub.deploying.waiting(second).state == "waiting", "a no was for one job alone"
    pull.say("/approve production", by="ada")
    await world.settle()
    assert answers(world, second)[-1] == "approved"


@pytest.mark.deployment(3)
async def test_what_has_not_changed_is_not_said_again(world: World) -> None:
    pending = job(world, repository(world, configured(APPROVED)))
    for _ in range(4):
        await look_again(world)
    assert len(answers(world, pending)) == 1


@pytest.mark.deployment(3)
async def test_when_its_time_is_over_a_job_is_rejected_which_frees_those_behind_it(world: World, clock: Clock) -> None:
    pending = job(world, repository(world, configured(APPROVED, expires="2h")))
    await world.settle()
    clock.pass_by(timedelta(hours=2) - timedelta(seconds=1))
    await look_again(world)
    assert world.hub.deploying.waiting(pending).state == "waiting"
    clock.pass_by(timedelta(seconds=1))
    await look_again(world)
    assert answers(world, pending)[-1] == "rejected"
    assert world.hub.deploying.workflow_run(pending).conclusion == "failure"
    assert [entry.reason for entry in await audited(world)] == ["expired"]


@pytest.mark.deployment(3)
async def test_a_job_is_answered_before_github_gives_up_however_long_the_environment_would_wait(
    world: World, clock: Clock
) -> None:
    pending = job(world, repository(world, configured(APPROVED, expires="2160h")))
    await world.settle()
    clock.pass_by(30 * DAY - timedelta(minutes=59))
    await look_again(world)
    assert answers(world, pending)[-1] == "rejected"


@pytest.mark.requirement("S-1")
async def test_the_gates_are_asked_for_the_jobs_commit_and_not_for_the_head(world: World) -> None:
    old = repository(world, configured(), box=RED)
    await world.settle()
    world.hub.commit(REPO, "main", {BOX: OK}, "Mend it", "mona")
    await world.settle()
    pending = job(world, old)
    await world.settle()
    assert world.hub.deploying.waiting(pending).state == "waiting"
    (told,) = answers(world, pending)
    assert old[:6] in told


async def test_a_commit_that_is_on_no_branch_of_the_environment_is_rejected(world: World) -> None:
    repository(world, configured())
    sha = world.hub.commit(REPO, "topic", {"a": "b"}, "Topic", "mona")
    pending = job(world, sha)
    await world.settle()
    ended = world.hub.deploying.waiting(pending)
    assert ended.state == "rejected"
    assert "merge it first" in ended.comments[-1]["comment"]


async def test_an_environment_that_is_not_in_the_configuration_holds_nobody_for_ever(world: World) -> None:
    sha = repository(world, configured())
    world.hub.deploying.environment(REPO, "elsewhere", asks_us=True)
    pending = job(world, sha, "elsewhere")
    await world.settle()
    ended = world.hub.deploying.waiting(pending)
    assert ended.state == "rejected"
    assert "take Interlock's rule off the environment" in ended.comments[-1]["comment"]


async def test_a_broken_configuration_waits_until_it_is_mended(world: World) -> None:
    sha = repository(world, "environments: [nonsense]\n")
    pending = job(world, sha)
    await world.settle()
    assert world.hub.deploying.waiting(pending).state == "waiting"
    world.hub.commit(REPO, "main", {".github/interlock.yml": configured("[]")}, "Mend it", "mona")
    await world.settle()
    await look_again(world)
    assert answers(world, pending)[-1] == "approved"


async def test_a_job_that_is_tried_again_is_asked_again(world: World) -> None:
    sha = repository(world, configured(), box=RED)
    world.hub.deploying.environment(REPO, "production", asks_us=True)
    topic = world.hub.commit(REPO, "topic", {"a": "b"}, "Topic", "mona")
    first = job(world, topic)
    await world.settle()
    run = world.hub.deploying.workflow_run(first)
    second = world.hub.deploying.want(REPO, "production", sha=topic, by="mona", run=run)
    await world.settle()
    assert [answers(world, one) for one in (first, second)] == [["rejected"], ["rejected"]]
    assert sha != topic


@pytest.mark.deployment(3)
async def test_an_answer_that_was_lost_on_its_way_is_given_once(world: World) -> None:
    sha = repository(world, configured())
    await world.settle()
    world.hub.faults.next("POST", "/deployment_protection_rule$", status=502, after_commit=True, times=3)
    pending = job(world, sha)
    await world.settle()
    await look_again(world)
    assert answers(world, pending) == ["approved"]
    assert await world.running.ctx.protections.open() == []


@pytest.mark.deployment(3)
async def test_what_github_has_taken_is_what_is_remembered_whatever_the_gates_say_by_then(world: World) -> None:
    sha = repository(world, configured())
    await world.settle()
    world.hub.faults.next("POST", "/deployment_protection_rule$", status=502, after_commit=True, times=3)
    pending = job(world, sha)
    await world.settle()
    gone = configured().replace("production", "elsewhere")
    world.hub.commit(REPO, "main", {".github/interlock.yml": gone}, "Rename it", "mona")
    await world.settle()
    await look_again(world)
    assert answers(world, pending) == ["approved"]
    assert await world.running.ctx.protections.open() == []
    (entry,) = await audited(world)
    assert (entry.decision, entry.reason) == ("allowed", "gates_pass")
    assert entry.detail.startswith("Every gate passes for")


@pytest.mark.deployment(3)
async def test_a_job_that_waited_while_the_bot_was_down_is_answered_at_the_start(world: World) -> None:
    sha = repository(world, configured(APPROVED))
    pending = job(world, sha)
    await world.settle()
    await approve(world, "ada")
    await world.stop_bot()
    await world.start_bot()
    await world.settle()
    assert answers(world, pending)[-1] == "approved"


@pytest.mark.deployment(5)
@pytest.mark.requirement("S-29")
async def test_an_answer_to_a_foreign_address_is_never_sent(world: World) -> None:
    hub, sha = world.hub, repository(world, configured())
    await world.settle()
    hub.webhook_url, address = "", hub.webhook_url
    pending = job(world, sha)
    hub.webhook_url = address
    repo = hub.repository(REPO)
    asked = environments.asked(hub.forge, repo, pending)
    asked["deployment_callback_url"] = asked["deployment_callback_url"].replace(hub.url, "https://evil.example")
    hub.forge.emit("deployment_protection_rule", lambda: asked, repo=repo)
    await world.settle()
    assert answers(world, pending) == []
    assert await world.running.ctx.protections.open() == []
    (entry,) = await audited(world)
    assert (entry.decision, entry.reason) == ("refused", "foreign_callback")
    assert "evil.example" in entry.detail


async def test_two_rows_of_one_job_are_one(world: World) -> None:
    repository(world, configured(APPROVED))
    store, now = world.running.ctx.protections, world.running.ctx.clock.now()
    row = Protection(
        id="1:2",
        repo_id=1,
        repo=REPO,
        installation_id=2,
        environment="production",
        workflow_run=3,
        sha="a" * 40,
        asked_at=now,
        due_at=now,
    )
    assert await store.add(row)
    assert not await store.add(replace(row, environment="other"))
    await store.send("1:2", "approved", because="yes")
    assert await store.close("1:2", now=now)
    assert not await store.close("1:2", now=now)
    await store.send("1:2", "rejected", because="no")
    kept = await store.get("1:2")
    assert kept
    assert (kept.answer, await store.open()) == ("approved", [])
