"""People who try to have code run that nobody with write permission stands for."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.localhub.acts.accounts import create_user
from bot.localhub.acts.pulls import edit as edit_pull
from bot.localhub.records import CheckRun
from tests.fakes.world import REPO, PullRequest, World, box
from tests.scenarios.test_pull_request import BOXES


def judging(world: World, sha: str) -> list[CheckRun]:
    """The newest of the checks that count for a merge; the preview judges nothing."""
    return [run for run in world.hub.check_runs(REPO, sha) if run.name != "Interlock / preview"]


async def deliver(world: World, event: str, payload: dict[str, Any]) -> int:
    """A webhook that somebody who knows the secret made up, or GitHub sent long ago."""
    body = json.dumps(payload).encode()
    signature = hmac.new(world.hub.webhook_secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": hashlib.sha256(body).hexdigest()[:36],
        "X-Hub-Signature-256": f"sha256={signature}",
    }
    transport = httpx.ASGITransport(world.running.app, client=("203.0.113.7", 443))
    async with httpx.AsyncClient(transport=transport, base_url="http://bot.example") as client:
        answer = await client.post("/webhooks", content=body, headers=headers)
    await world.settle()
    return answer.status_code


def facts(world: World, *, repo: str = REPO) -> dict[str, Any]:
    """What every payload about a repository says."""
    known = world.hub.repository(repo)
    return {
        "repository": {"id": known.id, "full_name": repo, "default_branch": "main"},
        "installation": {"id": world.hub.installation(repo.partition("/")[0]).id},
        "sender": {"login": "mona", "id": 1, "type": "User"},
    }


async def fork_pull(world: World, proof: Path) -> tuple[PullRequest, str]:
    """A stranger's pull request whose box would leave `proof`, and its head."""
    world.repository(BOXES)
    world.hub.fork(REPO, "stranger")
    sabotage = {"boxes/tier-1/1_readme.sh": box(f"touch {proof}")}
    head = world.hub.commit("stranger/app", "topic", sabotage, "Try", "stranger")
    pull = world.hub.open_pull_request(REPO, "topic", "main", "Try", "stranger", head_repo="stranger/app")
    await world.settle()
    return PullRequest(world, REPO, pull.number, "topic", "stranger"), head


@pytest.mark.parametrize("button", ["check_run", "check_suite"])
async def test_rerunning_a_head_that_a_fork_has_left_behind_runs_nothing(
    world: World, tmp_path: Path, button: str
) -> None:
    proof = tmp_path / "ran"
    _, head = await fork_pull(world, proof)
    [check] = judging(world, head)
    world.hub.commit("stranger/app", "topic", {"more": "x"}, "Move on", "stranger")
    await world.settle()
    if button == "check_run":
        world.hub.rerequest_check_run(check, "mona")
    else:
        world.hub.rerequest_check_suite(check, "mona")
    await world.settle()
    assert not proof.exists()
    assert {run.conclusion for run in judging(world, head)} == {"action_required"}


