"""What keeps a release from users: gates that are bound to one commit, and who can open them. Nobody deploys here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from inline_snapshot import snapshot

from bot.domain.commands.authority import Refused
from bot.domain.deploy.answers import Deny, Pass, Wait, gates_from_text
from bot.domain.deploy.deployment import Approval, Cause, Deployment
from bot.domain.deploy.states import State
from bot.flows.deploying.considering import consider
from bot.flows.deploying.request import Request
from bot.flows.deploying.wanting import want
from bot.flows.nudges import Consider
from bot.github.errors import GitHubUnavailable
from tests.fakes.world import OK, RED, REPO, PullRequest, World, open_world

CONFIG = ".github/interlock.yml"
BOX = "boxes/tier-1/1_ok.sh"
TEAM = {"mona": "write", "hub": "maintain", "ada": "admin", "eve": "read"}
PRODUCTION = """\
environments:
  staging:
    pull_requests: true
    target: {kind: process, command: ./serve, listen: "127.0.0.1:8001"}
    gates: [{boxes: "tier:1"}, {approvals: {count: 2, from: [role:write]}}]
  production:
    when: {push: main}
    target: {kind: process, command: ./serve}
    gates: [{boxes: "tier:1"}, {approvals: {count: 1}}, not_frozen]
"""


@dataclass
class Hands:
    """A clock that is moved by hand, and goes on by itself meanwhile."""

    moved: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.moved  # noqa: TID251 - it goes on, as GitHub's does.


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def world(tmp_path: Path, hands: Hands) -> AsyncIterator[World]:
    async with open_world(tmp_path, bot_clock=hands) as world:
        yield world


def push(world: World, files: dict[str, str], *, branch: str = "main") -> str:
    return world.hub.commit(REPO, branch, files, "Change it", "mona")


async def begin(world: World, config: str = PRODUCTION) -> None:
    world.repository({BOX: OK, "README.md": "x", CONFIG: config}, collaborators=TEAM)
    await world.settle()


async def request(
    world: World,
    name: str,
    environment: str = "production",
    *,
    pr: int | None = None,
    sha: str = "",
    by: str = "mona",
    cause: Cause = "command",
    glass: str = "",
) -> Request:
    run = (await world.runs())[0]
    return Request(
        id=name,
        repo_id=run.repo_id,
        repo=run.repo,
        installation_id=run.installation_id,
        environment=environment,
        requested_by=by,
        pr=pr,
        sha=sha,
        cause=cause,
        break_glass=glass,
    )


async def wanted(world: World, asked: Request) -> Deployment:
    """The deployment that somebody asked for, once its gates have answered."""
    deployment = await want(world.running.ctx, asked)
    assert isinstance(deployment, Deployment), deployment
    await world.settle()
    return await world.running.ctx.deployment(deployment.id)


async def refused(world: World, asked: Request) -> Refused:
    answer = await want(world.running.ctx, asked)
    assert isinstance(answer, Refused)
    return answer


async def approve(world: World, deployment: Deployment, by: str, *, glass: bool = False) -> Deployment:
    ctx = world.running.ctx
    given = Approval(
        id=f"{deployment.id}:{by}",
        repo_id=deployment.repo_id,
        environment=deployment.environment,
        deployment=deployment.id,
        sha=deployment.sha,
        artifact=deployment.artifact,
        config=deployment.config,
        by=by,
        break_glass=glass,
        given_at=ctx.clock.now(),
    )
    await ctx.approvals.add(given)
    ctx.nudges.give(Consider(deployment.id))
    await world.settle()
    return await ctx.deployment(deployment.id)


async def again(world: World, deployment: Deployment) -> Deployment:
    """The deployment once its gates have been asked anew."""
    world.running.ctx.nudges.give(Consider(deployment.id))
    await world.settle()
    return await world.running.ctx.deployment(deployment.id)


def answers(deployment: Deployment) -> dict[str, tuple[str, str]]:
    """Gate → its answer and sentence."""
    kinds = {Pass: "pass", Wait: "wait", Deny: "deny"}
    return {gate.name: (kinds[type(gate.answer)], gate.answer.because) for gate in gates_from_text(deployment.gates)}


async def pull_request(world: World, *, by: str = "mona") -> PullRequest:
    pr = await world.open_pull_request({"x": "y"}, by=by)
    await world.settle()
    return pr


async def newest(world: World) -> Deployment:
    return (await world.running.ctx.deployments.newest())[0]


async def test_a_green_push_waits_for_whoever_must_approve_it_and_says_for_whom(world: World) -> None:
    await begin(world)
    waits = await newest(world)
    assert (waits.environment, waits.state, waits.author) == ("production", State.GATED, "octo")
    short = waits.short
    assert {name: (kind, said.replace(short, "SHA")) for name, (kind, said) in answers(waits).items()} == snapshot(
        {
            "origin": ("pass", "it is on main"),
            "quarantine": ("pass", "nothing is known against SHA"),
            "boxes": ("pass", "all 1 boxes of tier:1 are green on SHA"),
            "approvals": ("wait", "0 of 1 approvals for SHA"),
            "frozen": ("pass", "nothing freezes it"),
            "lock": ("pass", "nobody holds a lock"),
            "turn": ("pass", "no other deployment is under way"),
        }
    )


@pytest.mark.deployment(1)
@pytest.mark.requirement("S-1")
async def test_when_the_head_moves_its_approvals_are_void_and_the_deployment_is_not_started(world: World) -> None:
    await begin(world)
    pr = await pull_request(world)
    first = await wanted(world, await request(world, "d1", "staging", pr=pr.number, by="hub"))
    one_yes = await approve(world, first, "ada")
    assert answers(one_yes)["approvals"][1] == f"1 of 2 approvals for {first.short}, by @ada"
    newer = pr.push({"x": "z"})
    await world.settle()
    first = await world.running.ctx.deployment("d1")
    assert first.state is State.SUPERSEDED
    assert first.because == f"the head of #{pr.number} is {newer[:7]} now, and this is {first.short}"
    second = await wanted(world, await request(world, "d2", "staging", pr=pr.number, by="hub"))
    assert second.sha == newer
    assert "0 of 2" in answers(second)["approvals"][1]
    (given,) = await world.running.ctx.approvals.of(first.repo_id, "staging", first.sha)
    assert given.void_because == f"@ada spoke of commit {first.short}, and this is commit {second.short}"


@pytest.mark.deployment(1)
@pytest.mark.requirement("S-3")
async def test_another_configuration_is_another_deployment(world: World) -> None:
    await begin(world)
    pr = await pull_request(world)
    first = await wanted(world, await request(world, "d1", "staging", pr=pr.number, by="hub"))
    await approve(world, first, "ada")
    push(world, {CONFIG: PRODUCTION.replace("./serve", "./serve --fast", 1)})
    await world.settle()
    first = await world.running.ctx.deployment("d1")
    assert first.state is State.SUPERSEDED
    assert first.because.endswith(f"and this was asked for by {first.config[:7]}")
    second = await wanted(world, await request(world, "d2", "staging", pr=pr.number, by="hub"))
    assert "0 of 2" in answers(second)["approvals"][1]
    assert "configuration" in answers(second)["approvals"][1]


@pytest.mark.deployment(2)
@pytest.mark.requirement("S-31")
async def test_nobody_approves_their_own_and_the_reason_is_told(world: World) -> None:
    await begin(world)
    pr = await pull_request(world)
    waits = await wanted(world, await request(world, "d1", "staging", pr=pr.number, by="hub"))
    await approve(world, waits, "mona")
    waits = await approve(world, waits, "hub")
    assert answers(waits)["approvals"] == (
        "wait",
        (
            f"0 of 2 approvals for {waits.short}; @mona wrote it, so that approval does not count; "
            "@hub asked for it, so that approval does not count"
        ),
    )


async def test_who_pushed_to_another_s_pull_request_does_not_approve_it(world: World) -> None:
    await begin(world)
    pr = await pull_request(world)
    pr.push({"x": "slipped in"}, by="hub")
    await world.settle()
    waits = await wanted(world, await request(world, "d1", "staging", pr=pr.number, by="ada"))
    waits = await approve(world, waits, "hub")
    assert answers(waits)["approvals"][1] == (
        f"0 of 2 approvals for {waits.short}; @hub wrote it, so that approval does not count"
    )
    pr.say("/approve staging", by="hub")
    await world.settle()
    assert "@hub wrote it" in world.hub.comments(REPO, pr.number)[-1].body.replace("\u200d", "")


@pytest.mark.deployment(2)
async def test_who_is_behind_an_earlier_push_that_it_brings_does_not_approve_it(world: World) -> None:
    await begin(world)
    for who in ("hub", "ada"):
        world.hub.commit(REPO, "main", {"x": f"by {who}"}, "Change", who)
        await world.settle()
    waits = await newest(world)
    assert waits.author == "ada"
    waits = await approve(world, waits, "hub")
    assert "@hub wrote it, so that approval does not count" in answers(waits)["approvals"][1]


@pytest.mark.requirement("S-30")
async def test_who_lost_the_right_to_approve_does_not_count_any_more(world: World) -> None:
    await begin(world)
    pr = await pull_request(world)
    waits = await wanted(world, await request(world, "d1", "staging", pr=pr.number, by="hub"))
    waits = await approve(world, waits, "ada")
    assert "1 of 2" in answers(waits)["approvals"][1]
    world.hub.set_permission(REPO, "ada", "read")
    waits = await again(world, waits)
    assert answers(waits)["approvals"][1] == f"0 of 2 approvals for {waits.short}; @ada is none of those who may"


@pytest.mark.deployment(6)
async def test_a_pull_request_has_no_say_in_how_it_is_deployed(world: World) -> None:
    await begin(world)
    free = PRODUCTION.replace(", {approvals: {count: 2, from: [role:write]}}", "")
    pr = await world.open_pull_request({CONFIG: free})
    await world.settle()
    waits = await wanted(world, await request(world, "d1", "staging", pr=pr.number, by="hub"))
    assert answers(waits)["approvals"][0] == "wait"


@pytest.mark.deployment(6)
async def test_a_forks_commit_must_be_typed_as_a_whole(world: World) -> None:
    await begin(world)
    world.hub.fork(REPO, "stranger")
    world.hub.commit("stranger/app", "evil", {"x": "y"}, "Change it", "stranger")
    pull = world.hub.open_pull_request(REPO, "evil", "main", "Change it", "stranger", head_repo="stranger/app")
    await world.settle()
    for typed in ("", pull.head_sha[:39]):
        answer = await refused(world, await request(world, f"d{typed}", "staging", pr=pull.number, sha=typed))
        assert answer.code == "short_sha"
        assert pull.head_sha in answer.because
    waits = await wanted(world, await request(world, "d1", "staging", pr=pull.number, sha=pull.head_sha))
    assert answers(waits)["origin"] == ("pass", f"it is the head of #{pull.number}")
    assert answers(waits)["boxes"][0] == "wait", "nobody let its boxes run"


async def test_production_takes_what_is_merged_and_nothing_else(world: World) -> None:
    await begin(world)
    pr = await pull_request(world)
    answer = await refused(world, await request(world, "d1", pr=pr.number))
    assert (answer.code, answer.because) == (
        "not_from_pull_requests",
        "`production` takes commits of `main` only; merge first",
    )
    unmerged = await refused(world, await request(world, "d2", sha=pr.head))
    assert unmerged.code == "not_on_branch"
    assert (await refused(world, await request(world, "d3", "prodution"))).because == (
        "there is no such environment (did you mean `production`?)"
    )
    merged = world.hub.merge_pull_request(REPO, pr.number, "hub")
    await world.settle()
    waits = await newest(world)
    assert (waits.sha, waits.pr, waits.author, waits.cause) == (merged, pr.number, "mona", "push")


@pytest.mark.deployment(7)
async def test_of_those_that_wait_the_newest_wins_and_says_so(world: World) -> None:
    await begin(world)
    first = await newest(world)
    push(world, {"x": "1"})
    await world.settle()
    second = await newest(world)
    first = await world.running.ctx.deployment(first.id)
    assert (first.state, second.state) == (State.SUPERSEDED, State.GATED)
    assert first.because == (
        f"deployment {second.number} of {second.short}, which was asked for later, takes its place"
    )
    late = await request(world, "late", sha=first.sha, cause="push")
    assert (await refused(world, late)).code == "overtaken"


@pytest.mark.deployment(7)
async def test_what_a_crash_kept_from_taking_the_place_of_another_takes_it_when_it_is_asked_for_again(
    world: World,
) -> None:
    await begin(world)
    first = await newest(world)
    ctx = world.running.ctx
    asked = await request(world, "lost")
    left = replace(first, id=asked.id, cause="command", state=State.REQUESTED, gates="", because="")
    assert (await ctx.deployments.add(left)).id == asked.id
    second = await wanted(world, asked)
    first = await ctx.deployment(first.id)
    assert (first.state, second.state) == (State.SUPERSEDED, State.GATED)


@pytest.mark.deployment(10)
async def test_a_freeze_holds_until_it_ends_and_two_people_break_the_glass(world: World, hands: Hands) -> None:
    day = hands.now() + timedelta(days=2)
    window = f"{{from: {hands.now() - timedelta(days=2):%Y-%m-%d}, until: {day:%Y-%m-%d}, because: Christmas}}"
    await begin(world, PRODUCTION + f"    freeze: [{window}]\n")
    waits = await approve(world, await newest(world), "hub")
    assert answers(waits)["frozen"] == ("wait", f"frozen until {day:%Y-%m-%d} 00:00 UTC: Christmas")
    urgent = await wanted(world, await request(world, "urgent", glass="the fix of the incident"))
    assert answers(urgent)["frozen"][0] == "wait"
    urgent = await approve(world, urgent, "eve", glass=True)
    assert answers(urgent)["frozen"][0] == "wait", "eve may not approve here"
    urgent = await approve(world, urgent, "hub", glass=True)
    assert answers(urgent)["frozen"][0] == "pass"
    assert "@mona and @hub broke the glass: the fix of the incident" in answers(urgent)["frozen"][1]


async def test_what_waits_for_too_long_expires(world: World, hands: Hands) -> None:
    await begin(world)
    waits = await newest(world)
    hands.moved = timedelta(hours=25)
    gone = await again(world, waits)
    assert gone.state is State.EXPIRED
    assert gone.because.startswith("its gates did not pass in time: 0 of 1 approvals")


async def test_while_github_does_not_answer_nothing_passes(world: World) -> None:
    await begin(world)
    waits = await newest(world)
    before = waits.gates
    await world.running.ctx.approvals.add(
        Approval(
            id="a1",
            repo_id=waits.repo_id,
            environment="production",
            deployment=waits.id,
            sha=waits.sha,
            artifact=waits.artifact,
            config=waits.config,
            by="hub",
            given_at=world.running.ctx.clock.now(),
        )
    )
    world.hub.faults.next("GET", r"/collaborators/hub/permission$", status=503, times=10)
    with pytest.raises(GitHubUnavailable):
        await consider(world.running.ctx, waits.id)
    waits = await world.running.ctx.deployment(waits.id)
    assert (waits.state, waits.gates) == (State.GATED, before)


async def test_boxes_that_are_red_on_this_commit_hold_it(world: World) -> None:
    await begin(world)
    push(world, {BOX: RED})
    await world.settle()
    waits = await wanted(world, await request(world, "d1"))
    assert answers(waits)["boxes"] == ("wait", f"1 ok is failed on {waits.short}")


async def test_a_branch_that_moves_to_a_commit_that_is_green_already_is_deployed(world: World) -> None:
    await begin(world, PRODUCTION.replace("push: main", "push: release"))
    assert await world.running.ctx.deployments.newest() == []
    sha = push(world, {"x": "1"})
    await world.settle()
    world.hub.move_branch(REPO, "release", sha, "hub")
    await world.settle()
    waits = await newest(world)
    assert (waits.sha, waits.ref, waits.cause) == (sha, "release", "push")


async def test_a_branch_that_an_environment_follows_needs_no_further_listing(world: World) -> None:
    await begin(world, PRODUCTION.replace("push: main", "push: release"))
    sha = push(world, {"x": "1"}, branch="release")
    await world.settle()
    assert {run.name: run.conclusion for run in world.hub.check_runs(REPO, sha)}["Interlock"] == "success"
    assert (await newest(world)).sha == sha


async def test_a_deployment_that_waits_is_found_again_after_a_restart(world: World) -> None:
    await begin(world)
    waits = await newest(world)
    await world.stop_bot()
    world.hub.set_permission(REPO, "hub", "maintain")
    await world.start_bot()
    await world.settle()
    assert (await world.running.ctx.deployment(waits.id)).gates == waits.gates
    assert "1 of" not in answers(waits)["approvals"][1]
    waits = await approve(world, waits, "hub")
    assert answers(waits)["approvals"][0] == "pass"
