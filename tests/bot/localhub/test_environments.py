"""Jobs that wait to go into an environment: who is asked, who may answer, and what an answer does."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bot.localhub.clock import Clock
from bot.localhub.hub import LocalHub
from bot.localhub.records import PendingDeployment
from tests.bot.localhub.clients import Receiver, as_installation, as_user, client

DAY = 24 * 3600.0
ALREADY = "Deployment protection rule has already been reviewed"
NOTHING = "No pending deployment requests to approve or reject"


def want(hub: LocalHub, environment: str = "production", **more: Any) -> PendingDeployment:
    sha = hub.forge.git(hub.repository("octo/app")).branch("main")
    assert sha
    return hub.deploying.want("octo/app", environment, sha=sha, by="mona", **more)


def rule_of(pending: PendingDeployment) -> str:
    return f"/repos/octo/app/actions/runs/{pending.run_id}/deployment_protection_rule"


async def answer(app: httpx.AsyncClient, pending: PendingDeployment, **said: Any) -> httpx.Response:
    return await app.post(rule_of(pending), json={"environment_name": "production", **said})


async def test_our_app_is_asked_with_an_address_that_holds_the_runs_number(hub: LocalHub, receiver: Receiver) -> None:
    hub.webhook_url = "http://receiver/"
    stranger, _ = hub.create_app("stranger", account="octo")
    hub.state.apps.change(stranger, webhook_url="http://receiver/")
    hub.deploying.environment("octo/app", "production", asks_us=True)
    pending = want(hub)
    await hub.settled()
    asked = receiver.last("deployment_protection_rule.requested")
    assert asked["deployment_callback_url"] == f"{hub.url}{rule_of(pending)}"
    assert asked["environment"] == "production"
    assert asked["deployment"]["id"] == pending.deployment_id
    assert receiver.names.count("deployment_protection_rule.requested") == 1, "only whose rule it is"


async def test_an_environment_that_nothing_protects_holds_nobody(hub: LocalHub) -> None:
    assert want(hub, "staging").state == "approved"


@pytest.mark.parametrize(
    ("state", "conclusion", "said"),
    [
        pytest.param("approved", None, "in_progress", id="approved-goes-on"),
        pytest.param("rejected", "failure", "failure", id="rejected-ends-the-run"),
    ],
)
async def test_an_answer_decides_once(hub: LocalHub, state: str, conclusion: str | None, said: str) -> None:
    hub.deploying.environment("octo/app", "production", asks_us=True)
    pending = want(hub)
    async with as_installation(hub) as app:
        assert (await answer(app, pending, comment="not yet: it is Friday")).status_code == 204
        assert hub.deploying.waiting(pending).state == "waiting"
        assert (await answer(app, pending, state=state, comment="now")).status_code == 204
        again = await answer(app, pending, state="approved", comment="again")
    assert (again.status_code, again.json()["errors"]) == (422, ALREADY)
    ended = hub.deploying.waiting(pending)
    assert ended.state == state
    assert [one["comment"] for one in ended.comments] == ["not yet: it is Friday", "now"]
    assert hub.deploying.workflow_run(pending).conclusion == conclusion
    assert hub.deploying.state_of(hub.deploying.deployments("octo/app")[0]) == said


async def test_only_the_own_rule_can_be_answered(hub: LocalHub) -> None:
    hub.deploying.environment("octo/app", "production", reviewers=["mona"])
    pending = want(hub)
    async with as_installation(hub) as app:
        refused = await answer(app, pending, state="approved", comment="")
        assert (refused.status_code, refused.json()["errors"]) == (422, NOTHING)
        nowhere = await app.post(rule_of(pending), json={"environment_name": "else", "state": "approved"})
        assert nowhere.json()["errors"] == NOTHING
    async with as_installation(hub, permissions={"actions": "read"}) as reader:
        assert (await answer(reader, pending, state="approved", comment="")).status_code == 403


async def test_a_job_that_waits_too_long_fails(hub: LocalHub, clock: Clock) -> None:
    hub.deploying.environment("octo/app", "production", asks_us=True)
    pending = want(hub, days=2)
    clock.advance(2 * DAY - 1)
    assert hub.deploying.waiting(pending).state == "waiting"
    clock.advance(1)
    async with as_installation(hub) as app:
        late = await answer(app, pending, state="approved", comment="at last")
    assert (late.status_code, late.json()["errors"]) == (422, NOTHING)
    assert hub.deploying.waiting(pending).state == "expired"


async def test_a_run_that_is_tried_again_asks_again(hub: LocalHub) -> None:
    hub.deploying.environment("octo/app", "production", asks_us=True)
    first = want(hub)
    async with as_installation(hub) as app:
        await answer(app, first, state="rejected", comment="no")
        second = want(hub, run=hub.deploying.workflow_run(first))
        assert (second.run_id, second.deployment_id) != (0, first.deployment_id)
        assert (await answer(app, second, state="approved", comment="now")).status_code == 204
    assert hub.deploying.waiting(second).state == "approved"


async def test_a_timer_holds_a_job_that_everybody_let_in(hub: LocalHub, clock: Clock) -> None:
    hub.deploying.environment("octo/app", "production", wait_timer=30)
    pending = want(hub)
    clock.advance(30 * 60 - 1)
    assert hub.deploying.waiting(pending).state == "waiting"
    clock.advance(1)
    assert hub.deploying.waiting(pending).state == "approved"


async def test_reviewers_are_asked_and_one_of_them_is_enough(hub: LocalHub, receiver: Receiver) -> None:
    hub.webhook_url = "http://receiver/"
    hub.create_user("ada")
    hub.deploying.team("octo/release", "ada")
    hub.deploying.environment("octo/app", "production", reviewers=["mona", "octo/release"], prevent_self_review=True)
    pending = want(hub)
    path = f"/repos/octo/app/actions/runs/{pending.run_id}/pending_deployments"
    said = {"environment_ids": [pending.environment_id], "state": "approved", "comment": "fine"}
    async with as_installation(hub) as app:
        listed = (await app.get(path)).json()
        assert [one["type"] for one in listed[0]["reviewers"]] == ["User", "Team"]
        assert listed[0]["current_user_can_approve"] is False
        assert (await app.post(path, json=said)).status_code == 403, "an App is no reviewer"
    async with as_user(hub, "mona") as starter:
        refused = await starter.post(path, json=said)
        assert (refused.status_code, refused.json()["errors"]) == (422, NOTHING), "who started it may not let it in"
    async with as_user(hub, "ada") as ada:
        assert (await ada.get(path)).json()[0]["current_user_can_approve"] is True
        reviewed = await ada.post(path, json=said)
        assert [one["id"] for one in reviewed.json()] == [pending.deployment_id]
        assert (await ada.get(path)).json() == []
    assert hub.deploying.waiting(pending).state == "approved"
    await hub.settled()
    assert receiver.last("deployment_review.requested")["requestor"]["login"] == "mona"
    assert receiver.last("deployment_review.approved")["approver"]["login"] == "ada"


async def test_what_protects_an_environment_can_be_read(hub: LocalHub) -> None:
    hub.deploying.environment(
        "octo/app", "production", reviewers=["mona"], wait_timer=5, branch_policy="custom", asks_us=True
    )
    async with as_installation(hub) as app:
        listed = (await app.get("/repos/octo/app/environments")).json()
        one = (await app.get("/repos/octo/app/environments/Production")).json()
        rules = (await app.get("/repos/octo/app/environments/production/deployment_protection_rules")).json()
        assert (await app.get("/repos/octo/app/environments/none")).status_code == 404
    assert listed["environments"] == [one]
    assert [rule["type"] for rule in one["protection_rules"]] == ["wait_timer", "required_reviewers", "branch_policy"]
    assert one["deployment_branch_policy"] == {"protected_branches": False, "custom_branch_policies": True}
    assert [rule["app"]["slug"] for rule in rules["custom_deployment_protection_rules"]] == ["interlock"]
    async with as_installation(hub, permissions={"deployments": "write"}) as app:
        assert (await app.get("/repos/octo/app/environments/production")).status_code == 403


async def test_a_team_is_read_by_who_may_read_members(hub: LocalHub) -> None:
    hub.deploying.team("octo/release", "ada")
    path = "/orgs/octo/teams/release/memberships"
    async with as_installation(hub) as app:
        assert (await app.get(f"{path}/ada")).json()["state"] == "active"
        assert (await app.get(f"{path}/mona")).status_code == 404
        assert (await app.get("/orgs/octo/teams/none/memberships/ada")).status_code == 404
    async with as_installation(hub, permissions={"deployments": "write"}) as app:
        assert (await app.get(f"{path}/ada")).status_code == 403


async def test_a_program_beside_the_hub_can_start_a_job(hub: LocalHub) -> None:
    hub.deploying.environment("octo/app", "production", asks_us=True)
    asked = {"repository": "octo/app", "environment": "production", "by": "mona"}
    async with client(hub) as program:
        made = await program.post("/_hub/workflow-jobs", json=asked)
        assert made.json()["state"] == "waiting"
        assert (await program.post("/_hub/workflow-jobs", json={**asked, "sha": "nowhere"})).status_code == 422
        assert (await program.post("/_hub/workflow-jobs", json={**asked, "by": "nobody"})).status_code == 404
