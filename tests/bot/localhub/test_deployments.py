"""Deployments, and what is said about them, as GitHub keeps to it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bot.localhub.hub import LocalHub
from tests.bot.localhub.clients import Receiver, as_installation, as_user, client

DEPLOYMENTS = "/repos/octo/app/deployments"


def tip(hub: LocalHub, branch: str = "main") -> str:
    sha = hub.forge.git(hub.repository("octo/app")).branch(branch)
    assert sha
    return sha


async def deploy(app: httpx.AsyncClient, **facts: Any) -> dict[str, Any]:
    made = await app.post(DEPLOYMENTS, json={"ref": "main", **facts})
    assert made.status_code == 201, made.text
    row: dict[str, Any] = made.json()
    return row


async def say(app: httpx.AsyncClient, deployment: dict[str, Any], state: str, **facts: Any) -> httpx.Response:
    return await app.post(f"{DEPLOYMENTS}/{deployment['id']}/statuses", json={"state": state, **facts})


async def test_a_deployment_is_of_the_commit_that_its_ref_names(hub: LocalHub, receiver: Receiver) -> None:
    hub.webhook_url = "http://receiver/"
    async with as_installation(hub) as app:
        made = await deploy(app, environment="staging", payload={"id": "d1"}, description="the first")
        got = (await app.get(f"{DEPLOYMENTS}/{made['id']}")).json()
    assert got == made
    assert (made["sha"], made["ref"], made["environment"]) == (tip(hub), "main", "staging")
    assert made["payload"] == {"id": "d1"}
    assert made["performed_via_github_app"]["id"] == hub.app_id
    await hub.settled()
    assert receiver.last("deployment.created")["deployment"]["id"] == made["id"]
    assert [row.name for row in hub.state.environments] == ["staging"]


@pytest.mark.parametrize(
    ("facts", "status", "says"),
    [
        pytest.param({"ref": "nowhere"}, 422, "No ref found for: nowhere", id="no-such-ref"),
        pytest.param(
            {"ref": "topic"}, 202, "Auto-merged main into topic on deployment.", id="a-branch-behind-is-merged"
        ),
        pytest.param({"ref": "clash"}, 409, "Conflict merging main into clash.", id="a-branch-that-conflicts"),
        pytest.param(
            {"ref": "main"}, 409, "Conflict: Commit status checks failed for main.", id="every-check-must-be-green"
        ),
        pytest.param(
            {"ref": "main", "required_contexts": ["absent"]},
            409,
            "Conflict: Commit status checks failed for main.",
            id="a-named-check-that-is-not-there",
        ),
    ],
)
async def test_what_stands_in_the_way_of_a_deployment(
    hub: LocalHub, facts: dict[str, Any], status: int, says: str
) -> None:
    hub.commit("octo/app", "topic", {"t": "1\n"}, "Topic", "mona")
    hub.commit("octo/app", "clash", {"src/app.py": "x = 3\n"}, "Clash", "mona")
    head = hub.commit("octo/app", "main", {"src/app.py": "x = 2\n"}, "Main", "mona")
    async with as_installation(hub) as app:
        red = {"name": "lint", "head_sha": head, "conclusion": "failure"}
        await app.post("/repos/octo/app/check-runs", json=red)
        answer = await app.post(DEPLOYMENTS, json=facts)
    assert (answer.status_code, answer.json()["message"]) == (status, says)
    assert hub.deploying.deployments("octo/app") == []


async def test_without_contexts_and_merging_anything_can_be_deployed(hub: LocalHub) -> None:
    sha = hub.commit("octo/app", "topic", {"t": "1\n"}, "Topic", "mona")
    hub.commit("octo/app", "main", {"m": "1\n"}, "Main", "mona")
    async with as_installation(hub) as app:
        await app.post("/repos/octo/app/check-runs", json={"name": "lint", "head_sha": sha, "conclusion": "failure"})
        made = await deploy(app, ref=sha, auto_merge=False, required_contexts=[])
    assert made["sha"] == sha


async def test_a_success_ends_earlier_ones_but_neither_production_nor_transient_ones(hub: LocalHub) -> None:
    async with as_installation(hub) as app:
        earlier = [
            await deploy(app, environment="staging"),
            await deploy(app, environment="staging", transient_environment=True),
            await deploy(app, environment="staging", production_environment=True),
            await deploy(app, environment="other"),
        ]
        for one in earlier:
            await say(app, one, "success", auto_inactive=False)
        failed = await deploy(app, environment="staging")
        await say(app, failed, "failure")
        await say(app, await deploy(app, environment="staging"), "success")
    states = [hub.deploying.state_of(row) for row in hub.deploying.deployments("octo/app")]
    assert states == ["inactive", "success", "success", "success", "failure", "success"]


async def test_statuses_are_told_and_listed_newest_first(hub: LocalHub, receiver: Receiver) -> None:
    hub.webhook_url = "http://receiver/"
    async with as_installation(hub) as app:
        made = await deploy(app, environment="staging")
        await say(app, made, "in_progress", log_url="https://bot.example/deployments/1")
        said = await say(app, made, "success", environment_url="https://staging.example", description="d" * 140)
        assert said.status_code == 201
        await say(app, made, "inactive")
        listed = (await app.get(f"{DEPLOYMENTS}/{made['id']}/statuses")).json()
        one = (await app.get(f"{DEPLOYMENTS}/{made['id']}/statuses/{listed[2]['id']}")).json()
    assert [row["state"] for row in listed] == ["inactive", "success", "in_progress"]
    assert one["log_url"] == one["target_url"] == "https://bot.example/deployments/1"
    await hub.settled()
    assert receiver.names.count("deployment_status.created") == 2, "GitHub does not tell of what is over"


async def test_a_description_is_short_and_an_address_leads_somewhere(hub: LocalHub) -> None:
    async with as_installation(hub) as app:
        made = await deploy(app)
        bad = await say(app, made, "success", log_url="javascript:alert(1)")
        unknown = await app.post(f"{DEPLOYMENTS}/1/statuses", json={"state": "success"})
    assert (bad.status_code, unknown.status_code) == (422, 404)


async def test_a_list_can_be_narrowed(hub: LocalHub) -> None:
    async with as_installation(hub) as app:
        for environment, task in (("staging", "deploy"), ("production", "deploy"), ("production", "migrate")):
            await deploy(app, environment=environment, task=task)
        found = (await app.get(DEPLOYMENTS, params={"environment": "production"})).json()
        one = (await app.get(DEPLOYMENTS, params={"environment": "production", "task": "migrate"})).json()
    assert [row["task"] for row in found] == ["migrate", "deploy"]
    assert len(one) == 1


async def test_deployments_take_the_permission(hub: LocalHub) -> None:
    async with as_installation(hub, permissions={"contents": "read"}) as app:
        refused = await app.post(DEPLOYMENTS, json={"ref": "main"})
    assert (refused.status_code, refused.json()["message"]) == (403, "Resource not accessible by integration")
    async with as_user(hub, "stranger") as stranger:
        assert (await stranger.post(DEPLOYMENTS, json={"ref": "main"})).status_code == 403


async def test_the_page_shows_what_is_live_and_who_is_waited_for(hub: LocalHub) -> None:
    hub.create_user("ada")
    hub.deploying.environment("octo/app", "production", reviewers=["ada"], asks_us=True)
    async with as_installation(hub) as app:
        for ending in ("success", "success", "failure"):
            made = await deploy(app, environment="production")
            await say(app, made, ending, description=f"it is a <b>{ending}</b>", auto_inactive=False)
    hub.deploying.want("octo/app", "production", sha=tip(hub), by="mona")
    async with client(hub) as somebody:
        shown = (await somebody.get("/octo/app/deployments")).text
        assert 'href="/octo/app/deployments"' in (await somebody.get("/octo/app")).text
    assert shown.count(">current<") == 1
    for piece in ("waiting for ada", "has not decided", "asks Interlock", "it is a &lt;b&gt;failure&lt;/b&gt;"):
        assert piece in shown


async def test_issues_are_listed_closed_and_opened_again(hub: LocalHub) -> None:
    async with as_installation(hub) as app:
        made = (await app.post("/repos/octo/app/issues", json={"title": "Incident", "body": "mark"})).json()
        await app.patch(
            f"/repos/octo/app/issues/{made['number']}", json={"state": "closed", "state_reason": "completed"}
        )
        assert (await app.get("/repos/octo/app/issues")).json() == []
        closed = (
            await app.get("/repos/octo/app/issues", params={"state": "closed", "creator": "interlock[bot]"})
        ).json()
        assert [(row["number"], row["closed_at"] is None) for row in closed] == [(made["number"], False)]
        again = await app.patch(f"/repos/octo/app/issues/{made['number']}", json={"state": "open"})
        assert again.json()["closed_at"] is None
    async with as_user(hub, "stranger") as stranger:
        refused = await stranger.patch(f"/repos/octo/app/issues/{made['number']}", json={"state": "closed"})
    assert refused.status_code == 403


async def test_a_release_makes_its_tag_and_is_found_by_it(hub: LocalHub) -> None:
    sha = tip(hub)
    async with as_user(hub, "mona") as mona:
        body = {"tag_name": "production-1", "target_commitish": sha, "name": "Production 1", "body": "all of it"}
        made = await mona.post("/repos/octo/app/releases", json=body)
        assert made.status_code == 201
        assert (await mona.get("/repos/octo/app/releases/tags/production-1")).json() == made.json()
        assert (await mona.get("/repos/octo/app/releases/tags/none")).status_code == 404
        twice = await mona.post("/repos/octo/app/releases", json=body)
        assert twice.json()["errors"] == [{"resource": "Release", "code": "already_exists", "field": "tag_name"}]
        assert len((await mona.get("/repos/octo/app/releases")).json()) == 1
    assert hub.forge.git(hub.repository("octo/app")).refs()["refs/tags/production-1"] == sha
    async with as_installation(hub) as app:
        assert (await app.post("/repos/octo/app/releases", json={"tag_name": "x"})).status_code == 403
