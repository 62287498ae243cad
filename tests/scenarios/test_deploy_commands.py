"""What people ask of environments in comments, and how they are answered: nothing here reaches a target."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bot.domain.deploy.deployment import Deployment
from bot.domain.deploy.states import State
from tests.fakes.world import REPO, PullRequest, World, box

CONFIG = """\
environments:
  staging:
    pull_requests: true
    target: {kind: command, observe: ./observe, start: ./start}
    gates:
      - boxes: all
      - approvals: {count: 2, from: ["role:maintain", "user:ada"]}
  production:
    target: {kind: command, observe: ./observe, start: ./start}
    gates:
      - approvals: {count: 1}
  open:
    pull_requests: true
    target: {kind: command, observe: ./observe, start: ./start}
    lock: {scope: user, ttl: 2h}
  frozen:
    pull_requests: true
    target: {kind: command, observe: ./observe, start: ./start}
    freeze: [{from: 2020-01-01, until: 2099-01-01, because: nobody is there}]
"""
TEAM = {"mona": "write", "ada": "write", "lena": "maintain", "max": "maintain", "eve": "read"}


async def pull_request(world: World) -> PullRequest:
    files = {"boxes/tier-1/1_steady.sh": box("exit 0", title="Steady"), ".github/interlock.yml": CONFIG}
    world.repository(files, collaborators=TEAM)
    await world.settle()
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    return pr


async def say(world: World, pr: PullRequest, body: str, *, by: str = "mona") -> str:
    """The answer to a comment; "" when there was none."""
    before = len(pr.comments)
    pr.say(body, by=by)
    await world.settle()
    new = [comment for comment in pr.comments[before:] if "interlock:deployments=" not in comment]
    return new[-1].partition("\n\n<!--")[0] if new else ""


async def deployments(world: World) -> list[Deployment]:
    return list(reversed(await world.running.ctx.deployments.newest()))


async def audited(world: World) -> list[tuple[str, str, str, str]]:
    rows = (await world.api("/api/v1/audit"))["entries"]
    return [(row["actor"], row["action"], row["decision"], row["reason"]) for row in rows]


async def refused(world: World) -> list[tuple[str, str, str]]:
    return sorted((who, what, why) for who, what, decision, why in await audited(world) if decision == "refused")


async def command(world: World, text: str) -> dict[str, Any]:
    """What the machine's own REST answers, of the repository as a whole, and all that comes of it."""
    answer = await order(world, text)
    await world.settle()
    return answer


