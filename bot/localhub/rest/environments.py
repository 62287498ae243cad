"""Environments, and what waits to go into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bot.localhub import refusals
from bot.localhub.acts import environments as acts
from bot.localhub.rest import fields
from bot.localhub.rest.call import Call, Endpoint, Reply
from bot.localhub.views import deployments
from bot.localhub.views import environments as views

if TYPE_CHECKING:
    from bot.localhub.records import Environment, WorkflowRun

ANSWERS = ("approved", "rejected")


def _environment(call: Call) -> Environment:
    found = call.forge.state.environment(call.repo, call.path["environment_name"])
    if found is None:
        raise refusals.not_found()
    return found


def list_all(call: Call) -> Reply:
    """GET …/environments."""
    found = call.forge.state.environments.where(repository_id=call.repo.id)
    rows, headers = call.page(found)
    shown = [views.environment(call.forge, call.repo, row) for row in rows]
    return Reply(body={"total_count": len(found), "environments": shown}, headers=headers)


def get(call: Call) -> Reply:
    """GET …/environments/{name}."""
    return Reply(body=views.environment(call.forge, call.repo, _environment(call)))


def rules(call: Call) -> Reply:
    """GET …/environments/{name}/deployment_protection_rules: the Apps that are asked."""
    shown = views.custom_rules(call.forge, _environment(call))
    return Reply(body={"total_count": len(shown), "custom_deployment_protection_rules": shown})


def _run(call: Call) -> WorkflowRun:
    found = call.forge.state.workflow_runs.get(call.number("run_id"))
    if found is None or found.repository_id != call.repo.id:
        raise refusals.not_found()
    return found


def pending(call: Call) -> Reply:
    """GET …/actions/runs/{id}/pending_deployments."""
    rows = [acts.settle(call.forge, row) for row in call.forge.state.pending.where(run_id=_run(call).id)]
    login = call.caller.login
    shown = [
        views.pending(call.forge, call.repo, row, may_approve=acts.may_review(call.forge, row, login))
        for row in rows
        if row.state == "waiting"
    ]
    return Reply(body=shown)


def review(call: Call) -> Reply:
    """POST …/actions/runs/{id}/pending_deployments: what a reviewer says. An App is none."""
    run, ids = _run(call), fields.items(call.body, "environment_ids", most=100)
    state = fields.choice(call.body, "state", ANSWERS)
    comment = fields.required_text(call.body, "comment")
    if ids is None or state is None:
        raise fields.missing("state" if ids is not None else "environment_ids")
    if call.caller.kind != "user":
        raise refusals.not_by_integration()
    try:
        rows = acts.review(call.forge, call.repo, run, ids, by=call.caller.login, state=state, comment=comment)
    except acts.Unanswerable as unanswerable:
        raise refusals.Refused(422, "Validation Failed", errors=str(unanswerable)) from unanswerable
    return Reply(body=[deployments.deployment(call.forge, call.repo, row) for row in rows])


def answer_rule(call: Call) -> Reply:
    """POST …/actions/runs/{id}/deployment_protection_rule: what an App says for its own rule."""
    run, name = _run(call), fields.required_text(call.body, "environment_name")
    said: dict[str, Literal["approved", "rejected"]] = {"approved": "approved", "rejected": "rejected"}
    state = said.get(fields.choice(call.body, "state", ANSWERS) or "")
    comment = fields.text(call.body, "comment") or ""
    if state is None and not comment:
        raise fields.missing("comment")
    try:
        acts.answer(call.forge, run, call.app, name, state=state, comment=comment)
    except acts.Unanswerable as unanswerable:
        raise refusals.Refused(422, "Validation Failed", errors=str(unanswerable)) from unanswerable
    return Reply(status=204)


READ = ("actions:read",)
ONE = "/repos/{owner}/{repo}/environments/{environment_name}"
RUN = "/repos/{owner}/{repo}/actions/runs/{run_id:int}"
ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/repos/{owner}/{repo}/environments",
        answer=list_all,
        needs=READ,
        doc="deployments/environments#list-environments",
    ),
    Endpoint(method="GET", path=ONE, answer=get, needs=READ, doc="deployments/environments#get-an-environment"),
    Endpoint(
        method="GET",
        path=f"{ONE}/deployment_protection_rules",
        answer=rules,
        needs=READ,
        doc="deployments/protection-rules#get-all-deployment-protection-rules-for-an-environment",
    ),
    Endpoint(
        method="GET",
        path=f"{RUN}/pending_deployments",
        answer=pending,
        needs=READ,
        doc="actions/workflow-runs#get-pending-deployments-for-a-workflow-run",
    ),
    Endpoint(
        method="POST",
        path=f"{RUN}/pending_deployments",
        answer=review,
        needs=("deployments:write",),
        doc="actions/workflow-runs#review-pending-deployments-for-a-workflow-run",
    ),
    Endpoint(
        method="POST",
        path=f"{RUN}/deployment_protection_rule",
        answer=answer_rule,
        needs=("deployments:write",),
        doc="actions/workflow-runs#review-custom-deployment-protection-rules-for-a-workflow-run",
    ),
)