async def test_rerunning_a_closed_fork_runs_nothing(world: World, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    pr, head = await fork_pull(world, proof)
    [check] = judging(world, head)
    world.hub.close_pull_request(REPO, pr.number, "stranger")
    await world.settle()
    world.hub.rerequest_check_suite(check, "mona")
    await world.settle()
    assert not proof.exists()


async def test_a_push_that_never_reached_the_default_branch_runs_nothing(world: World, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    _, head = await fork_pull(world, proof)
    push = {"ref": "refs/heads/main", "before": "0" * 40, "after": head, **facts(world)}
    assert await deliver(world, "push", push) == 202
    assert not proof.exists()


@pytest.mark.requirement("S-23")
async def test_a_commit_that_the_queue_does_not_propose_runs_nothing_while_it_proposes_another(
    world: World, tmp_path: Path
) -> None:
    """What the queue proposes runs with the trust of a branch, so its word counts for that very commit."""
    proof = tmp_path / "ran"
    _, head = await fork_pull(world, proof)
    pr = await world.open_pull_request({"x": "y"}, branch="honest")
    await world.settle()
    ctx = world.running.ctx
    for _ in range(world.max_runs):
        await ctx.seats.acquire()
    group = world.hub.enqueue(REPO, pr.number, "mona")
    said = {"head_sha": head, "head_ref": f"refs/heads/{group.head_ref}", "base_ref": "refs/heads/main"}
    asked = {"action": "checks_requested", "merge_group": {**said, "base_sha": group.base_sha}, **facts(world)}
    sent = asyncio.create_task(deliver(world, "merge_group", asked))
    async with asyncio.timeout(20):
        while {group.head_sha, head} - {run.head_sha for run in await world.runs() if run.cause == "merge_group"}:
            await asyncio.sleep(0.02)
    async with asyncio.timeout(20):
        while [run for run in await world.runs() if run.head_sha == head and run.state == "queued" and not run.trust]:
            await asyncio.sleep(0.02)
    for _ in range(world.max_runs):
        ctx.seats.release()
    assert await sent == 202
    assert not proof.exists()
    [forged] = [run for run in await world.runs() if run.head_sha == head and run.cause == "merge_group"]
    assert (forged.trust, forged.conclusion) == ("", "")


async def test_a_delivery_that_calls_another_branch_the_default_one_runs_nothing(world: World, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    world.repository(BOXES)
    head = world.hub.commit(REPO, "topic", {"boxes/tier-1/1_readme.sh": box(f"touch {proof}")}, "Try", "mona")
    await world.settle()
    said = facts(world)
    said["repository"]["default_branch"] = "topic"
    await deliver(world, "push", {"ref": "refs/heads/topic", "before": "0" * 40, "after": head, **said})
    assert not proof.exists()


async def test_a_stale_payload_cannot_name_an_older_head(world: World) -> None:
    world.repository(BOXES)
    pr = await world.open_pull_request({"x": "1"})
    await world.settle()
    pull = {"number": pr.number, "head": {"sha": "0" * 40, "ref": "topic"}, "base": {"ref": "main", "sha": "1" * 40}}
    assert await deliver(world, "pull_request", {"action": "synchronize", "pull_request": pull, **facts(world)}) == 202
    assert {run.head_sha for run in await world.runs() if run.pr} == {pr.head, "0" * 40}
    assert not world.hub.check_runs(REPO, "0" * 40)
    assert pr.conclusion == "success"


async def test_a_delivery_cannot_pair_one_repositorys_number_with_anothers_name(world: World, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    world.repository(BOXES)
    world.repository(BOXES, name="octo/other", collaborators={"eve": "admin"})
    await world.settle()
    world.hub.commit("octo/other", "topic", {"boxes/tier-1/1_readme.sh": box(f"touch {proof}")}, "Mine", "eve")
    pull = world.hub.open_pull_request("octo/other", "topic", "main", "Mine", "eve")
    await world.settle()
    proof.unlink()  # her own repository may run her code
    mixed = facts(world, repo="octo/other")
    mixed["repository"]["id"] = world.hub.repository(REPO).id
    said = {"number": pull.number, "head": {"sha": pull.head_sha, "ref": "topic"}, "base": {"ref": "main", "sha": ""}}
    await deliver(world, "pull_request", {"action": "synchronize", "pull_request": said, **mixed})
    push = {"ref": "refs/heads/main", "before": "0" * 40, "after": pull.head_sha, **mixed}
    await deliver(world, "push", push)
    assert not proof.exists()
    ours = world.hub.repository(REPO).id
    assert not [
        run for run in await world.runs() if run.repo_id == ours and run.head_sha == pull.head_sha and run.trust
    ]


async def test_a_new_base_is_a_new_question(world: World) -> None:
    """What was green for a base with weak boxes says nothing about another base."""
    strict = {"boxes/tier-2/7_strict.sh": box("exit 1", title="Strict")}
    world.repository({**BOXES, **strict})
    world.hub.commit(REPO, "weak", {"boxes/tier-2/7_strict.sh": None}, "Without the strict box", "mona")
    world.hub.commit(REPO, "topic", {"boxes/tier-2/7_strict.sh": None, "x": "y"}, "Topic", "mona")
    pull = world.hub.open_pull_request(REPO, "topic", "weak", "Topic", "mona")
    await world.settle()
    pr = PullRequest(world, REPO, pull.number, "topic", "mona")
    assert pr.conclusion == "success"
    forge = world.hub.forge
    edit_pull(forge, world.hub.pull_request(REPO, pr.number), "mona", title=None, body=None, base="main")
    await world.settle()
    assert pr.conclusion == "failure"


async def test_an_app_cannot_list_itself_on_a_base_of_its_own(world: World, tmp_path: Path) -> None:
    proof = tmp_path / "ran"
    app = create_user(world.hub.forge, "climber[bot]", kind="Bot")
    world.repository(BOXES)
    world.hub.commit(REPO, "mine", {".github/interlock.yml": f"trust: {{bots: [{app.id}]}}\n"}, "Base", "mona")
    sabotage = {".github/interlock.yml": f"trust: {{bots: [{app.id}]}}\n", "boxes/tier-1/9_x.sh": box(f"touch {proof}")}
    world.hub.commit(REPO, "topic", sabotage, "Head", "mona")
    pull = world.hub.open_pull_request(REPO, "topic", "mine", "Climb", app.login)
    await world.settle()
    [check] = judging(world, pull.head_sha)
    assert check.conclusion == "action_required"
    assert not proof.exists()


async def test_somebody_who_lost_write_permission_steers_nothing(world: World) -> None:
    world.repository(BOXES, collaborators={"mona": "write", "eve": "write"})
    pr = await world.open_pull_request({"x": "y"})
    await world.settle()
    runs = len(await world.runs())
    forge = world.hub.forge
    repository = world.hub.repository(REPO)
    forge.state.repositories.change(repository, collaborators={**repository.collaborators, "eve": "read"})
    pr.say("/boxes run all", by="eve")
    await world.settle()
    assert len(await world.runs()) == runs


async def test_a_comment_that_is_slow_to_read_keeps_nothing_else_waiting(world: World) -> None:
    reading = asyncio.create_task(world.running.ctx.commands_of("/x " + "[" * 60_000))
    await asyncio.sleep(0.1)
    assert not reading.done()
    assert await reading == ()