async def order(world: World, text: str) -> dict[str, Any]:
    """The same, without waiting for what comes of it."""
    transport = httpx.ASGITransport(world.running.app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post(
            "/api/v1/commands",
            json={"repo": REPO, "command": text},
            headers={"authorization": world.running.ctx.operator.header},
        )
    return dict(answer.json())


def the_comment(pr: PullRequest) -> str:
    """The one about deployments."""
    (comment,) = [comment for comment in pr.comments if "interlock:deployments=" in comment]
    return comment


async def test_a_head_goes_to_an_environment_that_takes_heads_and_waits_for_its_approvals(world: World) -> None:
    pr = await pull_request(world)
    answer = await say(world, pr, "/deploy staging")
    assert answer.startswith(f"`{pr.head[:7]}` goes to `staging` when its gates let it: [deployment 1](http")
    (deployment,) = await deployments(world)
    assert (deployment.sha, deployment.pr, deployment.requested_by) == (pr.head, pr.number, "mona")
    assert deployment.state is State.GATED
    assert "⏳ approvals | 0 of 2 approvals" in the_comment(pr)


async def test_enough_approvals_are_counted_aloud(world: World) -> None:
    pr = await pull_request(world)
    await say(world, pr, "/deploy staging")
    assert "1 of 2 approvals" in await say(world, pr, "/approve staging", by="ada")
    assert "approved by" in await say(world, pr, "/approve staging", by="lena")


@pytest.mark.deployment(2)
@pytest.mark.requirement("S-31")
async def test_an_approval_of_the_author_does_not_count_and_the_reason_is_told(world: World) -> None:
    pr = await pull_request(world)
    await say(world, pr, "/deploy staging", by="ada")
    world.hub.set_permission(REPO, "mona", "maintain")
    mona, ada = await say(world, pr, "/approve staging"), await say(world, pr, "/approve staging", by="ada")
    assert mona.startswith("@mona: @\u200dmona wrote it, so that approval does not count; ")
    assert ada.startswith("@ada: @\u200dada asked for it, so that approval does not count; ")
    assert await refused(world) == [("ada", "approve", "own_change"), ("mona", "approve", "own_change")]


@pytest.mark.requirement("S-30")
async def test_who_may_not_approve_is_refused_and_told_who_may(world: World) -> None:
    pr = await pull_request(world)
    await say(world, pr, "/deploy staging")
    may = "what goes to `staging` is approved or rejected by somebody with maintain permission or @\u200dada."
    assert await say(world, pr, "/approve staging", by="eve") == f"@eve: {may}"
    assert await say(world, pr, '/reject staging because "no"', by="eve") == f"@eve: {may}"
    denied = "only people with write permission in this repository can steer it."
    assert await say(world, pr, "/deploy open", by="eve") == f"@eve: {denied}"
    assert await refused(world) == [
        ("eve", "approve", "not_an_approver"),
        ("eve", "deploy", "not_permitted"),
        ("eve", "reject", "not_an_approver"),
    ]
    (deployment,) = await deployments(world)
    assert deployment.state is State.GATED


@pytest.mark.requirement("S-20")
@pytest.mark.parametrize("how", ["edited", "deleted"])
async def test_an_approval_ends_with_its_comment(world: World, how: str) -> None:
    pr = await pull_request(world)
    await say(world, pr, "/deploy staging")
    comment = pr.say("/approve staging", by="ada")
    await world.settle()
    assert "1 of 2 approvals" in the_comment(pr)
    if how == "edited":
        world.hub.edit_comment(comment, "/approve staging!", "mona")
    else:
        world.hub.delete_comment(comment, "mona")
    await world.settle()
    assert "0 of 2 approvals" in the_comment(pr)
    assert f"**counts no more**: @\u200dmona has {how} its comment" in the_comment(pr)
    assert ("mona", "approve", "noted", "approval_void") in await audited(world)


async def test_a_no_ends_what_waits_and_takes_back_a_yes_of_the_same_person(world: World) -> None:
    pr = await pull_request(world)
    await say(world, pr, "/deploy staging")
    await say(world, pr, "/approve staging", by="ada")
    answer = await say(world, pr, '/reject staging because "not today, @mona"', by="ada")
    assert answer == f"Deployment 1 of `{pr.head[:7]}` is denied."
    (denied,) = await deployments(world)
    assert (denied.state, denied.because) == (State.DENIED, "rejected by @ada: not today, @mona")
    assert "Rejected by @\u200dada: not today, @\u200dmona." in the_comment(pr)
    await say(world, pr, "/deploy staging")
    assert "0 of 2 approvals" in the_comment(pr)


@pytest.mark.deployment(1)
@pytest.mark.requirement("S-1", "S-3")
async def test_a_push_ends_what_waits_and_the_comment_names_both_commits(world: World) -> None:
    pr = await pull_request(world)
    older = pr.head
    await say(world, pr, "/deploy staging")
    await say(world, pr, "/approve staging", by="ada")
    pr.push({"x": "z"})
    await world.settle()
    (deployment,) = await deployments(world)
    assert deployment.state is State.SUPERSEDED
    plainly = the_comment(pr).replace("\u200d", "")
    assert f"The head of #{pr.number} is {pr.head[:7]} now, and this is {older[:7]}." in plainly
    answer = await say(world, pr, f"/approve {deployment.number}", by="lena")
    assert "does not wait any more: it is superseded" in answer


@pytest.mark.parametrize(
    ("said", "reason", "answer"),
    [
        pytest.param("/deploy stagign", "unknown_environment", "did you mean `staging`?", id="a-slip"),
        pytest.param("/deploy production", "not_from_pull_requests", "merge first", id="not-from-here"),
        pytest.param(f"/deploy staging at {'0' * 40}", "other_head", "is not the head", id="another-commit"),
        pytest.param("/deploy staging --dry-run", "not_plannable", "INTERLOCK_DEPLOY_TARGETS", id="not-allowed-here"),
        pytest.param("/approve staging", "unknown_environment", "nothing was ever deployed there", id="nothing-waits"),
        pytest.param("/approve 7", "unknown_environment", "there is no environment `7`", id="no-such-number"),
        pytest.param("/promote staging", "unknown_environment", "there is no environment", id="nothing-is-held"),
        pytest.param("/rollback staging", "unknown_environment", "there is no environment", id="nothing-to-go-back"),
        pytest.param("/unlock open", "unknown_environment", "there is no environment", id="nobody-holds-it"),
        pytest.param("/lock opne", "unknown_environment", "did you mean `open`?", id="locking-a-slip"),
    ],
)
async def test_what_cannot_be_done_is_said_with_its_reason(world: World, said: str, reason: str, answer: str) -> None:
    pr = await pull_request(world)
    assert answer in await say(world, pr, said, by="max")
    assert [why for _, _, why in await refused(world)] == [reason]
    assert await deployments(world) == []


@pytest.mark.deployment(6)
async def test_a_stranger_s_head_is_deployed_by_all_of_its_digits_alone(world: World) -> None:
    await pull_request(world)
    base = world.hub.commit(REPO, "main", {"base": "moves"}, "Move on", "lena")
    world.hub.create_user("stranger")
    world.hub.fork(REPO, "stranger")
    ours = CONFIG.replace("count: 2", "count: 1").replace("./start", "./steal")
    world.hub.commit("stranger/app", "theirs", {".github/interlock.yml": ours}, "Change it", "stranger")
    pull = world.hub.open_pull_request(REPO, "theirs", "main", "Change it", "stranger", head_repo="stranger/app")
    theirs = PullRequest(world, REPO, pull.number, "theirs", "stranger")
    await world.settle()
    assert "all 40 digits of its SHA are needed" in await say(world, theirs, "/deploy staging", by="mona")
    assert await deployments(world) == []
    await say(world, theirs, f"/deploy staging at {theirs.head}", by="mona")
    (deployment,) = await deployments(world)
    assert deployment.config_sha == base
    assert "of 2 approvals" in the_comment(theirs), "the default branch's configuration counts"


@pytest.mark.deployment(8)
async def test_a_lock_keeps_others_out_until_its_holder_or_a_maintainer_ends_it(world: World) -> None:
    pr = await pull_request(world)
    locked = await say(world, pr, '/lock open for 2h because "a load test"')
    assert locked.startswith("`open` is locked for @\u200dmona until ")
    assert "locked by @" in await say(world, pr, "/lock open", by="ada")
    await say(world, pr, "/deploy open", by="ada")
    assert "⏳ lock | locked by @" in the_comment(pr)
    assert "only people who maintain the repository can end that" in await say(world, pr, "/unlock open", by="ada")
    assert "It was locked by @" in await say(world, pr, "/unlock open", by="max")
    assert await refused(world) == [("ada", "lock", "locked"), ("ada", "unlock", "not_yours")]
    assert "✅ lock | nobody holds a lock" in the_comment(pr)


async def test_why_lists_every_gate_with_its_evidence_and_status_where_it_stands(world: World) -> None:
    pr = await pull_request(world)
    await say(world, pr, "/deploy staging")
    why = await say(world, pr, "/boxes why")
    gates = [line.split(" | ")[0].removeprefix("| ") for line in why.splitlines() if line.startswith("| ")]
    assert gates == ["gate", "⏳ approvals", "✅ origin", "✅ quarantine", "✅ boxes", "✅ lock", "✅ turn"]
    assert "| ⏳ approvals | 0 of 2 approvals" in why
    assert "somebody with maintain permission or @\u200dada can comment `/approve staging`" in why
    assert "| `staging` |" in await say(world, pr, "/boxes status")


async def test_a_merged_pull_request_s_comment_goes_on_to_production(world: World) -> None:
    pr = await pull_request(world)
    world.hub.merge_pull_request(REPO, pr.number, "lena")
    await world.settle()
    await say(world, pr, "/deploy production", by="max")
    (deployment,) = await deployments(world)
    assert (deployment.environment, deployment.pr, deployment.author) == ("production", pr.number, "mona")
    assert "`production` ⏸️ waits at its gates" in the_comment(pr)


async def test_whoever_sits_at_the_machine_names_a_repository_and_no_pull_request(world: World) -> None:
    await pull_request(world)
    asked = await command(world, "/deploy production")
    assert (asked["done"], asked["reason"]) == (True, "done")
    (deployment,) = await deployments(world)
    assert (deployment.pr, deployment.requested_by, deployment.cause) == (None, "operator", "api")
    assert (await command(world, "/lock production"))["done"]
    assert (await command(world, "/boxes status"))["reason"] == "no_pull_request"
    assert (await command(world, "/rollback production"))["reason"] == "nothing_live"
    assert (await command(world, "/approve production"))["reason"] == "mistake"


@pytest.mark.deployment(5)
async def test_an_edited_comment_deploys_nothing(world: World) -> None:
    pr = await pull_request(world)
    comment = pr.say("ship it")
    await world.settle()
    world.hub.edit_comment(comment, "/deploy staging", "mona")
    await world.settle()
    assert await deployments(world) == []
    assert await refused(world) == [("mona", "deploy", "edited")]


@pytest.mark.deployment(10)
async def test_a_freeze_is_passed_with_a_reason_and_by_a_second_person(world: World) -> None:
    pr = await pull_request(world)
    await say(world, pr, "/deploy frozen", by="ada")
    assert "⏳ frozen | frozen until 2099-01-01 00:00 UTC: nobody is there" in the_comment(pr)
    assert "nobody has to approve what goes to `frozen`" in await say(world, pr, "/approve frozen", by="max")
    await say(world, pr, '/deploy frozen break-glass because "the shop is down"', by="max")
    assert "@\u200dmax breaks the glass: the shop is down" in the_comment(pr)
    assert "second person" in await say(world, pr, "/approve frozen break-glass", by="max")
    assert "approved or rejected by" in await say(world, pr, "/approve frozen break-glass", by="mona")
    assert (await deployments(world))[-1].state is State.GATED
    assert "It may pass a freeze." in await say(world, pr, "/approve frozen break-glass", by="lena")
    assert "@\u200dmax and @\u200dlena broke the glass: the shop is down" in the_comment(pr)
    last = (await deployments(world))[-1]
    assert (last.state, "INTERLOCK_DEPLOY_TARGETS" in last.because) == (State.ABORTED, True), "the gates let it go"
